"""muP: the standard network at the base width, and steps that move outputs alike at every width."""

import pytest
import torch

from ematheory import tasks
from ematheory.training.networks.parametrization import attention_scale

# Each task by its width, the base width, and a wider one.
FAMILIES = {
    "mlp": (tasks.digits_mlp, 64, 256),
    "resnet": (tasks.digits_resnet, 16, 64),
    "vit": (lambda width, **more: tasks.digits_vit(width, 1, **more), 16, 64),
    "gpt": (lambda width, **more: tasks.char_gpt(width, 1, context=16, train_tokens=512, **more), 32, 128),
    "addition": (lambda width, **more: tasks.modular_addition(31, width, network="transformer", **more), 32, 128),
    "teacher": (tasks.teacher_student, 64, 512),
    "random features": (tasks.random_features, 64, 512),
}
every_family = pytest.mark.parametrize(("make", "base", "wide"), FAMILIES.values(), ids=FAMILIES)


def batch(task):
    data = task.data()
    inputs = torch.tensor(data.train_inputs[:32])
    return inputs.float() if inputs.is_floating_point() else inputs, torch.tensor(data.train_targets[:32])


def moved(task, adaptive):
    """RMS by which three steps move the outputs."""
    network, (inputs, targets) = task.network(0, torch.float32), batch(task)
    lr = 1e-3 if adaptive else 1e-2
    rates = task.lr_multipliers(network, adaptive)
    groups = [{"params": [parameter], "lr": lr * rates[name]} for name, parameter in network.named_parameters()]
    optimizer = torch.optim.Adam(groups) if adaptive else torch.optim.SGD(groups)
    before = network(inputs).detach()
    for _ in range(3):
        optimizer.zero_grad()
        task.loss(network(inputs), targets).backward()
        optimizer.step()
    return float((network(inputs).detach() - before).square().mean().sqrt())


@every_family
@pytest.mark.parametrize("adaptive", [True, False], ids=["adam", "sgd"])
def test_steps_move_outputs_alike_at_every_width_only_under_mup(make, base, wide, adaptive):
    standard = moved(make(wide), adaptive) / moved(make(base), adaptive)
    mup = moved(make(wide, parametrization="mup", base_width=base), adaptive) / moved(make(base), adaptive)
    # Measured for 4 or 8 times the width: 0.68 to 1.5 under muP, 2.6 to 48 in the standard parametrization.
    assert 0.5 < mup < 2
    assert standard > 2.2


@every_family
def test_at_the_base_width_mup_is_the_standard_network(make, base, wide):
    standard, mup = make(base), make(base, parametrization="mup", base_width=base)
    inputs, _ = batch(standard)
    assert torch.equal(standard.network(1, torch.float32)(inputs), mup.network(1, torch.float32)(inputs))
    network = mup.network(1, torch.float32)
    assert set(mup.lr_multipliers(network).values()) == {1.0}
    assert list(mup.lr_multipliers(network)) == [name for name, _ in network.named_parameters()]


def test_multipliers_name_hidden_weights():
    task = tasks.char_gpt(128, 1, parametrization="mup")
    network = task.network(0, torch.float32)
    slowed = [name for name, rate in task.lr_multipliers(network).items() if rate == 0.5]
    assert slowed == [
        f"blocks.0.{part}.weight"
        for part in ("attention.query_key_value", "attention.projection", "expansion", "projection")
    ]
    perceptron = tasks.digits_mlp(256, 2, parametrization="mup")
    rates = perceptron.lr_multipliers(perceptron.network(0, torch.float32))
    assert {name for name, rate in rates.items() if rate == 0.5} == {"weights.1"}
    by_gradient = perceptron.lr_multipliers(perceptron.network(0, torch.float32), adaptive=False)
    assert {name for name, rate in by_gradient.items() if rate == 1} == {"weights.1"}


def test_hidden_weights_of_a_wide_gpt_start_smaller_under_mup():
    network = tasks.char_gpt(256, 1, parametrization="mup").network(0, torch.float64)
    # m = 4; a standard deviation of n normals is off by 1/√(2n), here at most 0.5 %.
    assert float(network.blocks[0].expansion.weight.detach().std()) == pytest.approx(0.02 / 4**0.5, rel=0.02)
    assert float(network.tokens.weight.detach().std()) == pytest.approx(0.02, rel=0.02)


def test_a_wide_standard_network_has_no_multipliers():
    task = tasks.digits_resnet(width=32)
    assert set(task.lr_multipliers(task.network(0, torch.float32)).values()) == {1.0}


def test_attention_is_scaled_by_the_head_width():
    assert attention_scale(16, 1.0) == 16**-0.5
    assert attention_scale(64, 4.0) == pytest.approx(16**0.5 / 64)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tasks.digits_mlp(parametrization="muP"), "did you mean 'mup'"),
        (lambda: tasks.digits_mlp(base_width=64), "base_width belongs to parametrization='mup'"),
        (lambda: tasks.digits_mlp(parametrization="mup", base_width=0), "base_width must be"),
        (lambda: tasks.digits_vit(parametrization="mup", base_width=6), "heads must divide base_width, got 4 heads"),
        (lambda: tasks.digits_mlp(parametrization="mup", scale_invariant=True), "scale_invariant=True divides weights"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
