"""The five-operation exp, cos and arctan2 against 50-digit values: within the 4 ulp that the module claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from ematheory import arithmetic

CLAIMED_ULP = 4
RANDOM = np.random.default_rng(1)


def worst_ulp(values: Any, exact: list[Any]) -> float:
    """The largest error in units in the last place of the exact value, denormal results included."""
    errors = []
    with mpmath.workdps(60):
        for value, true in zip(np.ravel(values), exact, strict=True):
            ulp = float(np.spacing(np.abs(np.float64(float(true)))))
            errors.append(float(abs(mpmath.mpf(float(value)) - true) / mpmath.mpf(ulp)))
    return max(errors)


def exact(function: Callable[[Any], Any], *arguments: Any) -> list[Any]:
    with mpmath.workdps(60):
        return [function(*map(mpmath.mpf, map(float, row))) for row in zip(*arguments, strict=True)]


EXPONENTS = {
    "ordinary": RANDOM.uniform(-20, 20, 2000),
    "wide": RANDOM.uniform(-700, 709, 2000),
    "tiny": np.concatenate([10.0 ** RANDOM.uniform(-300, -1, 500), -(10.0 ** RANDOM.uniform(-300, -1, 500))]),
    "near multiples of ln2/2": np.arange(-40, 41) * np.log(2) / 2,
}


@pytest.mark.parametrize("arguments", EXPONENTS.values(), ids=EXPONENTS.keys())
def test_exp_within_the_claimed_ulp(arguments: Any) -> None:
    assert worst_ulp(arithmetic.exp(arguments), exact(mpmath.exp, arguments)) <= CLAIMED_ULP


def test_exp_in_the_denormal_range_and_beyond() -> None:
    arguments = RANDOM.uniform(-744, -709, 500)
    assert worst_ulp(arithmetic.exp(arguments), exact(mpmath.exp, arguments)) <= CLAIMED_ULP
    assert arithmetic.exp(0.0) == 1.0
    assert arithmetic.exp(-800.0) == 0.0
    with np.errstate(over="ignore"):
        assert arithmetic.exp(710.0) == np.inf


@pytest.mark.parametrize("width", [1e-12, 1e-3, 0.5, 1.0, 50.0])
def test_cos_pi_within_the_claimed_ulp(width: float) -> None:
    arguments = RANDOM.uniform(-width, width, 2000)
    assert worst_ulp(arithmetic.cos_pi(arguments), exact(mpmath.cospi, arguments)) <= CLAIMED_ULP


def test_cos_pi_is_exact_where_the_cosine_is() -> None:
    quarters = np.array([0.0, 0.5, 1.0, 1.5, 2.0, -0.5, -1.0, 3.0])
    np.testing.assert_array_equal(np.abs(arithmetic.cos_pi(quarters)), [1, 0, 1, 0, 1, 0, 1, 1])
    np.testing.assert_array_equal(arithmetic.cos_pi([0.0, 1.0, 2.0, 3.0]), [1, -1, 1, -1])


RATIOS = {
    "first quadrant": (RANDOM.uniform(0, 1, 2000), RANDOM.uniform(0, 1, 2000)),
    "flat": (10.0 ** RANDOM.uniform(-300, -1, 1000), np.ones(1000)),
    "steep": (np.ones(1000), 10.0 ** RANDOM.uniform(-300, -1, 1000)),
    "near the diagonal": (1 + RANDOM.uniform(-1e-8, 1e-8, 1000), np.ones(1000)),
}


@pytest.mark.parametrize(("y", "x"), RATIOS.values(), ids=RATIOS.keys())
def test_arctan2_within_the_claimed_ulp(y: Any, x: Any) -> None:
    assert worst_ulp(arithmetic.arctan2(y, x), exact(mpmath.atan2, y, x)) <= CLAIMED_ULP


def test_arctan2_at_the_axes() -> None:
    assert arithmetic.arctan2(0.0, 1.0) == 0.0
    assert arithmetic.arctan2(1.0, 0.0) == np.pi / 2
    assert np.isnan(arithmetic.arctan2(0.0, 0.0))
    assert np.isnan(arithmetic.arctan2(np.nan, 1.0))


def test_the_cosine_of_nan_is_nan() -> None:
    assert np.isnan(arithmetic.cos_pi(np.nan))
