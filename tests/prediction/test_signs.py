"""Moments of Lion and SignSGD: the arcsine law, what is exact, the stationary state, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory.derivations import derive
from ematheory.prediction import UnstableWarning

OBSERVABLES = ("weight_mean_square", "weight_mean", "weight_variance", "rotation", "update_cosine")


def test_lion_at_rest_on_the_walk_follows_the_arcsine_law() -> None:
    """R4: E w² = η²/(1 − a²)·(1 + 2Σ a^k (2/π) arcsin ρ_k), inside an error that is stated small."""
    lr, decay, lags = 1e-3, 0.5, np.arange(1, 40_000)
    for beta1, beta2 in ((0.9, 0.99), (0.5, 0.9), (0.99, 0.99)):
        rho = derive("lion-random-walk").function("correlation")
        found = rho(one_minus_beta1=1 - beta1, one_minus_beta2=1 - beta2, lag=lags.astype(float))
        a = 1 - lr * decay
        expected = lr**2 / (1 - a**2) * (1 + 2 * (a**lags * 2 / np.pi * np.arcsin(found)).sum())
        x = em.predict(em.RandomWalk(), em.Lion(lr=lr, weight_decay=decay, beta1=beta1, beta2=beta2))
        error = float(x.weight_mean_square_error)
        assert error < 0.04 * expected
        assert abs(float(x.weight_mean_square) - expected) <= error + 1e-9 * expected


def test_signs_without_momentum_are_independent_on_the_walk() -> None:
    lr, decay, steps = 0.02, 0.3, 40
    x = em.predict(em.RandomWalk(init=0.7), em.SignSGD(lr=lr, weight_decay=decay), steps=steps, observables=OBSERVABLES)
    a, square = 1 - lr * decay, 0.49
    for _ in range(steps):
        square = a * a * square + lr * lr
    assert float(x.weight_mean_square[-1]) == pytest.approx(square, rel=1e-12)
    assert float(x.weight_mean[-1, 0]) == pytest.approx(0.7 * a**steps, rel=1e-12)
    assert float(x.weight_mean_square_error[-1]) == 0


@pytest.mark.parametrize("optimizer", [em.Lion(lr=0.1, weight_decay=0.1), em.SignSGD(lr=0.1, momentum=0.5)])
def test_without_noise_it_is_the_run_itself(optimizer: Any) -> None:
    problem = em.NoisyQuadratic([1.0, 0.3, 0.0], noise=0.0, optimum=0.2, init=[1.03, -0.7, 0.2])
    run: dict[str, Any] = dict(steps=30, record=[1, 7, 30], observables=("risk", "weight_mean"))
    predicted = em.predict(problem, optimizer, **run)
    measured = em.simulate(problem, optimizer, **run, replicas=1)
    for name in run["observables"]:
        np.testing.assert_allclose(predicted[name], measured[name], rtol=1e-9, atol=1e-12)
        assert (predicted[f"{name}_error"] == 0).all()


@pytest.mark.parametrize(
    "problem",
    [
        em.RandomWalk(),
        em.NoisyQuadratic([1.0, 0.1], noise=1.0, optimum=0.5),
        em.ScaleInvariant(size=64),
        em.LinearRegression([1.0, 0.1], optimum=0.5, label_noise=1.0, batch_size=8.0),
    ],
    ids=lambda problem: type(problem).__name__,
)
@pytest.mark.parametrize(
    "optimizer",
    [em.Lion(lr=0.05, weight_decay=0.5), em.SignSGD(lr=0.05, weight_decay=0.5, momentum=[0.0, 0.9])],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_a_long_run_comes_to_the_stationary_state(problem: Any, optimizer: Any) -> None:
    at_rest = em.predict(problem, optimizer, observables=OBSERVABLES)
    long = em.predict(problem, optimizer, steps=1000, observables=OBSERVABLES).isel(step=-1)
    for name in at_rest.data_vars:
        np.testing.assert_allclose(at_rest[name], long[name], rtol=1e-4, atol=1e-7, err_msg=str(name))


def test_the_update_of_a_sign_has_length_one() -> None:
    """E u² = 1 for each coordinate: with w = 0 the first change is η long, and the rotation's parts hold together."""
    x = em.predict(
        em.NoisyQuadratic(1.0, noise=0.5, init=2.0), em.SignSGD(lr=0.01), steps=1, observables=("weight_mean_square",)
    )
    mean = em.predict(
        em.NoisyQuadratic(1.0, noise=0.5, init=2.0), em.SignSGD(lr=0.01), steps=1, observables="weight_mean"
    )
    sign = (2.0 - float(mean.weight_mean[-1, 0])) / 0.01
    assert float(x.weight_mean_square[-1]) == pytest.approx(4 - 0.04 * sign + 1e-4, rel=1e-12)


def test_the_stated_error_falls_with_the_step() -> None:
    lr = [0.1, 0.01, 0.001]
    x = em.predict(em.NoisyQuadratic(1.0, noise=1.0), em.SignSGD(lr=lr))
    share = (x.risk_error / x.risk).values
    assert (share[1:] < share[:-1] / 5).all()
    assert share[-1] < 0.01


def test_it_says_what_it_is() -> None:
    x = em.predict(em.RandomWalk(), em.Lion(lr=0.1, weight_decay=0.1))
    assert x.attrs["exact"] == 0
    assert "statistical linearisation" in x.attrs["approximation"]


def test_many_steps_at_rest_cost_nothing() -> None:
    x = em.predict(em.RandomWalk(size=10**6), em.Lion(lr=0.1, weight_decay=1.0), steps=10**9)
    at_rest = em.predict(em.RandomWalk(), em.Lion(lr=0.1, weight_decay=1.0))
    assert float(x.weight_mean_square[-1]) == pytest.approx(float(at_rest.weight_mean_square), rel=1e-10)


@pytest.mark.parametrize(
    ("problem", "optimizer", "message"),
    [
        (em.RandomWalk(), em.Lion(lr=0.1), "nothing pulls the weight back"),
        (em.NoisyQuadratic([1.0, 0.0]), em.SignSGD(lr=0.1), "coordinate 1: nothing pulls the weight back"),
        (em.ReshuffledData(1.0, size=4, sampling="replaced"), em.Lion(lr=0.1), "Lion on a finite data set"),
    ],
)
def test_what_has_no_stationary_state_is_refused(problem: Any, optimizer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.predict(problem, optimizer)


def test_too_large_a_decay_is_warned_of() -> None:
    with pytest.warns(UnstableWarning, match="Lion is unstable"):
        em.predict(em.RandomWalk(), em.Lion(lr=1.0, weight_decay=2.5), steps=2)
