"""Averages of the iterates: against a plain loop, against their exact moments, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory.simulation.averaging import tail_start

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
PROBLEM = em.NoisyQuadratic(curvature=[1.0, 0.3, 0.1], optimum=0.5, batch_size=2)
RATES = [0.0, 0.8, 0.99]


def weights(optimizer: Any, steps: int, **settings: Any) -> np.ndarray:
    """The weights (or their averages) of three replicas after each step, shape (replicas, steps + 1, 3)."""
    found = em.simulate(
        PROBLEM, optimizer, steps=steps, record=em.every(1), replicas=3, trajectories=[0, 1, 2], **settings
    )
    return found.trajectory.values


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("optimizer", [em.SGD(lr=0.3, momentum=0.5), em.AdamW(lr=0.1), em.Lion(lr=0.01)])
def test_exponential_averages_are_those_of_a_plain_loop(optimizer: Any, backend: str) -> None:
    path = weights(optimizer, 40)
    found = weights(optimizer, 40, iterate_average=RATES, backend=backend)
    for place, kept in enumerate(RATES):
        mean = path[:, 0]
        for step in range(1, 41):
            mean = kept * mean + (1 - kept) * path[:, step]
            # Each step rounds three times.
            np.testing.assert_allclose(found[place, :, step], mean, rtol=40 * 3 * 2**-53)
    np.testing.assert_array_equal(found[0], path)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("steps", [1, 7, 40])
def test_tail_averages_are_plain_means(steps: int, backend: str) -> None:
    optimizer = em.AdamW(lr=0.1)
    path = weights(optimizer, steps)
    shares = [0.1, 0.25, 1.0]
    found = weights(optimizer, steps, tail_average=shares, backend=backend)
    for place, share in enumerate(shares):
        start = math.ceil((1 - share) * steps)
        for step in range(steps + 1):
            expected = path[:, start : step + 1].mean(axis=1) if step >= start else path[:, step]
            np.testing.assert_allclose(found[place, :, step], expected, rtol=40 * 3 * 2**-53)


@pytest.mark.parametrize("steps", [1, 10, 99, 100, 12345])
def test_the_tail_starts_where_its_decimals_say(steps: int) -> None:
    for hundredths in range(1, 101):
        assert tail_start(hundredths / 100, steps) == -(-(100 - hundredths) * steps // 100)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_exponential_averages_have_the_predicted_moments(momentum: float) -> None:
    optimizer = em.SGD(lr=[0.1, 0.4], momentum=momentum, weight_decay=0.1)
    plan: dict[str, Any] = {
        "steps": 200, "record": [0, 1, 5, 30, 200], "schedule": em.Cosine(final=0.1, warmup=0.1),
        "iterate_average": RATES, "observables": ("risk", "weight_mean", "weight_variance", "weight_mean_square"),
    }  # fmt: skip
    predicted = em.predict(PROBLEM, optimizer, **plan)
    measured = em.simulate(PROBLEM, optimizer, replicas=8192, **plan)
    assert measured.risk.dims == predicted.risk.dims
    assert measured.attrs["iterate_average"] == predicted.attrs["iterate_average"]
    compared = em.compare(measured, predicted)
    z = np.concatenate([compared[name].values.ravel() for name in map(str, compared.data_vars) if name.endswith("_z")])
    moved = z[np.isfinite(z)]
    # The warm-up's first step has no size. Of 144 numbers one is beyond 4.5 by chance in a thousand such tests.
    assert len(moved) == 3 * 2 * 3 * 8
    assert np.abs(moved).max() < 4.5


def test_one_average_has_no_dim_and_is_one_of_several() -> None:
    settings: dict[str, Any] = {"steps": 9, "replicas": 5}
    one = em.simulate(PROBLEM, em.SGD(lr=0.1), iterate_average=0.8, **settings)
    several = em.simulate(PROBLEM, em.SGD(lr=0.1), iterate_average=RATES, **settings)
    assert one.risk.dims == ("step",)
    np.testing.assert_array_equal(one.risk, several.risk.sel(iterate_average=0.8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iterate_average": 0.9, "tail_average": 0.5}, "ask for one at a time"),
        ({"iterate_average": 1.0}, r"iterate_average must be in \[0, 1\), got 1.0"),
        ({"tail_average": 0.0}, r"tail_average must be in \(0, 1\], got 0.0"),
        ({"tail_average": 0.5, "observables": "rotation"}, "rotation is of the optimizer's own steps: leave out tail_"),
        ({"iterate_average": 0.5, "observables": "update_norm"}, "leave out iterate_average"),
        ({"iterate_average": 0.5, "first_passage": {"update_norm": 0.1}}, "leave out iterate_average"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.simulate(PROBLEM, em.SGD(lr=0.1), steps=5, **settings)


def test_quantiles_lags_and_passages_are_of_the_averages() -> None:
    settings: dict[str, Any] = {
        "steps": 20, "record": em.every(1), "replicas": 70, "quantiles": [0.5], "lags": [0, 3],
        "first_passage": {"risk": 0.05},
    }  # fmt: skip
    plain = em.simulate(PROBLEM, em.SGD(lr=0.3), **settings)
    both = em.simulate(PROBLEM, em.SGD(lr=0.3), iterate_average=[0.0, 0.9], **settings)
    for name in ("risk_quantiles", "autocovariance", "risk_first_passage"):
        np.testing.assert_array_equal(both[name].sel(iterate_average=0.0), plain[name])
    assert float(both.risk_first_passage[1]) > float(both.risk_first_passage[0])
