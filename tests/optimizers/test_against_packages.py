"""The other records' updates against the installed packages' own over 20 steps in float64, and their wrong input."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import ematheory as em
from ematheory import schedules
from ematheory.optimizers import COUPLED, RECORDS, Optimizer
from ematheory.simulation import arrays
from ematheory.simulation.clock import Clock

STEPS, WEIGHTS = 20, 24
# Those that test_against_torch.py has not.
OTHERS = [kind for kind in (*RECORDS, *COUPLED) if kind not in (em.AdamW, em.Adam, em.SGD)]
SCHEDULES = {"constant": None, "cosine": em.Cosine(final=0.1, warmup_steps=5)}


def package(name: str, **given: Any) -> Callable[[Any], Any]:
    def make(weight: Any) -> Any:
        import pytorch_optimizer

        return getattr(pytorch_optimizer, name)([weight], foreach=False, **given)

    return make


def of_torch(name: str, **given: Any) -> Callable[[Any], Any]:
    return lambda weight: getattr(torch.optim, name)([weight], **given)


def schedule_free(name: str, **given: Any) -> Callable[[Any], Any]:
    def make(weight: Any) -> Any:
        import schedulefree

        optimizer = getattr(schedulefree, name)([weight], **given)
        optimizer.train()
        return optimizer

    return make


def adamp(weight: Any) -> Any:
    import adamp as installed

    return installed.AdamP([weight], lr=0.02, weight_decay=0.3, betas=(0.8, 0.95), delta=0.6, wd_ratio=0.2)


PAIRS: dict[str, tuple[Optimizer, Callable[[Any], Any]]] = {
    "Lion": (
        em.Lion(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95)),
        package("Lion", lr=0.02, weight_decay=0.3, weight_decouple=True, betas=(0.8, 0.95)),
    ),
    "SignSGD": (
        em.SignSGD(lr=0.02, weight_decay=0.3),
        package("SignSGD", lr=0.02, momentum=0.0, weight_decay=0.3, weight_decouple=True),
    ),
    "Signum": (
        em.SignSGD(lr=0.02, momentum=0.7, weight_decay=0.3),
        package("SignSGD", lr=0.02, momentum=0.7, weight_decay=0.3, weight_decouple=True),
    ),
    "RMSprop": (
        em.RMSprop(lr=0.02, beta2=0.9, weight_decay=0.3, momentum=0.6),
        of_torch("RMSprop", lr=0.02, alpha=0.9, weight_decay=0.3, momentum=0.6),
    ),
    "RMSprop without momentum": (em.RMSprop(lr=0.02, eps=0.1), of_torch("RMSprop", lr=0.02, eps=0.1)),
    "NAdam": (
        em.NAdam(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95)),
        of_torch("NAdam", lr=0.02, weight_decay=0.3, betas=(0.8, 0.95)),
    ),
    "NAdam, per LR": (
        em.NAdam(lr=0.02, weight_decay=0.3, momentum_decay=0.1, decay="per_lr"),
        of_torch("NAdam", lr=0.02, weight_decay=0.3, momentum_decay=0.1, decoupled_weight_decay=True),
    ),
    "AdEMAMix": (
        em.AdEMAMix(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95), beta3=0.99, alpha=2.0),
        package("AdEMAMix", lr=0.02, weight_decay=0.3, weight_decouple=True, betas=(0.8, 0.95, 0.99), alpha=2.0),
    ),
    "AdamC": (
        em.AdamC(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95), eps=0.0),
        lambda weight: package("AdamC", lr=0.02, weight_decay=0.3, betas=(0.8, 0.95), eps=0.0)(
            {"params": [weight], "normalized": True}
        ),
    ),
    "AdamP": (
        em.AdamP(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95), delta=0.6, wd_ratio=0.2), adamp,
    ),
    "Amos": (
        em.Amos(lr=0.1, scale=np.sqrt(2 / WEIGHTS), beta2=0.95, momentum=0.6),
        package("Amos", lr=0.1, beta=0.95, momentum=0.6),
    ),
    "Schedule-Free AdamW": (
        em.ScheduleFreeAdamW(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95)),
        schedule_free(
            "AdamWScheduleFreeReference", lr=0.02, weight_decay=0.3, betas=(0.8, 0.95), weight_lr_power=0.0
        ),
    ),
    "Schedule-Free SGD": (
        em.ScheduleFreeSGD(lr=0.2, weight_decay=0.3, beta1=0.8),
        schedule_free("SGDScheduleFreeReference", lr=0.2, weight_decay=0.3, momentum=0.8, weight_lr_power=0.0),
    ),
}  # fmt: skip


def gradients(name: str, point: Any, step: int) -> Any:
    """Noise and a pull; for AdamP every other gradient is nearly tangential, so that both its branches run."""
    noise = np.random.default_rng((3, step)).normal(size=WEIGHTS)
    if name == "AdamP" and step % 2:
        return noise - point * (noise @ point) / (point @ point)
    return noise + 0.5 * point


def by_record(name: str, record: Any, multipliers: Any) -> Any:
    block, _ = Clock(record, 1, STEPS, multipliers).block(0, STEPS)
    state, weights = record.initial(arrays, np.random.default_rng(4).normal(size=WEIGHTS)), []
    for step in range(STEPS):
        c = record.Coefficients(*block[0, step])
        point = record.point(arrays, state, c)
        state = record.update(arrays, state, gradients(name, point, step), c)
        weights.append(state.weight)
    return np.array(weights)


def by_package(name: str, make: Callable[[Any], Any], multipliers: Any) -> Any:
    """The weights after each step: what the package evaluates at, which for Schedule-Free is the average x."""
    # Amos and AdamP take the shape of a matrix for what it is; one row is one vector.
    shape = (1, WEIGHTS) if name in ("Amos", "AdamP") else (WEIGHTS,)
    weight = torch.nn.Parameter(torch.tensor(np.random.default_rng(4).normal(size=WEIGHTS).reshape(shape)))
    optimizer = make(weight)
    peak, weights = optimizer.param_groups[0]["lr"], []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = peak * multipliers[step]
        weight.grad = torch.tensor(gradients(name, weight.detach().numpy().ravel(), step).reshape(shape))
        optimizer.step()
        seen = optimizer.state[weight].get("x", weight) if name.startswith("Schedule") else weight
        weights.append(seen.detach().numpy().ravel().copy())
    return np.array(weights)


@pytest.fixture(autouse=True)
def _scalars_in_float64():
    """torch and the packages keep their scalar state (NAdam's product, Amos's means) in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", PAIRS)
