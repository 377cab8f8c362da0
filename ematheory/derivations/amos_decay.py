"""How Amos's step and decay fall (section 7), from its own update: not alike, but as t^−2 and t^−3."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp

from ..optimizers import Amos
from ..optimizers.amos import AmosCoefficients
from . import symbols as x
from .assumptions import Assumptions, between, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .limits import Limit

xi, expected = sp.symbols("xi s", positive=True)  # ξ, and η̃, the size that the weights are expected to have
adapted = sp.Symbol("b", positive=True)  # Amos's own count b of what it has decayed
weight, gradient = sp.symbols("w g", real=True)
elapsed = sp.Symbol("t", positive=True)
RECORD = Amos(lr=1.0)
half, quarter = sp.Rational(1, 2), sp.Rational(1, 4)
gamma = xi**2 / sp.sqrt(1 + sp.sqrt(xi) * adapted / 4)
damping = 1 / (1 + sp.sqrt(xi) * sp.sqrt(expected) * adapted / 4)
step_size, decay = damping * xi * expected, damping * gamma / 2
rate = xi ** sp.Rational(7, 4)


def coefficients() -> AmosCoefficients:
    """Long after the start and without momentum; a constant gradient's square is its own mean."""
    return AmosCoefficients(
        lr=xi * expected, squared_lr=xi**2, slow_c=sp.sqrt(xi) / 4, slow_d=sp.sqrt(xi) * sp.sqrt(expected) / 4,
        correction=1, beta2=0, one_minus_beta2=1, eps=0, momentum=0, one_minus_momentum=1,
    )  # fmt: skip


def updated() -> Any:
    namespace = type(x.xp)(**{**vars(x.xp), "dot": lambda p, q: p * q})
    known = Amos.State(weight, sp.Integer(0), sp.Symbol("v", positive=True), adapted)
    return RECORD.update(namespace, known, gradient, coefficients())


def steps() -> tuple[Step, ...]:
    new = updated()
    letters = sp.symbols("w' b'", real=True)
    square = (rate * elapsed) ** 2
    sign = gradient / sp.sqrt(gradient**2)
    late = {adapted: square}
    return (
        Step(
            "update",
            Equation(
                sp.Tuple(*letters),
                sp.Tuple(weight - decay * weight - step_size * sign, adapted + gamma * (1 + adapted)),
            ),
            "Amos's own update without momentum where the gradient's square is steady, mean(g²) = v̂: its decay per "
            "step is dγ/2, its step dξη̃",
            Identity(where=dict(zip(letters, (new.weight, new.decayed), strict=True))),
        ),
        Step(
            "late growth",
            Equation(gamma * (1 + adapted) / sp.sqrt(adapted), 2 * rate),
            "late, b grows by 2ξ^{7/4}√b a step",
            Limit(variable=adapted),
        ),
        Step(
            "late count",
            Equation(sp.Derivative(square, elapsed), 2 * rate * sp.sqrt(square)),
            "so that b goes as (ξ^{7/4}t)²",
            Identity(),
        ),
        Step(
            "late step",
            Equation((step_size * elapsed**2).subs(late), 4 * sp.sqrt(expected) / xi**3),
            "the step falls as t^{−2}",
            Limit(variable=elapsed),
        ),
        Step(
            "late decay",
            Equation((decay * elapsed**3).subs(late), 4 / (xi**4 * sp.sqrt(expected))),
            "the decay per step falls as t^{−3}",
            Limit(variable=elapsed),
        ),
        Step(
            "decay over step",
            Equation(decay / step_size ** sp.Rational(3, 2), sp.sqrt(xi) / (2 * expected ** sp.Rational(5, 4))),
            "and the decay as the power 3/2 of the step",
            Limit(variable=adapted),
        ),
    )


def run(point: Point) -> Number:
    """The decay over the step's power 3/2 in Amos itself, at so large a count that the limit is reached."""
    lr, size = as_real(point[xi]), as_real(point[expected])
    c = AmosCoefficients(lr * size, lr * lr, mpmath.sqrt(lr) / 4, mpmath.sqrt(lr * size) / 4, 1, 0, 1, 0, 0, 1)
    numbers = type(x.numbers)(**{**vars(x.numbers), "dot": lambda p, q: p * q})

    def moved(w: Number, g: Number) -> Number:
        state = Amos.State(as_real(w), as_real(0), as_real(1), mpmath.mpf(10) ** 90)
        return w - RECORD.update(numbers, state, as_real(g), c).weight

    # The part that is linear in the weight is decay; of opposite gradients half the difference is the step.
    taken = (moved(0, 1) - moved(0, -1)) / 2
    with mpmath.workdps(200):
        wide = moved(mpmath.mpf(1), 1) - moved(mpmath.mpf(0), 1)
    return wide / mpmath.power(taken, mpmath.mpf(3) / 2)


def amos_decay() -> Derivation:
    """What Amos does with time."""
    return Derivation(
        name="amos-decay",
        title="Amos: the step falls as t^−2, the decay as t^−3",
        statement=(
            "Where the gradients' size is steady, Amos's count b grows as (ξ^{7/4}t)² in the end, its step falls as "
            "t^{−2} and its decay per step as t^{−3}: the decay goes as the power 3/2 of the step, with the factor "
            "√ξ/(2η̃^{5/4})."
        ),
        assumptions=Assumptions(
            (
                between(xi, 0, 1, sampled=(sp.Rational(1, 10), 1)),
                between(expected, 0, sp.oo, sampled=(sp.Rational(1, 10), 2)),
                positive(adapted), real(weight), positive(gradient), positive(elapsed),
            )
        ),
        steps=steps(),
        results={"decay_over_step": "decay over step"},
        brute_force={"decay_over_step": run},
        source="Tian & Parikh, arXiv 2210.11693; THEORY.md, section 7",
        arguments={xi: "amos_lr", expected: "amos_scale"},
        corrects="that Amos's learning rate and decay both fall as 1/(1 + ct)²: the decay falls faster, as t^{−3}",
    )  # fmt: skip


DERIVATIONS = {"amos-decay": amos_decay}
