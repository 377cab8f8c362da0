"""Steps to a target against a scan of every step, and best hyperparameters against closed forms and a fine grid."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ematheory as em

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
        ({"over": ["eps"]}, "over must be one of 'lr', 'weight_decay', 'momentum', got 'eps'"),
        ({"over": {"lr": (1.0, 0.1)}}, r"bounds of lr must be 0 < low < high, got \(1.0, 0.1\)"),
        ({"over": []}, "one or two"),
    ],
)
def test_wrong_searches_are_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        em.best_hyperparameters(em.NoisyQuadratic(1.0), em.SGD(lr=0.1), **arguments)


def test_a_sweep_has_no_one_best() -> None:
    with pytest.raises(ValueError, match=r"NoisyQuadratic\.batch_size is a sweep axis"):
        em.best_hyperparameters(PROBLEM, em.SGD(lr=0.1))


def test_a_target_that_is_never_reached_is_nan() -> None:
    found = em.steps_to_target(em.NoisyQuadratic(1.0), em.SGD(lr=0.5), 1e-9, max_steps=100)
    assert math.isnan(float(found))
    with pytest.raises(ValueError, match="target must be finite and > 0"):
        em.steps_to_target(em.NoisyQuadratic(1.0), em.SGD(lr=0.5), 0.0)
