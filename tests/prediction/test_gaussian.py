"""Own exponentials, logarithms and the sign's mean: their terms are made again, and their errors measured."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

from ematheory.prediction import gaussian
from ematheory.prediction.gaussian import Numbers, at_least, at_most, falling, logarithm, mean_sign, root_of

ULP = 2.0**-52


def exact(function: Any, x: np.ndarray) -> np.ndarray:
    """The function in 40 digits, rounded."""
    with mp.workdps(40):
        return np.array([float(function(mp.mpf(float(each)))) for each in x])


def distribution(c: Any) -> Any:
    return mp.erf(c / mp.sqrt(2))


def fitted(function: Any, start: Any, stop: Any, count: int) -> list[str]:
    return [float(each).hex() for each in mp.chebyfit(function, [start, stop], count)[::-1]]


def near(square: Any) -> Any:
    return distribution(mp.sqrt(square)) / mp.sqrt(square) if square > 0 else mp.sqrt(2 / mp.pi)


def far(t: Any) -> Any:
    c = 5 * (1 + t) / (1 - t)
    return mp.exp(c * c / 2) * mp.erfc(c / mp.sqrt(2)) * (c + 5)


def doubled_artanh(square: Any) -> Any:
    return 2 * mp.atanh(mp.sqrt(square)) / mp.sqrt(square) if square > 0 else mp.mpf(2)


def test_the_terms_are_mpmaths() -> None:
    with mp.workdps(40):
        narrow = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2
        found = {
            "NEAR": fitted(near, 0, 1, 11),
            "FAR": fitted(far, mp.mpf(-4) / 6, mp.mpf(4) / 14, 16),
            "LOGARITHM": fitted(doubled_artanh, 0, narrow, 9),
        }
        constants = [mp.sqrt(2), mp.sqrt(2 / mp.pi)]
    for name, values in found.items():
        assert [each.hex() for each in getattr(gaussian, name)] == values, name
    assert [float(each) for each in constants] == [gaussian.ROOT_TWO, gaussian.TWICE_DENSITY]


def test_exponentials_are_within_two_ulp() -> None:
    y = np.concatenate([[0.0], np.geomspace(1e-300, 700, 2000), np.linspace(0, 700, 2001)])
    found = falling(y, Numbers)
    np.testing.assert_allclose(found, exact(lambda each: mp.exp(-each), y), rtol=2 * ULP)


def test_logarithms_are_within_two_ulp() -> None:
    x = np.concatenate([np.geomspace(2.0**-64, 1, 2000), 1 - np.geomspace(1e-16, 0.5, 500), [1.0, 2.0, 3.0]])
    np.testing.assert_allclose(logarithm(x, Numbers), exact(mp.log, x), rtol=2 * ULP)


@pytest.mark.parametrize("order", [1.0, 1.7, 3.0])
def test_roots_are_powers(order: float) -> None:
    """An error of 2 ulp in a logarithm of up to 44 is one of 1e-14 in the root."""
    x = np.geomspace(2.0**-64, 1, 2000)
    np.testing.assert_allclose(
        root_of(x, order, Numbers), exact(lambda each: each ** (1 / mp.mpf(order)), x), rtol=3e-14
    )
    assert root_of(np.array([0.0]), order, Numbers) == root_of(np.array([2.0**-64]), order, Numbers)


def test_the_sign_of_a_normal_number() -> None:
    c = np.concatenate([[0.0, 1.0, 9.0], np.geomspace(1e-300, 37, 2000), np.linspace(0, 12, 2001)])
    for centre in (c, -c):
        mean, slope = mean_sign(centre, Numbers)
        np.testing.assert_allclose(mean, exact(distribution, centre), rtol=3 * ULP)
        density = exact(lambda each: mp.sqrt(2 / mp.pi) * mp.exp(-each * each / 2), centre)
        assert (np.abs(slope / density - 1) <= 1e-15 * (1 + centre * centre / 2)).all()
        assert (np.abs(mean) <= 1).all()


def test_bounds_leave_nan() -> None:
    x = np.array([-1.0, 0.5, 2.0, np.nan])
    np.testing.assert_array_equal(at_least(x, 0.0, Numbers), [0.0, 0.5, 2.0, np.nan])
    np.testing.assert_array_equal(at_most(x, 1.0, Numbers), [-1.0, 0.5, 1.0, np.nan])
    assert np.isnan(mean_sign(np.array([np.nan]), Numbers)).all()
