"""SGD on a noisy quadratic in numbers: against moments run step by step, against simulate, and near the edges."""

import math
from fractions import Fraction

import mpmath
import pytest

import ematheory as em
from ematheory.derivations import derive
from ematheory.derivations.numeric import PRECISION

GIVEN = {"curvature": 0.7, "noise_variance": 2.0, "optimum": 1.5, "init": -1.0}


def recursion(lr, weight_decay, steps, curvature, noise_variance, optimum, init):
    """Mean, variance and risk after `steps` steps in exact rationals, one step after the other."""
    lr, decay, h, noise, theta, mean = map(Fraction, (lr, weight_decay, curvature, noise_variance, optimum, init))
    variance = Fraction(0)
    for _ in range(steps):
        mean = mean - lr * (h * (mean - theta) + decay * mean)
        variance = (1 - lr * (h + decay)) ** 2 * variance + lr**2 * noise
    return {"mean": mean, "variance": variance, "risk": h / 2 * (variance + (mean - theta) ** 2)}


def called(result, **values):
    function = derive("sgd-quadratic").function(result)
    return function(**{word: value for word, value in values.items() if word in function.words})


@pytest.mark.parametrize("lr", [1e-6, 0.1, 1.25, 2.0, 2.49])
@pytest.mark.parametrize("steps", [0, 1, 2, 7, 40])
@pytest.mark.parametrize("result", ["mean", "variance", "risk"])
def test_closed_forms_follow_the_exact_recursion(lr, steps, result):
    values = {"lr": lr, "weight_decay": 0.1, "steps": steps, **GIVEN}
    assert called(result, **values) == pytest.approx(float(recursion(**values)[result]), rel=1e-10, abs=1e-300)


def test_a_rate_of_exactly_one_forgets_in_one_step():
    values = {"lr": 1.0, "weight_decay": 0.25, **GIVEN, "curvature": 0.75}
    assert called("mean", steps=1, **values) == called("stationary_mean", **values)
    assert called("variance", steps=3, **values) == called("stationary_variance", **values)


def test_an_undecayed_start_stays_exact_over_a_billion_steps():
    """Only the rounding of the inputs' product may show: the condition number without that of `steps`."""
    function = derive("sgd-quadratic").function("variance")
    values = {"lr": 1e-12, "weight_decay": 0.1, "curvature": 0.7, "noise_variance": 2.0}
    error, _ = function.relative_error(steps=1e9, **values)
    assert error < PRECISION


@pytest.mark.parametrize("rate", [1.9, 1.999999, 2 - 1e-9])
@pytest.mark.parametrize("steps", [1, 2, 1001, 10**6])
def test_near_instability_the_variance_keeps_its_digits(rate, steps):
    """Near η(h+λ) = 2 both 1 − r^2t and 2 − η(h+λ) are differences; their quotient is well conditioned."""
    values = {"lr": rate, "weight_decay": 0.5, "curvature": 0.5, "noise_variance": 1.0, "steps": float(steps)}
    function = derive("sgd-quadratic").function("variance")
    with mpmath.workdps(60):
        exact = function.oracle(**values)
        assert abs(function(**values) - exact) <= PRECISION * exact


def test_least_risk_over_the_decay_is_where_q7_says():
    """λ* = ησ²h/(4hθ*² − ησ²) at small η (Q7)."""
    lr, h, noise, optimum = 1e-5, 0.5, 4e5, 2.0
    expected = lr * noise * h / (4 * h * optimum**2 - lr * noise)
    decays = [expected * math.exp(0.02 * k) for k in range(-30, 31)]
    function = derive("sgd-quadratic").function("stationary_risk")
    risks = function(lr=lr, weight_decay=decays, curvature=h, noise_variance=noise, optimum=optimum)
    assert decays[int(risks.argmin())] == pytest.approx(expected, rel=0.021)


def test_prediction_is_the_closed_form():
    problem = em.NoisyQuadratic(curvature=[0.7], noise=[2.0], optimum=1.5, init=-1.0)
    found = em.predict(problem, em.SGD(lr=0.3, weight_decay=0.1), steps=9)
    expected = called("risk", lr=0.3, weight_decay=0.1, steps=9, **GIVEN)
    assert float(found["risk"].isel(step=-1)) == pytest.approx(expected, rel=1e-12)
