"""The kernels of the schedules against quadrature and against AdamW's discrete coefficients, with measured orders."""

import warnings

import mpmath
import numpy as np
import pytest
import sympy as sp

import ematheory as em
from ematheory.derivations import derive
from ematheory.derivations.schedule_kernels import CONJUGATE, EXPONENT, HALF_ANGLE, PYTHAGORAS
from ematheory.timescales import ema_coefficients

TAU = 0.3
# Each kernel with its schedule as a user makes it, the keywords of its fields, and where the formula changes.
CASES = {
    "constant": (em.Constant(), {}, ()),
    "linear": (em.Linear(final=0.1), {"final": 0.1}, ()),
    "linear-to-zero": (em.Linear(), {}, ()),
    "cosine": (em.Cosine(final=0.1), {"final": 0.1}, ()),
    "wsd": (em.WSD(decay=0.25), {"decay": 0.25}, (0.75,)),
    "wsd-sqrt": (em.WSD(decay=0.25, shape="sqrt"), {"decay": 0.25}, (0.75,)),
    "inverse-sqrt": (em.InverseSqrt(flat=0.125), {"flat": 0.125}, (0.125,)),
    "exponential": (em.Exponential(rate=3.0), {"rate": 3.0}, ()),
    "harmonic": (em.Harmonic(timescale=0.2), {"timescale": 0.2}, ()),
}


def called(name, result, **values):
    function = derive(f"kernel-{name}").function(result)
    return function(**{word: value for word, value in values.items() if word in function.words})


@pytest.mark.parametrize("name", CASES)
def test_density_and_initial_share_sum_to_one(name):
    _, fields, joins = CASES[name]
    found = mpmath.quad(
        lambda x: called(name, "density", x=float(x), tau=TAU, **fields), [0, *joins, 1], maxdegree=7
    )  # fmt: skip
    assert float(found) + called(name, "initial_weight_left", tau=TAU, **fields) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_density_is_that_of_the_schedule_itself(name):
    schedule, fields, _ = CASES[name]
    x = np.linspace(0.01, 0.99, 50)
    expected = schedule.at(x) / TAU * np.exp(-schedule.integral(x) / TAU)
    assert called(name, "density", x=x, tau=TAU, **fields) == pytest.approx(expected, rel=1e-12)


def discrete(name, steps):
    """AdamW's initial share and coefficients over T steps with ηλT = 1/τ."""
    multipliers = CASES[name][0].multipliers(steps)
    return ema_coefficients(multipliers / (TAU * steps), np.ones(steps))


def fitted_order(sizes, errors):
    return -np.polyfit(np.log(sizes), np.log(errors), 1)[0]


SIZES = (512, 2048, 8192)


@pytest.mark.parametrize("name", CASES)
def test_coefficients_approach_the_density_in_l1_with_order_one(name):
    _, fields, _ = CASES[name]
    errors = []
    for steps in SIZES:
        middle = (np.arange(steps) + 0.5) / steps
        expected = called(name, "density", x=middle, tau=TAU, **fields) / steps
        errors.append(np.abs(discrete(name, steps)[1] - expected).sum())
    assert fitted_order(SIZES, errors) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", CASES)
def test_initial_share_is_off_by_the_derived_coefficient_over_the_steps(name):
    """What is left after the term in 1/T is of order 2, or 3/2 where the shape has a square root's corner."""
    _, fields, _ = CASES[name]
    share = called(name, "initial_weight_left", tau=TAU, **fields)
    coefficient = called(name, "initial_weight_error", tau=TAU, **fields)
    left = [abs(discrete(name, steps)[0] / share - 1 - coefficient / steps) for steps in SIZES]
    assert fitted_order(SIZES, left) == pytest.approx(1.5 if name == "wsd-sqrt" else 2, abs=0.15)


def test_rayleigh_and_uniform():
    x = np.linspace(0.0005, 0.9995, 1000)
    assert x[called("linear-to-zero", "density", x=x, tau=0.09).argmax()] == pytest.approx(0.7, abs=1e-3)
    assert called("harmonic", "density", x=x, tau=0.25, timescale=0.25) == pytest.approx(1 / 1.25, rel=1e-13)


@pytest.mark.parametrize("schedule", [em.Linear(warmup=0.1), em.Cosine(final=0.1, warmup=0.1), em.WSD(warmup=0.1)])
def test_warm_up_changes_the_mean_multiplier(schedule):
    bare = schedule.substituted(warmup=0.0)
    share = derive("kernel-warmup").function("initial_weight_left")
    expected = np.exp(-schedule.integral(np.float64(0)) / TAU)
    found = share(warmup=0.1, mean_multiplier=float(bare.integral(np.float64(0))), tau=TAU)
    assert found == pytest.approx(float(expected), rel=1e-13)


def test_sine_squared_lemma():
    v = sp.Symbol("v", real=True)
    e = sp.sin(2 * v) ** 2 + sp.sin(v)
    assert PYTHAGORAS.rewrite(e, None) == 1 - sp.cos(2 * v) ** 2 + sp.sin(v)


def test_lemmas_of_the_stable_forms():
    v, w = sp.symbols("v w", positive=True)
    assert HALF_ANGLE.rewrite(sp.sin(v) ** 2 + sp.sin(v) ** 3, None) == (1 - sp.cos(2 * v)) / 2 + sp.sin(v) ** 3
    assert CONJUGATE.rewrite(v / (1 + sp.sqrt(w)), None) == v * (1 - sp.sqrt(w)) / (1 - w)
    assert CONJUGATE.rewrite(v / (1 + w), None) == v / (1 + w)
    assert EXPONENT.rewrite(sp.exp(v * (w - v) + v**2), None) == sp.exp(v * w)


def test_the_branch_not_taken_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.all(np.isfinite(called("wsd-sqrt", "density", x=np.linspace(0.01, 0.99, 9), tau=TAU, decay=0.25)))
