"""Lion's random walk: the exact series over the published formula, where the memory's correlations are near 1."""

import math

import numpy as np
import pytest

from ematheory.derivations import derive


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
