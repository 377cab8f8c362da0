"""The gradients of many members at once: each is its member's own, whatever operations make up the loss."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from ematheory import tasks
from ematheory.training.determinism import deterministic
from ematheory.training.stacked_gradient import StackedGradient, aten

TASKS = {
    "mlp": tasks.digits_mlp(width=8),
    "resnet": tasks.digits_resnet(width=4),
    "vit": tasks.digits_vit(width=8, depth=1, heads=2),
    "gpt": tasks.char_gpt(width=8, depth=2, context=6, heads=2, train_tokens=600),
    "addition": tasks.modular_addition(modulus=5, width=8),
    "features": tasks.random_features(width=8, inputs=16, train_size=32),
}
MEMBERS, BATCH = 3, 16


@pytest.fixture(autouse=True)
def _deterministic():
    with deterministic():
        yield


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


def assert_each_is_its_own(loss, trained, inputs, targets, fixed=()):
    """Against autograd on one member after another; the `StackedGradient` comes back."""
    names, others = [f"trained {i}" for i in range(len(trained))], [f"fixed {i}" for i in range(len(fixed))]
    gradient = StackedGradient(loss, names, others)
    with torch.no_grad():
        for _ in range(2):
            found, losses = gradient(trained, fixed, inputs, targets)
    for member in range(len(inputs)):
        leaves = [values[member].clone().requires_grad_() for values in trained]
        named = dict(zip([*names, *others], [*leaves, *(values[member] for values in fixed)], strict=True))
        own = loss(named, inputs[member], targets[member])
        torch.testing.assert_close(losses[member], own.detach(), rtol=1e-13, atol=0)
        wanted = torch.autograd.grad(own, leaves, materialize_grads=True)
        for stacked, alone in zip(found, wanted, strict=True):
            torch.testing.assert_close(stacked[member], alone, rtol=1e-11, atol=1e-14)
    return gradient


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_each_members_gradient_is_its_own(task):
    networks = [task.network(seed, torch.float64) for seed in range(MEMBERS)]
    trained = [name for name, _ in networks[0].named_parameters()]
    fixed = [name for name, _ in networks[0].named_buffers()]
    stacked = {name: torch.stack([network.state_dict()[name] for network in networks]) for name in [*trained, *fixed]}
    data = task.data()
    inputs, targets = torch.tensor(data.train_inputs[:BATCH]), torch.tensor(data.train_targets[:BATCH])

    def loss(values, inputs, targets):
        own = dict(zip([*trained, *fixed], values.values(), strict=True))
        return task.loss(functional_call(networks[0], own, (inputs,)), targets)

    inputs, targets = (
        torch.stack([part.roll(shift, dims=0) for shift in range(MEMBERS)]) for part in (inputs, targets)
    )
    gradient = assert_each_is_its_own(
        loss, [stacked[name] for name in trained], inputs, targets, [stacked[name] for name in fixed]
    )
    assert len(gradient.traced) == 1


def in_place(values, inputs, targets):
    """Views are taken before what they are of changes, and after."""
    hidden = inputs @ values["trained 0"]
    view, kept = hidden.view(hidden.shape), hidden.detach().clone()
    hidden.mul_(2)
    view[0].add_(kept[0])
    return (hidden.relu_() - targets).square().mean()


def turned_twice(values, inputs, targets):
    """A product that is wanted as it is and transposed."""
    product = inputs @ values["trained 0"]
    return (product.T @ product - targets.T @ targets).square().sum() + (product.T * targets.T).sum()


def one_unused(values, inputs, targets):
    return (inputs @ values["trained 0"] - targets).square().mean()


KEPT = normal(4)


def with_a_constant(values, inputs, targets):
    """A tensor that is neither a parameter nor a buffer, as a network may keep one."""
    hidden = inputs @ values["trained 0"]
    return (hidden * KEPT.view(1, 4).expand(hidden.shape) - targets).square().mean()


@pytest.mark.parametrize("loss", [in_place, turned_twice, one_unused, with_a_constant])
def test_of_a_loss_of_ones_own(loss):
    trained = [normal(MEMBERS, 5, 4), normal(MEMBERS, 2)]
    assert_each_is_its_own(loss, trained, normal(MEMBERS, 6, 5), normal(MEMBERS, 6, 4))


def test_products_come_in_the_weights_own_layout():
    """As the update reads them, without a copy: no product of a linear layer is wanted transposed."""
    weight, inputs = normal(MEMBERS, 4, 5), normal(MEMBERS, 6, 5)

    def loss(values, inputs, targets):
        return torch.nn.functional.linear(inputs, values["trained 0"]).mul(targets).sum()

    gradient = assert_each_is_its_own(loss, [weight], inputs, normal(MEMBERS, 6, 4))
    (traced,) = gradient.traced.values()
    assert sum(node.target is aten.bmm.default for node in traced.graph.nodes) == 2
    with torch.no_grad():
        assert gradient([weight], [], inputs, normal(MEMBERS, 6, 4))[0][0].is_contiguous()


def test_what_the_loss_writes_to_is_written_to_once_a_step():
    """Running statistics: tracing the loss is no step."""
    seen, weights, inputs = torch.zeros(MEMBERS, 5), normal(MEMBERS, 5), normal(MEMBERS, 6, 5)

    def loss(values, inputs, targets):
        values["fixed 0"].add_(1)
        return (inputs * values["trained 0"] * values["fixed 0"] - targets).square().mean()

    gradient = StackedGradient(loss, ["trained 0"], ["fixed 0"])
    for step in (1, 2, 3):
        with torch.no_grad():
            gradient([weights], [seen], inputs, inputs)
        assert (seen == step).all()


@pytest.mark.parametrize("change", [torch.nn.functional.dropout, lambda hidden: hidden[hidden > 0]])
def test_a_loss_that_cannot_be_vectorised_is_refused_in_words(change):
    def loss(values, inputs, targets):
        return change(inputs * values["trained 0"]).sum()

    with pytest.raises(ValueError, match=r"may draw no random numbers.*use ensemble=1"):
        StackedGradient(loss, ["trained 0"], [])([normal(MEMBERS, 1)], [], normal(MEMBERS, 4), normal(MEMBERS, 4))


def test_each_shape_is_traced_once():
    def loss(values, inputs, targets):
        return (values["trained 0"] * inputs).sum() * targets.sum()

    gradient = StackedGradient(loss, ["trained 0"], [])
    for members, batch in ((3, 4), (2, 4), (3, 4), (3, 5)):
        weights, inputs = normal(members, 1), normal(members, batch)
        with torch.no_grad():
            (found,), _ = gradient([weights], [], inputs, inputs)
        torch.testing.assert_close(found[:, 0], inputs.sum(1) * inputs.sum(1))
    assert len(gradient.traced) == 3
