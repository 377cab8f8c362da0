"""The sine's defect z − sin(z) in float64, against its definition, and the lemma that defines it."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from ematheory.derivations.sine import SINE_DEFECT, SMALL, defect_in_floats, defect_of, sine_defect


@pytest.mark.parametrize("z", [1e-90, 1e-9, 0.1, 1.0, 0.99 * SMALL, np.nextafter(SMALL, 0), SMALL, 3.0, np.pi])
def test_it_keeps_its_digits(z):
    with mpmath.workdps(400):
        exact = mpmath.mpf(z) - mpmath.sin(mpmath.mpf(z))
    assert abs(defect_in_floats(np.float64(z)) / float(exact) - 1) < 2e-15
    assert abs(defect_of(z) / exact - 1) < (1e-14 if z > 1e-50 else np.inf)
    assert defect_in_floats(-z) == -defect_in_floats(z)


def test_it_is_zero_at_zero():
    assert defect_in_floats(0.0) == defect_of(0) == 0


def test_the_lemma_is_its_definition():
    z = sp.Symbol("z", positive=True)
    assert SINE_DEFECT.rewrite(sine_defect(z), None) == z - sp.sin(z)
