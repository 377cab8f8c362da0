"""Each record's update against torch.optim's own over 20 steps in float64: rtol 1e-12 of the largest entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory import schedules
from ematheory.optimizers import Optimizer
from ematheory.simulation import arrays
from ematheory.simulation.clock import Clock

torch = pytest.importorskip("torch")

STEPS, WEIGHTS = 20, 37
RTOL = 1e-12
SCHEDULES = {"constant": None, "cosine with warm-up": em.Cosine(final=0.1, warmup=0.3)}

PAIRS: dict[str, tuple[Optimizer, Callable[[Any], Any]]] = {
    "AdamW": (
        em.AdamW(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95)),
        lambda w: torch.optim.AdamW([w], lr=0.02, weight_decay=0.3, betas=(0.8, 0.95)),
    ),
    "AdamW with a large eps": (
        em.AdamW(lr=0.02, weight_decay=0.3, eps=0.1),
        lambda w: torch.optim.AdamW([w], lr=0.02, weight_decay=0.3, eps=0.1),
    ),
    "Adam with L2": (
        em.Adam(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95)),
        lambda w: torch.optim.Adam([w], lr=0.02, weight_decay=0.3, betas=(0.8, 0.95)),
    ),
    "SGD": (em.SGD(lr=0.1), lambda w: torch.optim.SGD([w], lr=0.1)),
    "SGD with L2": (em.SGD(lr=0.1, weight_decay=0.3), lambda w: torch.optim.SGD([w], lr=0.1, weight_decay=0.3)),
    "SGD with momentum and L2": (
        em.SGD(lr=0.1, momentum=0.9, weight_decay=0.3),
        lambda w: torch.optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.3),
    ),
    "SGD, Nesterov": (
        em.SGD(lr=0.1, momentum=0.9, weight_decay=0.3, nesterov=True),
        lambda w: torch.optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.3, nesterov=True),
    ),
}


def gradients() -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).normal(size=(STEPS, WEIGHTS))


def initial_weight() -> np.ndarray[Any, Any]:
    return np.random.default_rng(4).normal(size=WEIGHTS)


def by_record(record: Optimizer, multipliers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The weights after each step, by the record's own coefficients and update."""
    block, _ = Clock(record, 1, STEPS, multipliers).block(0, STEPS)
    state, weights = record.initial(np, initial_weight()), []
    for step, gradient in enumerate(gradients()):
        state = record.update(arrays, state, gradient, record.Coefficients(*block[0, step]))
        weights.append(state.weight)
    return np.array(weights)


def by_torch(make: Callable[[Any], Any], multipliers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    weight = torch.nn.Parameter(torch.tensor(initial_weight()))
    optimizer = make(weight)
    peak, weights = optimizer.param_groups[0]["lr"], []
    for step, gradient in enumerate(gradients()):
        optimizer.param_groups[0]["lr"] = peak * multipliers[step]
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        weights.append(weight.detach().numpy().copy())
    return np.array(weights)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
@pytest.mark.parametrize("name", PAIRS)
def test_the_update_is_torch_s(name: str, schedule: Any) -> None:
    record, make = PAIRS[name]
    multipliers = schedules.multipliers(schedule, STEPS)
    ours, theirs = by_record(record, multipliers), by_torch(make, multipliers)
    assert np.abs(ours - theirs).max() <= RTOL * np.abs(theirs).max()
    assert np.abs(theirs[-1] - theirs[0]).max() > 1e-3


@pytest.mark.parametrize(("decay", "torch_decay"), [("independent", 0.3 / 0.02), ("per_lr", 0.3)])
def test_independent_decay_is_per_lr_decay_with_lambda_over_eta(decay: str, torch_decay: float) -> None:
    ones = np.ones(STEPS)
    ours = by_record(em.AdamW(lr=0.02, weight_decay=0.3, decay=decay), ones)
    theirs = by_torch(lambda w: torch.optim.AdamW([w], lr=0.02, weight_decay=torch_decay), ones)
    assert np.abs(ours - theirs).max() <= RTOL * np.abs(theirs).max()


def test_per_lr_decay_of_sgd_is_a_shrink_before_torch_s_step() -> None:
    """SGD(decay="per_lr") has no torch.optim name; torch's step after w ← (1 − ηλ)w is it."""
    multipliers = em.Cosine(final=0.1, warmup=0.3).multipliers(STEPS)
    ours = by_record(em.SGD(lr=0.1, momentum=0.9, weight_decay=0.3, decay="per_lr"), multipliers)
    weight = torch.nn.Parameter(torch.tensor(initial_weight()))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    for step, gradient in enumerate(gradients()):
        rate = 0.1 * multipliers[step]
        optimizer.param_groups[0]["lr"] = rate
        with torch.no_grad():
            weight.mul_(1 - rate * 0.3)
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        np.testing.assert_allclose(ours[step], weight.detach().numpy(), rtol=0, atol=RTOL * np.abs(ours).max())


def test_a_wrong_convention_does_not_pass() -> None:
    """L2 in place of per-LR decay, and a forgotten bias correction, are seen by the same comparison."""
    ones = np.ones(STEPS)
    theirs = by_torch(PAIRS["AdamW"][1], ones)
    l2 = by_record(em.Adam(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95)), ones)
    assert np.abs(l2 - theirs).max() > 1e-3