def test_the_update_is_the_package_s(name, schedule):
    record, make = PAIRS[name]
    multipliers = schedules.multipliers(SCHEDULES[schedule], STEPS)
    ours, theirs = by_record(name, record, multipliers), by_package(name, make, multipliers)
    assert np.abs(ours - theirs).max() <= 1e-12 * np.abs(theirs).max()
    assert np.abs(theirs[-1] - theirs[0]).max() > 1e-3


def test_both_branches_of_adamp_ran():
    record = PAIRS["AdamP"][0]
    plain = em.AdamW(lr=0.02, weight_decay=0.3, betas=(0.8, 0.95))
    ones = np.ones(STEPS)
    projected, whole = by_record("AdamP", record, ones), by_record("AdamP", plain, ones)
    # The first gradient has a part along the weight and moves both alike; the second has none.
    np.testing.assert_array_equal(projected[0], whole[0])
    assert np.abs(projected[1] - whole[1]).max() > 1e-4


@pytest.mark.parametrize("kind", OTHERS)
def test_every_record_simulates_and_sweeps(kind):
    problem = em.NoisyQuadratic(curvature=[1.0, 0.5], batch_size=4)
    record = kind(lr=[0.01, 0.02])
    found = em.simulate(problem, record, steps=60, replicas=64, seed=1, observables=["risk", "weight_mean"])
    assert found.risk.dims == ("lr", "step")
    assert (found.risk[:, -1] < found.risk[:, 0]).all()


@pytest.mark.parametrize(("kind", "name"), list(itertools.product((*OTHERS, em.AdamC), ("lr",))))
def test_a_rate_out_of_range_is_refused(kind, name):
    with pytest.raises(ValueError, match=f"{name} must be finite and > 0"):
        kind(**{name: 0.0})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: em.Lion(lr=1.0, betas=(0.9, 1.0)), r"betas\[1\] must be in \[0, 1\)"),
        (lambda: em.SignSGD(lr=1.0, momentum=1.0), r"momentum must be in \[0, 1\)"),
        (lambda: em.RMSprop(lr=1.0, eps=-1.0), "eps must be finite and >= 0"),
        (lambda: em.NAdam(lr=1.0, decay="decoupled"), "decay must be one of 'l2', 'per_lr'"),
        (lambda: em.AdEMAMix(lr=1.0, beta3=1.0), r"beta3 must be in \[0, 1\)"),
        (lambda: em.AdamC(lr=1.0, decay="per_lr"), "AdamC is AdamW with decay='corrected'"),
        (lambda: em.Amos(lr=1.0, weight_decay=0.1), "decides on its decay itself"),
        (lambda: em.AdamP(lr=1.0, delta=-0.1), "delta must be finite and >= 0"),
        (lambda: em.ScheduleFreeSGD(lr=1.0, beta1=1.0), r"beta1 must be in \[0, 1\)"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
