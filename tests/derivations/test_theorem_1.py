"""Theorem 1 in numbers: the scaling of every quantity, the failure without ε, and that other scalings fail."""

from fractions import Fraction

import mpmath
import pytest

from ematheory.derivations import derive
from ematheory.derivations import symbols as x
from ematheory.derivations.theorem_1 import c, g, missed_at_first, trained

POINT = {
    x.beta1: Fraction(9, 10),
    x.beta2: Fraction(97, 100),
    x.eps: Fraction(1, 20),
    x.w0: Fraction(3, 2),
    x.eta_t: lambda k: Fraction(1, 5 * k),
    x.lam_t: lambda k: Fraction(1, 3 + k),
    x.g_t: lambda k: Fraction(k % 5 - 2),
    c: Fraction(7, 3),
}


def test_twelve_steps_on_a_scale_invariant_loss():
    with mpmath.workdps(50):
        for base, other in zip(trained(POINT, 12), trained(POINT, 12, POINT[c]), strict=True):
            scale = mpmath.mpf(7) / 3
            assert abs(other.weight - scale * base.weight) < mpmath.mpf(10) ** -45
            assert abs(other.first_moment - base.first_moment / scale) < mpmath.mpf(10) ** -45
            assert abs(other.second_moment - base.second_moment / scale**2) < mpmath.mpf(10) ** -45


def test_the_weights_part_when_epsilon_is_not_rescaled():
    with mpmath.workdps(50):
        unscaled = {**POINT, x.eps: POINT[x.eps] * POINT[c]}  # the second run's ε/c is then the first run's ε
        other, base = trained(unscaled, 12, POINT[c])[-1], trained(POINT, 12)[-1]
        assert abs(other.weight - POINT[c].numerator / mpmath.mpf(3) * base.weight) > 1e-3


def test_the_missed_part_of_the_first_update_in_numbers():
    function = derive("theorem-1").function("first_missed_update")
    with mpmath.workdps(50):
        at = {**POINT, x.eta: Fraction(1, 10), x.lam: Fraction(1), g: Fraction(-2)}
        found = missed_at_first(at)
    assert function(scale=7 / 3, lr=0.1, gradient=-2.0, eps=0.05) == pytest.approx(float(found), rel=1e-12)
    assert function(scale=1.0, lr=0.1, gradient=-2.0, eps=0.05) == 0
