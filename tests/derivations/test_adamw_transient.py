"""AdamW's approach to its equilibrium: numbers against AdamW itself, the branch of equal rates, what corrections do."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

from ematheory.derivations import derive
from ematheory.derivations import symbols as x
from ematheory.derivations.adamw_transient import D, mean_square_from_start
from ematheory.derivations.frozen_preconditioner import forget, rate, response
from ematheory.optimizers.optimizer import SymbolicTime

SETTLED = derive("adamw-transient")


@pytest.mark.parametrize(("decay", "memory"), [(0.0625, 0.5), (0.25, 0.25), (1e-3, 0.1), (0.1, 1.0)])
def test_the_mean_square_is_that_of_adamw_with_its_bias_corrections(decay, memory):
    """Its own responses to each gradient, in 60 digits, with the clock that starts at the first step."""
    steps, lr, weight = 20, 0.5, 1.25
    point = {x.eta: Fraction(lr), rate: Fraction(decay), forget: Fraction(memory)}
    with mpmath.workdps(60):
        left = [response(point, steps, at=at, time=SymbolicTime)[-1] for at in range(1, steps + 1)]
        exact = (weight * (1 - mpmath.mpf(decay)) ** steps) ** 2 + sum(k**2 for k in left) * (lr / decay) ** 2
    found = mean_square_from_start(lr=lr, decay_per_step=decay, one_minus_beta1=memory, steps=steps, weight=weight)
    assert found == pytest.approx(float(exact), rel=1e-13)


def test_it_comes_to_the_equilibrium():
    rms = derive("adamw-random-walk").function("weight_rms")(lr=0.1, decay_per_step=0.01, one_minus_beta1=0.1)
    found = mean_square_from_start(lr=0.1, decay_per_step=0.01, one_minus_beta1=0.1, steps=5000, weight=3.0)
    assert found == pytest.approx(rms**2, rel=1e-12)


def test_bias_correction_makes_the_first_updates_larger():
    """The first update is ±η, not ±η(1 − β₁)."""
    known = {"lr": 1.0, "decay_per_step": 0.01, "one_minus_beta1": 0.1}
    assert mean_square_from_start(**known, steps=1) == pytest.approx(1.0, rel=1e-14)
    kernel = derive("gradient-kernel").function("kernel")(decay_per_step=0.01, one_minus_beta1=0.1, lag=np.arange(20.0))
    settled = float(np.sum((kernel / 0.01) ** 2))
    assert mean_square_from_start(**known, steps=20) > 1.5 * settled


def test_the_response_of_a_buffer_at_equal_rates():
    function = SETTLED.function("buffer_response")
    steps = np.array([0.0, 1.0, 7.0, 50.0])
    kept = 0.75**steps
    assert function(decay_per_step=0.25, one_minus_beta1=0.25, steps=steps) == pytest.approx(steps * kept, rel=1e-14)
    near = function(decay_per_step=0.25, one_minus_beta1=0.25 * (1 + 1e-13), steps=steps)
    assert near == pytest.approx(steps * kept, rel=1e-11)


def test_a_wrong_branch_at_equal_rates_is_noticed():
    """The random points of the general mutants never meet a = β₁."""
    number = [step.label for step in SETTLED.steps].index("buffer response")
    lhs, rhs = next(SETTLED.steps[number].equation.pairs())
    (limit, condition), rest = rhs.args
    for wrong in (2 * limit, limit / (1 - rate)):
        assert not SETTLED.with_step(number, (lhs, sp.Piecewise((wrong, condition), rest))).check_step(number)


def test_equal_rates_need_the_square_of_the_steps():
    """t² of the buffer's own part: without it the induction at β₁ = a fails."""
    number = [step.label for step in SETTLED.steps].index("transient at equal rates")
    lhs, rhs = SETTLED.steps[number].equation.lhs, SETTLED.steps[number].equation.rhs
    square = sp.expand(rhs[2])
    without = square - square.coeff(D(x.t), 2) * D(x.t) ** 2
    assert not SETTLED.with_step(number, (lhs, sp.Tuple(rhs[0], rhs[1], without))).check_step(number)
