"""The hyperbolic shortfall 1 − tanh(z)/z in float64, against its definition."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from ematheory.derivations.hyperbolic import SMALL, TANH_SHORTFALL, shortfall_in_floats, shortfall_of, tanh_shortfall


@pytest.mark.parametrize("z", [1e-140, 1e-9, 0.1, 0.99 * SMALL, np.nextafter(SMALL, 0), SMALL, 3.0, 1e5])
def test_it_keeps_its_digits(z):
    with mpmath.workdps(400):
        exact = 1 - mpmath.tanh(mpmath.mpf(z)) / z
    assert abs(shortfall_in_floats(np.float64(z)) / float(exact) - 1) < 2e-15
    assert abs(shortfall_of(z) / exact - 1) < (1e-14 if z > 1e-100 else np.inf)
    assert shortfall_in_floats(-z) == shortfall_in_floats(z)


def test_it_is_zero_at_zero():
    assert shortfall_in_floats(0.0) == shortfall_of(0) == 0


def test_the_lemma_is_its_definition():
    z = sp.Symbol("z", positive=True)
    assert TANH_SHORTFALL.rewrite(tanh_shortfall(z), None) == 1 - sp.tanh(z) / z
