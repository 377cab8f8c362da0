"""Steps to a target against a scan of every step, and best hyperparameters against closed forms and a fine grid."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import ematheory as em
from ematheory.optimizers.optimizer import SymbolicTime
from ematheory.prediction import Best
from ematheory.prediction.best import timescale_of

PROBLEM = em.NoisyQuadratic(curvature=[1.0, 0.1], noise=0.2, optimum=[0.5, -1.0], batch_size=[1, 8])


@pytest.mark.parametrize("optimizer", [em.SGD(lr=[0.02, 0.3], momentum=0.5), em.AdamW(lr=[0.01, 0.05])])
@pytest.mark.parametrize("target", [0.3, 0.12, 0.05, 1e-4])
def test_steps_to_target_are_those_of_a_scan(optimizer, target) -> None:
    most = 700
    found = em.steps_to_target(PROBLEM, optimizer, target, max_steps=most)
    assert found.dims == ("lr", "batch_size")
    risk = em.predict(PROBLEM, optimizer, steps=most, record=em.every(1)).risk.sel(step=slice(1, None))
    below = (risk <= target).values
    expected = np.where(below.any(axis=-1), below.argmax(axis=-1) + 1.0, np.nan)
    np.testing.assert_array_equal(found.values, expected)


def test_under_a_schedule_the_shortest_run_counts() -> None:
    problem, optimizer = em.NoisyQuadratic([1.0, 0.1], noise=0.2), em.SGD(lr=0.2)
    found = int(em.steps_to_target(problem, optimizer, 0.01, schedule=em.Linear(), max_steps=400))

    def end(steps: int) -> float:
        return float(em.predict(problem, optimizer, steps=steps, schedule=em.Linear(), record=[steps]).risk[0])

    assert end(found) <= 0.01 < end(found - 1)


def test_best_decay_is_q7() -> None:
    """λ* = ησ²h/(4hθ*² − ησ²) at small η."""
    lr, noise, h, optimum = 1e-5, 3.0, 0.7, 0.01
    found = em.best_hyperparameters(
        em.NoisyQuadratic(h, noise=noise, optimum=optimum), em.SGD(lr=lr), over=["weight_decay"]
    )
    expected = lr * noise * h / (4 * h * optimum**2 - lr * noise)
    assert found.values["weight_decay"] == pytest.approx(expected, rel=3e-3)
    assert found.interior == {"weight_decay": True}
    assert found.timescale_steps == pytest.approx(1 / (lr * expected), rel=3e-3)
    assert found.lower["weight_decay"] < found.values["weight_decay"] < found.upper["weight_decay"]
    assert min(found.value_lower["weight_decay"], found.value_upper["weight_decay"]) > found.value


def test_without_an_optimum_no_decay_is_best_and_the_edge_is_named() -> None:
    found = em.best_hyperparameters(
        em.NoisyQuadratic(1.0, noise=1e-6, optimum=5.0, init=0.0), em.SGD(lr=0.1), over={"weight_decay": (1e-6, 1.0)},
        steps=1000,
    )  # fmt: skip
    assert found.values["weight_decay"] < 2e-6 or not found.interior["weight_decay"]


@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        ("x", {}, "target must be one number, got 'x'"),
        ([0.1, 0.2], {}, r"target must be one number, got \[0.1, 0.2\]"),
        (0.1, {"schedule": [1, 1]}, r"schedule must be one such as Cosine\(final=0.1\), .* any length, got \[1, 1\]"),
    ],
)
def test_wrong_targets_are_refused(target, more, message) -> None:
    with pytest.raises(TypeError, match=message):
        em.steps_to_target(em.NoisyQuadratic(1.0), em.SGD(lr=0.1), target, **more)


def test_two_at_once_beat_a_fine_grid() -> None:
    problem = em.NoisyQuadratic([1.0, 0.1, 0.01], noise=0.5, optimum=1.0, init=0.0)
    run = {"steps": 200, "schedule": em.Cosine()}
    bounds = {"lr": (1e-3, 1.0), "weight_decay": (1e-4, 10.0)}
    found = em.best_hyperparameters(problem, em.SGD(lr=0.1), over=bounds, **run)
    swept = em.SGD(lr=np.geomspace(1e-3, 0.19, 60), weight_decay=np.geomspace(1e-4, 8.0, 60))
    assert found.value <= float(em.predict(problem, swept, record=[200], **run).risk.min())
    assert all(found.interior.values())
    assert isinstance(found.optimizer, em.SGD)
    assert float(found.optimizer.lr) == found.values["lr"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"over": ["eps"]},
            "over must be one of 'lr', 'weight_decay', 'momentum', 'timescale', 'timescale_run_fraction', got 'eps'",
        ),
        ({"over": ["weight_decay", "timescale"]}, "weight_decay and timescale both set the decay"),
        ({"over": ["timescale_run_fraction"]}, "give steps=, or search timescale"),
        ({"observable": "weight_norm"}, "observable of NoisyQuadratic must be one of 'risk', 'weight_mean_square'"),
        ({"over": {"lr": (1.0, 0.1)}}, r"bounds of lr must be 0 < low < high, got \(1.0, 0.1\)"),
        ({"over": []}, "one or two"),
        ({"over": ["lr", "lr"]}, r"one or two different hyperparameters, got \['lr', 'lr'\]"),
        ({"over": 5}, "over must be one or two names such as 'lr', or a mapping of them to .*, got 5"),
        ({"over": {"lr": 5}}, r"bounds of lr must be a pair \(low, high\), got 5"),
        ({"over": {"lr": ("a", 1.0)}}, "bounds of lr must be one number, got 'a'"),
    ],
)
def test_wrong_searches_are_refused(arguments, message) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        em.best_hyperparameters(em.NoisyQuadratic(1.0), em.SGD(lr=0.1), **arguments)


NOISY = em.NoisyQuadratic([1.0, 0.1, 0.01], noise=0.5, optimum=1.0, init=0.0)


@pytest.mark.parametrize("optimizer", [em.SGD(lr=0.1), em.SGD(lr=0.1, momentum=0.5, decay="per_lr")])
@pytest.mark.parametrize("steps", [None, 1000])
def test_the_best_timescale_is_that_of_the_best_decay(optimizer, steps) -> None:
    decay = em.best_hyperparameters(NOISY, optimizer, ["weight_decay"], steps=steps)
    tau = em.best_hyperparameters(NOISY, optimizer, ["timescale"], steps=steps)
    assert tau.values["timescale"] == pytest.approx(1 / (0.1 * decay.values["weight_decay"]), rel=1e-5)
    assert tau.value == pytest.approx(decay.value, rel=1e-10)
    assert tau.interior == {"timescale": True}
    assert tau.timescale_steps == pytest.approx(tau.values["timescale"], rel=1e-12)
    assert tau.timescale_run_fraction == (None if steps is None else tau.timescale_steps / steps)


def test_the_timescale_as_a_share_of_the_run_is_the_same_search() -> None:
    run = {"steps": 500, "schedule": em.Linear()}
    noisy = em.NoisyQuadratic([1.0, 0.1, 0.01], noise=5.0, optimum=1.0, init=0.0, batch_size=2)
    steps = em.best_hyperparameters(noisy, em.SGD(lr=0.3), ["timescale"], **run)
    share = em.best_hyperparameters(noisy, em.SGD(lr=0.3), {"timescale_run_fraction": (1e-3, 1e3)}, **run)
    assert share.values["timescale_run_fraction"] == pytest.approx(steps.values["timescale"] / 500, rel=1e-4)
    assert share.timescale_run_fraction == pytest.approx(share.values["timescale_run_fraction"], rel=1e-12)
    assert share.bounds == {"timescale_run_fraction": (1e-3, 1e3)}
    assert all((*share.interior.values(), *steps.interior.values()))


def test_rate_and_timescale_find_what_rate_and_decay_do() -> None:
    run = {"steps": 200, "schedule": em.Cosine()}
    decay = em.best_hyperparameters(NOISY, em.SGD(lr=0.1), ["lr", "weight_decay"], **run)
    tau = em.best_hyperparameters(NOISY, em.SGD(lr=0.1), ["lr", "timescale"], **run)
    assert tau.value == pytest.approx(decay.value, rel=1e-9)
    assert tau.values["lr"] == pytest.approx(decay.values["lr"], rel=1e-3)
    assert all(tau.interior.values())
    assert float(tau.optimizer.lr * tau.optimizer.weight_decay) == pytest.approx(1 / tau.values["timescale"], rel=1e-12)


def test_independent_decay_is_the_timescale_whatever_the_rate() -> None:
    """α = s·λ there, so that 1/τ is λ itself; at a constant rate the run is that of λ/η per learning rate."""
    noisy = em.NoisyQuadratic(1.0, noise=5.0, optimum=0.1, init=0.0)
    bounds = {"timescale": (1.0, 1e5)}
    found = em.best_hyperparameters(noisy, em.AdamW(lr=0.05, decay="independent"), bounds, steps=100)
    other = em.best_hyperparameters(noisy, em.AdamW(lr=0.05), bounds, steps=100)
    assert found.optimizer.weight_decay == pytest.approx(1 / found.values["timescale"], rel=1e-12)
    assert found.values["timescale"] == pytest.approx(other.values["timescale"], rel=1e-4)
    assert found.interior == {"timescale": True}
    assert found.error > 0


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (em.SGD(lr=0.5, weight_decay=0.25), 8.0),
        (em.SGD(lr=0.5), math.inf),
        (em.SGD(lr=0.5, momentum=0.5), math.inf),
        (em.AdamW(lr=0.5, weight_decay=0.25, decay="corrected"), 8.0),
        (em.AdamW(lr=0.5, weight_decay=0.25, decay="independent"), 4.0),
        (em.AdEMAMix(lr=0.5, weight_decay=0.25), 8.0),
        (em.NAdam(lr=0.5, weight_decay=0.25, decay="per_lr"), 8.0),
        (em.NAdam(lr=0.5, weight_decay=0.25), None),
        (em.Adam(lr=0.5, weight_decay=0.25), None),
        (em.ScheduleFreeAdamW(lr=0.5, weight_decay=0.25), None),
        # Beyond ηλ = (1 − √μ)² the weight oscillates.
        (em.SGD(lr=0.5, momentum=0.9, weight_decay=0.25), None),
    ],
)
def test_which_optimizers_have_a_timescale(optimizer, expected) -> None:
    assert timescale_of(optimizer) == expected


@pytest.mark.parametrize("nesterov", [False, True])
def test_with_momentum_and_l2_it_is_the_slow_average_s(nesterov) -> None:
    """The larger eigenvalue of what a step without a gradient does to weight and buffer."""
    optimizer = em.SGD(lr=0.1, momentum=0.8, weight_decay=0.02, nesterov=nesterov)
    c = optimizer.coefficients(np, SymbolicTime(1, 0.1, 0.02))
    columns = [optimizer.update(np, optimizer.State(w, m), 0.0, c) for w, m in ((1.0, 0.0), (0.0, 1.0))]
    pole = np.linalg.eigvals(np.array(columns).T).max()
    assert timescale_of(optimizer) == pytest.approx(1 / (1 - pole), rel=1e-10)


def test_what_has_no_timescale_is_not_searched_for_one() -> None:
    for optimizer in (em.Adam(lr=0.1), em.ScheduleFreeSGD(lr=0.1), em.RMSprop(lr=0.1)):
        with pytest.raises(ValueError, match=r"has no λ = 1/\(ητ\) for a timescale τ: .* search weight_decay"):
            em.best_hyperparameters(NOISY, optimizer, ["timescale"], steps=10)
    for over, momentum in ((["timescale"], 0.9), (["momentum", "timescale"], 0.0)):
        with pytest.raises(ValueError, match="with momentum and L2 λ passes through the buffer"):
            em.best_hyperparameters(NOISY, em.SGD(lr=0.1, momentum=momentum), over, steps=10)


def test_no_certificate_at_a_bound_or_on_a_plateau() -> None:
    low = em.best_hyperparameters(em.RandomWalk(2), em.SGD(lr=0.1), steps=10, observable="weight_mean_square")
    assert low.interior == {"lr": False}
    best = Best({"lr": 1.0}, 1.0, {"lr": 0.99}, {"lr": 1.01}, {"lr": 1 + 1e-12}, {"lr": 1.5}, {"lr": (0.1, 10.0)}, None)
    assert best.interior == {"lr": False}
    assert dataclasses.replace(best, value_lower={"lr": 1 + 1e-8}).interior == {"lr": True}
    assert dataclasses.replace(best, value_lower={"lr": 1 + 1e-8}, bounds={"lr": (0.99, 10)}).interior == {"lr": False}


def test_what_has_no_stationary_state_says_so() -> None:
    with pytest.raises(ValueError, match="Schedule-Free averages over all of a run"):
        em.best_hyperparameters(NOISY, em.ScheduleFreeSGD(lr=0.1))
    with pytest.raises(ValueError, match="Amos's steps fall for as long as it runs"):
        em.best_hyperparameters(NOISY, em.Amos(lr=0.1))


def test_a_sweep_has_no_one_best() -> None:
    with pytest.raises(ValueError, match=r"NoisyQuadratic\.batch_size is a sweep axis"):
        em.best_hyperparameters(PROBLEM, em.SGD(lr=0.1))


def test_a_target_that_is_never_reached_is_nan() -> None:
    found = em.steps_to_target(em.NoisyQuadratic(1.0), em.SGD(lr=0.5), 1e-9, max_steps=100)
    assert math.isnan(float(found))
    with pytest.raises(ValueError, match="target must be finite and > 0"):
        em.steps_to_target(em.NoisyQuadratic(1.0), em.SGD(lr=0.5), 0.0)


@pytest.mark.parametrize(("target", "steps"), [(1e-4, 55), (1e-5, 299), (1e-6, 565)])
def test_a_short_dip_of_an_oscillating_run_counts(target, steps):
    problem, optimizer = em.NoisyQuadratic(curvature=[1.0], noise=0.0), em.SGD(lr=0.02, momentum=0.995)
    risk = em.predict(problem, optimizer, steps=steps, record=em.every(1)).risk.values
    assert (risk <= target).nonzero()[0].tolist() == [steps]
    assert float(em.steps_to_target(problem, optimizer, target, max_steps=6000)) == steps


def test_a_start_at_the_target_takes_no_step():
    problem = em.NoisyQuadratic(curvature=[1.0], init=0.5)
    for schedule in (None, em.Linear()):
        assert float(em.steps_to_target(problem, em.SGD(lr=0.1), 0.125, max_steps=50, schedule=schedule)) == 0
