"""The networks: where they start, what scale does to them, what a token may see, and how they run in each dtype."""

import math

import pytest
import torch
from torch.func import functional_call, vmap
from torch.nn import functional

from ematheory import AdamW, Cosine, tasks
from ematheory.training.crosschecks import moving_average, theorem_one
from ematheory.training.determinism import deterministic
from ematheory.training.networks.layers import unit_rows
from ematheory.training.networks.transformer import attend

DTYPES = (torch.float64, torch.float32, torch.bfloat16)
TASKS = {
    "mlp": tasks.digits_mlp(width=8),
    "resnet": tasks.digits_resnet(width=4),
    "vit": tasks.digits_vit(width=8, depth=1, heads=2),
    "gpt": tasks.char_gpt(width=8, depth=2, context=6, heads=2, train_tokens=600),
    "gpt with biases": tasks.char_gpt(width=8, depth=1, context=6, heads=2, bias=True, train_tokens=600),
    "addition": tasks.modular_addition(modulus=5, width=8),
    "addition transformer": tasks.modular_addition(modulus=5, width=8, network="transformer", heads=2),
    "teacher": tasks.teacher_student(width=8, inputs=4, train_size=32),
    "random features": tasks.random_features(width=8, inputs=16, train_size=32),
    "relu features": tasks.random_features(width=8, inputs=16, train_size=32, activation="relu"),
}
INVARIANT = {
    "mlp": tasks.digits_mlp(width=8, scale_invariant=True),
    "resnet": tasks.digits_resnet(width=4, scale_invariant=True),
    "vit": tasks.digits_vit(width=8, depth=1, heads=2, scale_invariant=True),
    "gpt": tasks.char_gpt(width=8, depth=1, context=6, heads=2, scale_invariant=True, train_tokens=600),
}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
every_invariant = pytest.mark.parametrize("task", INVARIANT.values(), ids=INVARIANT)


@pytest.fixture(autouse=True)
def _deterministic():
    with deterministic():
        yield


def batch(task, size=16, dtype=torch.float64):
    data = task.data()
    inputs, targets = torch.tensor(data.train_inputs[:size]), torch.tensor(data.train_targets[:size])
    return (inputs.to(dtype) if inputs.is_floating_point() else inputs), targets


def gradients(task, dtype=torch.float64, seed=0):
    network = task.network(seed, dtype)
    inputs, targets = batch(task, dtype=dtype)
    loss = task.loss(network(inputs), targets)
    return dict(
        zip(dict(network.named_parameters()), torch.autograd.grad(loss, list(network.parameters())), strict=True)
    )


