"""An optimum that moves: against a plain loop, against the closed form of the risk in the long run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.simulation.normal import normals

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reversion", [0.0, 0.2])
@pytest.mark.parametrize("averaged", [False, True])
def test_a_run_is_that_of_a_plain_loop(reversion: float, averaged: bool, backend: str) -> None:
    """Heavy-ball SGD on an optimum that takes a step after every update; the risk is against where it then is."""
    h, center, drift, steps, lr, momentum, kept = np.array([1.0, 0.3]), 0.5, np.array([0.2, 0.1]), 25, 0.2, 0.5, 0.9
    noise, moves = normals(4, range(steps), range(2), [0, 1]), normals(4, range(steps), range(2), [0, 1], stream=5)
    weight, buffer, moved = np.ones((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))
    mean, risks = weight, []
    for step in range(steps):
        gradient = h * (weight - (center + moved)) + np.sqrt(h) * noise[step]
        buffer = momentum * buffer + gradient
        weight = weight - lr * buffer
        mean = kept * mean + (1 - kept) * weight
        moved = (1 - reversion) * moved + drift * moves[step]
        risks.append(0.5 * (h * ((mean if averaged else weight) - center - moved) ** 2).sum(-1).mean())
    problem = em.NoisyQuadratic(curvature=h, optimum=center, drift=drift, drift_reversion=reversion)
    found = em.simulate(
        problem, em.SGD(lr=lr, momentum=momentum), steps=steps, record=range(1, steps + 1), seed=4, replicas=2,
        iterate_average=kept if averaged else None, backend=backend,
    )  # fmt: skip
    np.testing.assert_allclose(found.risk, risks, rtol=1e-12)


def stationary_risk(h: Any, noise: float, lr: float, drift: float, reversion: float) -> float:
    """½ Σ h E e² with e = w − θ*: e' = (1−ηh)e + ρδ − η√c n − s n', δ' = (1−ρ)δ + s n'.

    Without reversion E e² = (η²c + s²)/(1 − (1−ηh)²); with it the covariance P of (e, δ) solves P = A P Aᵀ + Q.
    """
    total = 0.0
    for each in h:
        kept = 1 - lr * each
        if not reversion:
            total += 0.5 * each * (lr**2 * noise + drift**2) / (1 - kept**2)
            continue
        a = np.array([[kept, reversion], [0.0, 1 - reversion]])
        q = np.array([[lr**2 * noise + drift**2, -(drift**2)], [-(drift**2), drift**2]])
        p = np.linalg.solve(np.eye(4) - np.kron(a, a), q.ravel()).reshape(2, 2)
        total += 0.5 * each * p[0, 0]
    return total


@pytest.mark.parametrize("reversion", [0.0, 0.1, 1.0])
def test_the_risk_in_the_long_run_is_the_closed_form_s(reversion: float) -> None:
    h, noise, lr, drift = np.array([1.0, 0.5, 0.2]), 0.5, 0.4, 0.1
    problem = em.NoisyQuadratic(curvature=h, noise=noise, init=0.0, drift=drift, drift_reversion=reversion)
    found = em.simulate(problem, em.SGD(lr=lr), steps=200, record=[200], replicas=16384)
    # What is left of the start is (1 − 0.4·0.2)^400 = 3e-15 of it. |z| > 4 comes by chance once in 16 000 tests.
    z = float((found.risk[0] - stationary_risk(h, noise, lr, drift, reversion)) / found.risk_sem[0])
    assert abs(z) < 4
    assert abs(float(found.risk[0] / stationary_risk(h, noise, lr, 0.0, 0.0)) - 1) > 0.02


def test_a_faster_rate_follows_a_faster_optimum() -> None:
    """The best η grows with the drift."""
    rates = [0.01, 0.03, 0.1, 0.3, 1.0]
    best = []
    for drift in (0.0, 0.02, 0.3):
        problem = em.NoisyQuadratic(curvature=1.0, noise=1.0, init=0.0, drift=drift)
        found = em.simulate(problem, em.SGD(lr=rates), steps=1000, record=[1000], replicas=4096).risk
        best.append(rates[int(np.argmin(found.values))])
    assert best == sorted(best)
    assert best[0] < best[1] < best[2]


def test_it_may_be_a_sweep_and_nothing_moves_where_it_is_zero() -> None:
    drift = xr.DataArray([0.0, 0.3], dims="drift", coords={"drift": [0.0, 0.3]})
    settings: dict[str, Any] = {"steps": 15, "replicas": 9, "observables": ("risk", "weight_mean")}
    swept = em.simulate(em.NoisyQuadratic(curvature=[1.0, 0.2], drift=drift), em.AdamW(lr=0.1), **settings)
    still = em.simulate(em.NoisyQuadratic(curvature=[1.0, 0.2]), em.AdamW(lr=0.1), **settings)
    for name in settings["observables"]:
        np.testing.assert_array_equal(swept[name].sel(drift=0.0), still[name])
    assert not np.array_equal(swept.risk.sel(drift=0.3), still.risk)


def test_what_is_refused() -> None:
    moving = em.NoisyQuadratic(curvature=1.0, drift=0.1)
    with pytest.raises(ValueError, match=r"drift > 0 is not predicted: .*use simulate"):
        em.predict(moving, em.SGD(lr=0.1), steps=5)
    with pytest.raises(ValueError, match="drift must be finite and >= 0, got -1"):
        em.NoisyQuadratic(curvature=1.0, drift=-1.0)
    with pytest.raises(ValueError, match=r"drift_reversion must be in \[0, 1\], got 1.5"):
        em.NoisyQuadratic(curvature=1.0, drift=1.0, drift_reversion=1.5)
