"""Lion's random walk: the exact series over the published formula, where the memory's correlations are near 1."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp

from ematheory.derivations import derive
from ematheory.derivations.assumptions import Assumptions
from ematheory.derivations.evaluation import evaluate
from ematheory.derivations.lion_random_walk import (
    FORWARD,
    eta,
    forget,
    forget2,
    lion_mean_square,
    of_signs,
    rate,
    settled_square,
)


def over_published(one_minus_beta1: float, one_minus_beta2: float) -> float:
    """E w² by the series with the arcsine, as ηλ → 0, over the published η/(πλD)."""
    first = derive("lion-random-walk").function("correlation")(
        one_minus_beta1=one_minus_beta1, one_minus_beta2=one_minus_beta2, lag=1.0
    )
    lags = np.arange(int(40 / one_minus_beta2))
    signs = 2 / np.pi * np.arcsin(first * np.exp(lags * np.log1p(-one_minus_beta2)))
    variance = one_minus_beta1**2 + (1 - one_minus_beta1) ** 2 * one_minus_beta2 / (2 - one_minus_beta2)
    return float((1 + 2 * signs.sum()) * np.pi / 2 * variance)


def test_at_the_usual_betas_the_published_square_is_too_small_by_1_5_percent() -> None:
    assert over_published(0.1, 0.01) == pytest.approx(1.015, abs=5e-4)


def test_a_small_d_does_not_make_the_published_formula_exact() -> None:
    """Where 1 − β₁ ≪ 1 − β₂ → 0 the ratio is ∫ arcsin e^{−x} dx = (π/2) ln 2."""
    assert over_published(1e-7, 1e-4) == pytest.approx(math.pi / 2 * math.log(2), rel=1e-4)


def test_it_becomes_exact_where_the_correlations_vanish() -> None:
    assert over_published(0.1, 1e-5) == pytest.approx(1.0, abs=0.01)


def test_the_order_of_a_sum_turns_only_where_a_sequence_runs_against_the_index() -> None:
    i, n, f = sp.Symbol("i", integer=True), sp.Symbol("n", integer=True), sp.Function("f")
    against, along = sp.Sum(2**i * f(n + 1 - i), (i, 2, n)), sp.Sum(2**i * f(i), (i, 2, n))
    turned = FORWARD.rewrite(against, Assumptions())
    point = {n: 6, f: lambda k: 3**k + k}
    assert turned == sp.Sum(2 ** (n + 2 - i) * f(i - 1), (i, 2, n))
    assert evaluate(turned, point) == evaluate(against, point)
    assert FORWARD.rewrite(along, Assumptions()) == along


def test_the_mean_product_of_two_signs_at_correlations_that_are_known() -> None:
    """A third at ρ = 1/2 and a half at ρ = 1/√2: the angle between the two numbers is then π/3 and π/4."""
    assert float(of_signs(0.5)) == pytest.approx(1 / 3, rel=1e-14)
    assert float(of_signs(math.sqrt(0.5))) == pytest.approx(1 / 2, rel=1e-14)


def test_the_exact_series_is_a_checked_equation_and_a_result() -> None:
    """The sum over all lags at rest, and the finite one, hold the arcsine themselves."""
    derivation = derive("lion-random-walk")
    for name in ("mean_square", "mean_square_after"):
        sums = derivation.result_equation(name).rhs.atoms(sp.Sum)
        assert len(sums) == 1
        assert next(iter(sums)).has(sp.asin)


@pytest.mark.parametrize(
    "rates",
    [(1e-4, 0.1, 0.01), (0.5, 0.1, 0.01), (1e-12, 0.1, 0.02), (1e-3, 0.01, 0.05), (0.1, 0.9, 0.5), (1e-6, 0.02, 0.01),
     (0.3, 1e-6, 0.9)],
)  # fmt: skip
def test_the_number_is_the_series_to_12_digits(rates) -> None:
    """Mehler's series with powers of Lion's own correlations, in 60 digits."""
    with mpmath.workdps(60):
        exact = settled_square({rate: rates[0], forget: rates[1], forget2: rates[2], eta: 0.5})
    words = ("decay_per_step", "one_minus_beta1", "one_minus_beta2")
    found = lion_mean_square(lr=0.5, **dict(zip(words, rates, strict=True)))
    assert found == pytest.approx(float(exact), rel=1e-12)


def test_the_number_where_signs_hardly_change() -> None:
    """1 − β₁ ≪ 1 − β₂ → 0: (π/2) ln 2 times the published one, though 0.7/(1 − β₂) arcsines are near 1."""
    known = {"decay_per_step": 1e-11, "one_minus_beta1": 1e-6, "one_minus_beta2": 1e-3}
    published = math.pi * (1e-12 + (1 - 1e-6) ** 2 * 1e-3 / (2 - 1e-3)) * 1e-11
    assert lion_mean_square(lr=1.0, **known) * published == pytest.approx(math.pi / 2 * math.log(2), rel=1e-3)


@pytest.mark.parametrize(
    ("word", "wrong"), [("decay_per_step", 1.0), ("one_minus_beta1", 0.0), ("one_minus_beta2", 1e-9)]
)
def test_rates_beyond_the_number_are_refused_by_name(word, wrong) -> None:
    known = {"decay_per_step": 0.1, "one_minus_beta1": 0.1, "one_minus_beta2": 0.1} | {word: wrong}
    with pytest.raises(ValueError, match=word):
        lion_mean_square(lr=1.0, **known)
