"""Standard errors: against the textbook estimates, and that they are the spread of repeated measurements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory.simulation.reductions import replica_moments
from ematheory.simulation.statistics import mean_error, variance, variance_error

RANDOM = np.random.default_rng(8)


def test_the_textbook_estimates() -> None:
    values = RANDOM.gamma(2.0, size=200)
    moments = replica_moments(values, 0)
    n, v = len(values), values.var(ddof=1)
    fourth = ((values - values.mean()) ** 4).mean()
    assert float(variance(moments)) == pytest.approx(v, rel=1e-13)
    assert float(mean_error(moments)) == pytest.approx(np.sqrt(v / n), rel=1e-13)
    assert float(variance_error(moments)) == pytest.approx(np.sqrt((fourth - v**2 * (n - 3) / (n - 1)) / n), rel=1e-12)


def test_one_replica_has_no_standard_error() -> None:
    moments = replica_moments(np.array([1.0]), 0)
    assert float(moments.mean) == 1.0
    assert all(np.isnan(of(moments)) for of in (variance, mean_error, variance_error))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_replicas_have_finite_errors(n: int) -> None:
    moments = replica_moments(RANDOM.normal(size=(n, 50)), 0)
    assert np.isfinite(variance_error(moments)).all()
    assert (variance_error(moments) >= 0).all()


def test_replicas_that_agree_have_an_error_of_zero() -> None:
    moments = replica_moments(np.full(100, 0.1), 0)
    assert float(variance_error(moments)) == 0.0


@pytest.mark.parametrize("draw", [RANDOM.standard_normal, RANDOM.standard_exponential])
def test_the_variance_s_error_is_the_spread_of_variances(draw: Any) -> None:
    """2000 samples of 64: the mean square of the stated errors is the variance of the estimates, within 5 σ."""
    moments = replica_moments(draw(size=(64, 2000)), 0)
    estimates, errors = variance(moments), variance_error(moments)
    spread = estimates.var(ddof=1)
    kurtosis = ((estimates - estimates.mean()) ** 4).mean() / spread**2
    tolerance = 5 * spread * np.sqrt((kurtosis - 1) / 2000) + 5 * (errors**2).std() / np.sqrt(2000)
    # The estimate of the fourth moment is itself biased by O(1/R), under 10 % at 64.
    assert abs((errors**2).mean() - spread) <= tolerance + 0.1 * spread


def test_simulated_errors_are_the_spread_between_replica_ranges() -> None:
    """64 disjoint ranges of 64 replicas: their means scatter as `risk_sem` says."""
    problem, optimizer = em.NoisyQuadratic(curvature=[1.0, 0.3]), em.SGD(lr=0.2)
    runs = [
        em.simulate(problem, optimizer, steps=12, record=[12], replicas=range(a, a + 64), backend="reference")
        for a in range(0, 64 * 64, 64)
    ]
    means = np.array([float(run.risk[0]) for run in runs])
    stated = np.mean([float(run.risk_sem[0]) ** 2 for run in runs])
    # A variance of 64 near-normal means has relative standard error √(2/63) = 0.18.
    assert means.var(ddof=1) == pytest.approx(stated, rel=5 * 0.18)
