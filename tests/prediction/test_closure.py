"""AdamW's and Adam's moments against Monte Carlo, against one deterministic run, and against their own long run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em

EXPECTATIONS = ("risk", "weight_mean", "weight_variance", "weight_mean_square")


def setting(rng: np.random.Generator) -> tuple[em.NoisyQuadratic, Any, dict[str, Any]]:
    """A noisy quadratic, AdamW or Adam, and a run: from few noisy steps to long ones under a schedule."""
    problem = em.NoisyQuadratic(
        curvature=10 ** rng.uniform(-2, 0.5, 3), noise=10 ** rng.uniform(-2, 1, 3), optimum=rng.standard_normal(3),
        init=float(rng.standard_normal()),
    )  # fmt: skip
    beta1, beta2 = rng.choice([0.0, 0.5, 0.9]), rng.choice([0.9, 0.95, 0.99, 0.999])
    lr, weight_decay = 10 ** rng.uniform(-3, -0.7), 10 ** rng.uniform(-3, 0)
    steps = int(10 ** rng.uniform(0.5, 3.2))
    schedule = [None, em.Cosine(final=0.1, warmup=0.1), em.WSD(decay=0.3)][rng.integers(3)]
    optimizer = [em.AdamW, em.Adam][rng.integers(2)](lr=lr, weight_decay=weight_decay, betas=(beta1, beta2))
    return problem, optimizer, {"steps": steps, "schedule": schedule, "record": sorted({max(1, steps // 3), steps})}


def outside(seed: int) -> dict[str, float]:
    """The observables that differ from a simulation by more than the stated error and 5.5 standard errors."""
    problem, optimizer, run = setting(np.random.default_rng(seed))
    predicted = em.predict(problem, optimizer, **run, observables=EXPECTATIONS)
    measured = em.simulate(problem, optimizer, **run, observables=EXPECTATIONS, replicas=2048, seed=seed)
    worst = {
        name: float(
            (
                (abs(predicted[name] - measured[name]) - 1e-12 * abs(measured[name]))
                / (predicted[f"{name}_error"] + 5.5 * measured[f"{name}_sem"])
            ).max()
        )
        for name in EXPECTATIONS
    }
    return {name: value for name, value in worst.items() if value > 1}


@pytest.mark.parametrize("seed", range(12))
def test_a_simulation_is_inside_the_stated_error(seed: int) -> None:
    assert not outside(seed)


@pytest.mark.parametrize("kind", [em.AdamW, em.Adam])
def test_without_noise_the_moments_are_the_run(kind: Any) -> None:
    problem = em.NoisyQuadratic(curvature=[2.0, 0.1], noise=0.0, optimum=[0.3, -2.0], init=1.5)
    optimizer = kind(lr=0.05, weight_decay=0.2, betas=(0.9, 0.99))
    run = {"steps": 50, "schedule": em.Cosine(), "record": em.every(1), "observables": ("risk", "weight_mean")}
    predicted, run_once = em.predict(problem, optimizer, **run), em.simulate(problem, optimizer, **run, replicas=1)
    for name in ("risk", "weight_mean"):
        np.testing.assert_allclose(predicted[name].values, run_once[name].values, rtol=1e-11, atol=1e-13)
        assert float(predicted[f"{name}_error"].max()) == 0.0


@pytest.mark.parametrize("kind", [em.AdamW, em.Adam])
@pytest.mark.parametrize("beta2", [0.9, 0.99])
def test_a_long_run_ends_in_the_stationary_state(kind: Any, beta2: float) -> None:
    problem = em.NoisyQuadratic(curvature=[1.0, 0.1], noise=[1.0, 0.02], optimum=[0.3, -2.0])
    # The slowest coordinate relaxes at 1e-3 a step or more.
    optimizer = kind(lr=[0.01, 0.05], weight_decay=0.3, betas=(0.8, beta2))
    late = em.predict(problem, optimizer, steps=6000, record=[6000], observables=EXPECTATIONS).isel(step=0)
    settled = em.predict(problem, optimizer, observables=EXPECTATIONS)
    for name in (*EXPECTATIONS, *(f"{name}_error" for name in EXPECTATIONS)):
        np.testing.assert_allclose(settled[name].values, late[name].values, rtol=1e-6, atol=1e-13, err_msg=name)


def test_the_ridge_and_the_variance_are_those_of_q8_where_the_noise_dominates() -> None:
    """Q8 with the v that this state has: θ_∞ = hθ*/(h + λ√v), to first order in 1 − β₂."""
    h, sigma, lam, lr, optimum = 0.02, 3.0, 0.01, 1e-3, 2.0
    problem = em.NoisyQuadratic(curvature=h, noise=sigma**2, optimum=optimum)
    found = em.predict(
        problem, em.AdamW(lr=lr, weight_decay=lam, betas=(0.9, 1 - 1e-7), eps=0), observables=EXPECTATIONS
    )
    assert float(found.weight_mean[0]) == pytest.approx(h * optimum / (h + lam * sigma), rel=1e-4)
    assert float(found.weight_variance[0]) == pytest.approx(lr * sigma / (2 * (h + lam * sigma)), rel=1e-3)


def test_the_error_falls_in_proportion_to_one_minus_beta2() -> None:
    def error(beta2: float) -> float:
        optimizer = em.AdamW(lr=1e-4, weight_decay=0.1, betas=(0.9, beta2))
        found = em.predict(em.NoisyQuadratic(0.1, noise=1.0), optimizer)
        return float(found.risk_error / found.risk)

    assert error(0.99) < 0.05
    assert error(0.999) == pytest.approx(error(0.99) / 10, rel=0.1)


def test_the_walk_states_its_error() -> None:
    def error(beta2: float) -> float:
        own = em.AdamW(lr=0.01, weight_decay=0.1, betas=(0.9, beta2))
        found: xr.Dataset = em.predict(em.RandomWalk(size=4), own)
        return float(found.weight_mean_square_error / found.weight_mean_square)

    assert 0.005 < error(0.99) < 0.015
    assert error(0.999) == pytest.approx(error(0.99) / 10, rel=0.2)


@pytest.mark.parametrize("kind", [em.AdamW, em.RMSprop, em.AdamP])
def test_a_batch_of_all_items_is_refused(kind):
    """Its runs have no noise once their data are drawn: v goes to 0 with the gradient, which ended in NaN."""
    problem = em.ReshuffledData([1.0, 0.5], size=8, batch_size=[4.0, 8.0])
    with pytest.raises(ValueError, match=r"a batch of all 8 items .* use simulate"):
        em.predict(problem, kind(lr=0.01), steps=20)
    assert np.isfinite(em.predict(problem, em.SGD(lr=0.01), steps=20).risk).all()