@every_task
def test_a_seed_gives_the_same_bits_in_every_dtype_and_leaves_torch_alone(task):
    state = torch.get_rng_state()
    first, again, other = (dict(task.network(seed, torch.float64).state_dict()) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    for dtype in DTYPES:
        rounded = task.network(3, dtype).state_dict()
        assert all(torch.equal(rounded[name], first[name].to(dtype)) for name in first)


@pytest.mark.parametrize(
    ("task", "count"),
    [
        (tasks.digits_mlp(width=8, depth=2), 64 * 8 + 8 + 8 * 8 + 8 + 8 * 10 + 10),
        (tasks.digits_mlp(width=8, depth=2, scale_invariant=True), 64 * 8 + 8 * 8 + 8 * 10),
        # Stem, a block of 4, a block to 8 with its shortcut, each convolution but the shortcut with a norm, the head.
        (tasks.digits_resnet(width=4), (36 + 8) + 2 * (144 + 8) + (288 + 16 + 576 + 16 + 32) + (80 + 10)),
        (tasks.digits_vit(width=8, depth=1, heads=2), (4 * 8 + 8) + 16 * 8 + (12 * 64 + 9 * 8 + 4 * 8) + 16 + 90),
        # nanoGPT without biases: tied vectors, positions, 12 d² and two gains a block, the last gain.
        (tasks.char_gpt(width=8, depth=2, context=6, heads=2), 97 * 8 + 6 * 8 + 2 * (12 * 64 + 16) + 8),
        (tasks.modular_addition(5, 8), 10 * 8 + 8 + 8 * 5 + 5),
        (tasks.random_features(8, inputs=16), 8),
    ],
)
def test_parameter_counts(task, count):
    assert sum(parameter.numel() for parameter in task.network(0, torch.float32).parameters()) == count


@every_task
def test_outputs_have_a_row_for_each_target(task):
    inputs, targets = batch(task)
    outputs = task.network(0, torch.float64)(inputs)
    assert outputs.shape[:-1] == (targets.shape if task.scores_accuracy else targets.shape[:1])
    assert not task.scores_accuracy or outputs.shape[-1] > int(targets.max())


@every_task
def test_every_parameter_gets_a_gradient_and_the_same_one_twice(task):
    first, again = gradients(task), gradients(task)
    assert [name for name, gradient in first.items() if not gradient.abs().max() > 0] == []
    assert all(torch.equal(gradient, again[name]) for name, gradient in first.items())


@every_task
def test_an_example_does_not_see_its_batch_and_evaluation_is_training(task):
    network, (inputs, _) = task.network(0, torch.float64), batch(task)
    together = network(inputs)
    torch.testing.assert_close(network(inputs[3:4])[0], together[3], rtol=1e-12, atol=1e-13)
    assert torch.equal(network.eval()(inputs), together)


def test_a_token_does_not_see_later_ones():
    network, (tokens, _) = TASKS["gpt"].network(0, torch.float64), batch(TASKS["gpt"])
    changed = tokens.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 97
    before, after = network(tokens), network(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any(dim=-1).all()


def test_a_short_window_gives_the_first_logits_of_a_long_one():
    network, (tokens, _) = TASKS["gpt"].network(0, torch.float64), batch(TASKS["gpt"])
    torch.testing.assert_close(network(tokens[:, :3]), network(tokens)[:, :3], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_torchs(causal):
    query, key, value = torch.randn(3, 2, 4, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    own = attend(query, key, value, 0.3, causal)
    torchs = functional.scaled_dot_product_attention(query, key, value, is_causal=causal, scale=0.3)
    torch.testing.assert_close(own, torchs, rtol=1e-13, atol=1e-15)


def scaled(network, factors):
    """The network with each named parameter multiplied (by a number, or by one per row)."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.mul_(factors.get(name, 1.0))
    return network


@every_invariant
def test_powers_of_two_change_no_bit_of_a_scale_invariant_network(task):
    network, (inputs, _) = task.network(0, torch.float64), batch(task)
    names = task.scale_invariant_parameters(network)
    assert set(names) == {name for name, _ in network.named_parameters()}
    before = network(inputs)
    assert torch.equal(scaled(task.network(0, torch.float64), dict.fromkeys(names, 2.0))(inputs), before)
    for name in names:
        assert torch.equal(scaled(task.network(0, torch.float64), {name: 2.0})(inputs), before)


@every_invariant
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_other_factors_change_a_scale_invariant_network_by_rounding(task, dtype):
    network, (inputs, _) = task.network(0, dtype), batch(task, dtype=dtype)
    before = network(inputs).detach()
    names = task.scale_invariant_parameters(network)
    # Measured: at most 4.7 ε of the largest logit, over these networks, dtypes and factors.
    bound = 20 * torch.finfo(dtype).eps * float(before.abs().max())
    for factors in (dict.fromkeys(names, 0.37), *({name: 0.37} for name in names)):
        after = scaled(task.network(0, dtype), factors)(inputs).detach()
        assert float((after - before).abs().max()) < bound


@every_invariant
def test_the_scale_of_each_row_is_free(task):
    network, (inputs, _) = task.network(0, torch.float64), batch(task)
    before = network(inputs)
    factors = {
        name: 2.0 ** (torch.arange(len(parameter), dtype=torch.float64) % 5).reshape(-1, *[1] * (parameter.dim() - 1))
        for name, parameter in network.named_parameters()
    }
    assert torch.equal(scaled(network, factors)(inputs), before)


@every_invariant
def test_gradients_of_scale_invariant_weights_are_orthogonal_to_their_rows(task):
    weights = dict(task.network(0, torch.float64).named_parameters())
    for name, gradient in gradients(task).items():
        assert gradient.norm() > 0
        along = (weights[name].detach() * gradient).flatten(1).sum(dim=1)
        assert float(along.abs().max()) < 1e-15 * float(weights[name].detach().norm() * gradient.norm())


@pytest.mark.parametrize("task", [TASKS[name] for name in INVARIANT], ids=INVARIANT)
def test_other_networks_are_not_scale_invariant_and_name_no_parameter(task):
    network, (inputs, _) = task.network(0, torch.float64), batch(task)
    before = network(inputs)
    assert task.scale_invariant_parameters(network) == ()
    names = [name for name, _ in network.named_parameters()]
    after = scaled(network, dict.fromkeys(names, 2.0))(inputs)
    assert float((after - before).detach().abs().max()) > 0.1


@every_task
def test_bfloat16_weights_take_part_and_the_loss_is_float32(task):
    network, (inputs, targets) = task.network(0, torch.bfloat16), batch(task, dtype=torch.bfloat16)
    outputs = network(inputs)
    loss = task.loss(outputs, targets)
    assert outputs.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    wide, _ = batch(task)
    exact = float(task.loss(task.network(0, torch.float64)(wide), targets).detach())
    # Measured: at most 0.17 %, of values that are each rounded by up to 2⁻⁸.
    assert float(loss.detach()) == pytest.approx(exact, rel=0.01)
    assert all(gradient.dtype == torch.bfloat16 for gradient in gradients(task, torch.bfloat16).values())


def test_unit_rows_of_bfloat16_are_the_rounded_rows():
    weight = torch.randn(5, 300, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    exact = weight.double() / weight.double().norm(dim=1, keepdim=True)
    # Rounded once, from float32: half a unit in the eighth bit.
    assert float(((unit_rows(weight).double() - exact) / exact).abs().max()) < 2**-8 * (1 + 1e-4)


@every_task
def test_an_ensemble_runs_vectorised(task):
    networks = [task.network(seed, torch.float64) for seed in (0, 1, 2)]
    stacked = {
        name: torch.stack([network.state_dict()[name] for network in networks]) for name in networks[0].state_dict()
    }
    inputs = torch.stack([batch(task)[0].roll(shift, dims=0) for shift in range(3)])
    together = vmap(lambda state, examples: functional_call(networks[0], state, (examples,)))(stacked, inputs)
    for one, network, examples in zip(together, networks, inputs, strict=True):
        torch.testing.assert_close(one, network(examples), rtol=1e-11, atol=1e-13)


def test_starting_weights_have_the_stated_spread():
    gpt = tasks.char_gpt(width=64, depth=2).network(0, torch.float64)
    stds = {name: float(parameter.detach().std()) for name, parameter in gpt.named_parameters() if parameter.dim() == 2}
    for name, std in stds.items():
        expected = 0.02 / math.sqrt(4) if "projection" in name else 0.02
        # A standard deviation from n normals is off by 1/√(2n); five of these.
        assert abs(std / expected - 1) < 5 / math.sqrt(2 * dict(gpt.named_parameters())[name].numel()), name


@pytest.mark.parametrize("task", [INVARIANT["resnet"], INVARIANT["vit"]], ids=["resnet", "vit"])
def test_theorem_one_holds_to_the_bit_where_every_weight_is_scale_invariant(task):
    check = theorem_one(task, AdamW(lr=1e-2, weight_decay=0.1), scale=2.0, epochs=1, batch_size=128)
    assert check.weight_residual == 0
    assert check.loss_residual == 0
    other = theorem_one(TASKS["vit"], AdamW(lr=1e-2, weight_decay=0.1), scale=2.0, epochs=1, batch_size=128)
    assert other.weight_residual > 0.01


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_their_weights_are_averages_of_their_updates(name):
    schedule = Cosine(final=0.1, warmup=0.1)
    check = moving_average(TASKS[name], AdamW(lr=1e-2, weight_decay=0.5), epochs=1, batch_size=128, schedule=schedule)
    assert check.residual < 1e-12
    assert check.bound_share <= 1
