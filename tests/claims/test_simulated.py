"""What simulated levels make their estimates with: known answers."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from ematheory.claims.independent_targets import least
from ematheory.claims.paired import averaged, exceeds
from ematheory.claims.simulated import jackknife
from ematheory.claims.verdict import outcome
from ematheory.claims.zhang2019 import steps_to_target


def test_jackknife_of_a_mean_is_its_standard_error():
    samples = np.random.default_rng(0).normal(size=(40, 3))
    found, error = jackknife(samples, lambda means: means)
    np.testing.assert_allclose(found, samples.mean(axis=0))
    np.testing.assert_allclose(error, samples.std(axis=0, ddof=1) / 40**0.5)


def test_jackknife_of_a_ratio_is_the_delta_method():
    samples = 5 + np.random.default_rng(1).normal(size=(4000, 2))
    found, error = jackknife(samples, lambda means: means[:, 0] / means[:, 1])
    assert found == pytest.approx(1.0, abs=0.02)
    assert error == pytest.approx(2**0.5 / 5 / 4000**0.5, rel=0.1)


def test_least_of_a_cubic_of_log_risk():
    places = np.geomspace(1.0, 4.0, 9)
    x = np.log(places / 2.1)
    found = least(np.exp(0.3 + x**2 + 0.1 * x**3)[None], places, 4)
    np.testing.assert_allclose(found.place, 2.1, rtol=1e-10)
    np.testing.assert_allclose(found.value, np.exp(0.3), rtol=1e-10)


def test_average_of_iterates():
    weights = np.random.default_rng(2).normal(size=(2, 6))
    expected = [weights[:, 0]]
    for now in weights.T[1:]:
        expected.append(0.9 * expected[-1] + 0.1 * now)
    np.testing.assert_allclose(steps_to_target.averaged(weights, 0.9), np.stack(expected, axis=-1))


def test_fewest_steps(monkeypatch):
    """Of e^(−0.1t) and of a risk that stays above the target; without the window the first is exact."""
    monkeypatch.setattr(steps_to_target, "WINDOW", 0.0)
    grid = np.arange(0.0, 60.0, 3.0)
    means = np.stack([np.exp(-0.1 * grid), np.full(grid.size, 0.5)])
    assert steps_to_target.fewest(means[None], grid, 0.05)[0] == pytest.approx(np.log(20) / 0.1, rel=1e-12)
    assert np.isinf(steps_to_target.fewest(means[None, 1:], grid, 0.05)[0])


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_replica_that_diverged_is_not_left_out(bad):
    """A mean over the others would tell of those that went well."""
    values = xr.DataArray(np.linspace(0.9, 1.1, 20), dims="replica")
    kept = averaged("w", values, 1.0, resolution=1.0), exceeds("no more than 0", values)
    assert [outcome(each, 1).verdict for each in kept] == ["confirmed", "confirmed"]
    values[3] = bad
    lost = averaged("w", values, 1.0, resolution=1.0), exceeds("no more than 0", values)
    assert [outcome(each, 1).verdict for each in lost] == ["inconclusive", "refuted"]
