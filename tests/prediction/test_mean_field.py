"""AdamP and Amos by mean field: against simulations of many coordinates, and in the limits where they are others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.prediction.forms import Chance, Form, Sum
from ematheory.prediction.stability import UnstableWarning

C = 256
EXPECTATIONS = ("risk", "weight_mean_square")


def quadratic(size: int = C, **changed: Any) -> em.NoisyQuadratic:
    rng = np.random.default_rng(5)
    fields: dict[str, Any] = dict(
        curvature=10 ** rng.uniform(-2, 0, size), optimum=rng.standard_normal(size), noise=1.0, init=0.0
    )
    return em.NoisyQuadratic(**{**fields, **changed})


PROBLEMS = {
    "noisy quadratic": quadratic(),
    "random walk": em.RandomWalk(size=C, init=1.0),
    "scale-invariant": em.ScaleInvariant(size=C),
    "linear regression": em.LinearRegression(curvature=np.full(64, 0.1), batch_size=16.0, label_noise=1.0, optimum=0.5),
    "reshuffled data": em.ReshuffledData(
        curvature=np.full(C, 0.1), optimum=np.linspace(-1, 1, C), noise=3.0, size=64, batch_size=8.0, init=0.5
    ),
}
OPTIMIZERS = {
    "adamp": em.AdamP(lr=0.01, weight_decay=0.3, betas=(0.9, 0.99)),
    "adamp, detected often": em.AdamP(lr=0.01, weight_decay=0.3, betas=(0.9, 0.99), delta=1.0),
    "amos": em.Amos(lr=0.05, beta2=0.99),
    "amos with momentum": em.Amos(lr=0.1, beta2=0.9, momentum=0.9),
}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("own", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_many_coordinates_against_simulations(own: Any, problem: Any) -> None:
    names = [name for name in EXPECTATIONS if name in problem.observables]
    run: dict[str, Any] = dict(steps=40, record=[10, 40], observables=names)
    predicted, measured = em.predict(problem, own, **run), em.simulate(problem, own, **run, replicas=32)
    for name in names:
        error, off = predicted[f"{name}_error"], abs(predicted[name] - measured[name])
        assert bool((off <= error + 5 * measured[f"{name}_sem"]).all()), name
        assert predicted[name].attrs["exact"] == 0
        if not isinstance(problem, em.LinearRegression | em.ReshuffledData):
            # Where coordinates and steps have noise of their own the prediction is good to some per cent.
            assert float((off / measured[name]).max()) < 0.05, name


@pytest.mark.parametrize("name", ["noisy quadratic", "random walk", "scale-invariant"])
@pytest.mark.parametrize("own", [OPTIMIZERS["amos"], OPTIMIZERS["amos with momentum"]], ids=["amos", "momentum"])
def test_the_stated_error_is_small_for_many_coordinates(own: Any, name: str) -> None:
    found = em.predict(PROBLEMS[name], own, steps=100, observables="weight_mean_square")
    assert float(found.weight_mean_square_error[-1] / found.weight_mean_square[-1]) < 0.03


def moments(own: Any, problem: Any, **run: Any) -> list[np.ndarray]:
    found = em.predict(problem, own, observables=["risk", "weight_mean", "weight_variance"], **run)
    return [found[name].values for name in ("risk", "weight_mean", "weight_variance")]


@pytest.mark.parametrize("changed", [{"delta": 0.0}, {"delta": 0.0, "wd_ratio": 1.0}])
def test_adamp_that_detects_nothing_is_adamw(changed: dict[str, float]) -> None:
    fields: dict[str, Any] = dict(lr=0.02, weight_decay=0.1, betas=(0.9, 0.99))
    problem = quadratic(8)
    run = dict(steps=200, record=[1, 20, 200], schedule=em.Cosine(final=0.1))
    for one, other in zip(
        moments(em.AdamP(**fields, **changed), problem, **run), moments(em.AdamW(**fields), problem, **run), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-15)


def test_amos_whose_gradient_is_certain_is_its_own_simulation() -> None:
    """Without noise there is nothing to average: the prediction is the run."""
    problem = quadratic(8, noise=0.0)
    own = em.Amos(lr=0.02, beta2=0.9, momentum=0.5)
    run: dict[str, Any] = dict(steps=50, observables="risk")
    measured = em.simulate(problem, own, **run, replicas=1).risk
    np.testing.assert_allclose(em.predict(problem, own, **run).risk, measured, rtol=1e-9)


def test_adamp_comes_to_rest_where_a_long_run_ends() -> None:
    problem = quadratic(16)
    own = em.AdamP(lr=0.1, weight_decay=0.5, betas=(0.5, 0.9), delta=[0.1, 1.0], wd_ratio=0.5)
    still = em.predict(problem, own)
    run = em.predict(problem, own, steps=600, record=[600])
    np.testing.assert_allclose(still.risk, run.risk[..., 0], rtol=1e-5)


def test_amos_has_no_stationary_state() -> None:
    with pytest.raises(ValueError, match="Amos's steps fall"):
        em.predict(quadratic(4), em.Amos(lr=0.1))


def test_sweep_axes_are_as_separate_runs() -> None:
    problem, lrs = quadratic(6), [0.01, 0.03]
    run: dict[str, Any] = dict(steps=30, observables="risk")
    for kind in (em.Amos, em.AdamP):
        swept = em.predict(problem, kind(lr=lrs), **run)
        apart = xr.concat([em.predict(problem, kind(lr=lr), **run) for lr in lrs], "lr")
        np.testing.assert_allclose(swept.risk, apart.risk.transpose(*swept.risk.dims), rtol=1e-12)
        np.testing.assert_allclose(swept.risk_error, apart.risk_error.transpose(*swept.risk.dims), rtol=1e-6)


def test_a_decay_that_is_too_large_either_way_is_warned_of() -> None:
    with pytest.warns(UnstableWarning, match="the decay per step is at least 3"):
        em.predict(quadratic(4), em.AdamP(lr=1.0, weight_decay=3.0, wd_ratio=2.0), steps=2)


def test_forms_keep_what_a_step_takes_of_the_weight() -> None:
    """1 − 1e-20 is 1 in floating point: what is taken stands apart."""
    weight = Form((0,), whole=1)
    after = weight - 1e-20 * weight
    assert (after.whole, after.parts) == (1, (-1e-20,))


def test_a_condition_on_a_normal_sum() -> None:
    total, bound = Sum(np.array([[0.0]]), np.array([[1.0]])), Sum(np.array([[4.0]]))
    found = total * total < bound
    assert isinstance(found, Chance)
    np.testing.assert_allclose(found.probability(), 0.9544997361036416)
    certain = Sum(0.0, 1.0, most=2.0)
    assert (certain * certain < bound).probability() == 1.0
