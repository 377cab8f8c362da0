"""Weight decay on scale-invariant weights as an exponential learning rate (R6): AdamW."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import Adam, AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import rate
from .lemmas import STABLE
from .random_walk import ROOT_OF_PRODUCT

t, eta, lam, a, b1, b2, eps, T = x.t, x.eta, x.lam, x.a, x.beta1, x.beta2, x.eps, x.T
w, m, g = sp.symbols("w m g", real=True)
after = sp.Symbol("v'", positive=True)  # the second moment after the step
shrunk = sp.Symbol("P", positive=True)  # a^t, by which the plain run's weight is larger
weight, first, second = sp.symbols("W' M' V'", real=True)
before = (after - (1 - b2) * g**2) / b2
DECAYED, PLAIN = AdamW(lr=1.0, weight_decay=0.1), Adam(lr=1.0)


def raised(c: Any, keep: Expression, scale: Expression) -> Any:
    """Adam's coefficients with β₁ → aβ₁ and β₂ → a²β₂ in the recursions alone, and ε → εP."""
    return c._replace(beta1=keep * c.beta1, beta2=keep * keep * c.beta2, eps=c.eps * scale)


def steps() -> tuple[Step, ...]:
    time = x.clock(constant=True)
    record, other = x.with_symbols(DECAYED), x.with_symbols(PLAIN)
    decayed = record.update(x.xp, record.State(w, m, before), g, record.coefficients(x.xp, time))
    c = raised(other.coefficients(x.xp, time._replace(lr=eta / (a * shrunk), weight_decay=sp.Integer(0))), a, shrunk)
    state = other.State(w / shrunk, shrunk / a * m, (shrunk / a) ** 2 * before)
    plain = other.update(x.xp, state, shrunk * g, c)
    moment = b1 * m + (1 - b1) * g
    update = moment / (1 - b1 ** (t + 1)) / (sp.sqrt(after / (1 - b2 ** (t + 1))) + eps)
    stable = eta * sp.exp(-T * log1p(-rate))
    return (
        Step(
            "update",
            Equation(weight, a * w - eta * update),
            "AdamW's own update of the weight, written with the second moment v' after it",
            Identity(where={weight: decayed.weight}, lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "moments without decay",
            Equation(sp.Tuple(first, second), sp.Tuple(shrunk * moment, shrunk**2 * after)),
            "Adam's own update from m·P/a and v·P²/a², where the gradient is P times larger, with aβ₁ and a²β₂ in the "
            "recursions while the weights 1 − β of the new gradient stay",
            Identity(where={first: plain.first_moment, second: plain.second_moment}),
        ),
        Step(
            "without decay",
            Equation(weight, (a * w - eta * update) / (a * shrunk)),
            "with the original bias corrections, ε·P and the rate η/(aP) it leads from w/P to w'/(aP)",
            Identity(where={weight: plain.weight}, lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "learning rate",
            Equation(eta * (1 - rate) ** -T, stable),
            "P = a^{T−1} at step T makes that rate η̃_T = ηa^{−T}, and ε_T = εa^{T−1}; in a form that loses no digits",
            Identity(lemmas=STABLE),
        ),
    )


def last_rate(point: Point) -> Number:
    """The rate at which Adam without decay, with the raised coefficients, follows the decayed run at step T."""
    lr, keep = as_real(point[eta]), 1 - as_real(point[rate])
    fields = {"beta1": as_real(point[b1]), "beta2": as_real(point[b2]), "eps": as_real(point[eps])}
    one, other = DECAYED.substituted(**fields), PLAIN.substituted(**fields)
    state, plain = one.initial(x.numbers, mpmath.mpf(3)), other.initial(x.numbers, mpmath.mpf(3))
    scale, found = mpmath.mpf(1), mpmath.mpf(0)
    for step in range(1, point[T] + 1):
        slope = mpmath.mpf(2) + mpmath.mpf(step % 3) / 7
        clock = SymbolicTime(as_real(step), lr, (1 - keep) / lr)
        state = one.update(x.numbers, state, slope, one.coefficients(x.numbers, clock))
        c = raised(other.coefficients(x.numbers, SymbolicTime(as_real(step), as_real(1), as_real(0))), keep, scale)
        moved = other.update(x.numbers, plain, scale * slope, c)
        scale *= keep
        found = (plain.weight - state.weight / scale) / (plain.weight - moved.weight)
        plain = moved._replace(weight=state.weight / scale)
    return found


def exponential_lr_adamw() -> Derivation:
    """R6 for AdamW."""
    return Derivation(
        name="exponential-lr-adamw",
        title="On scale-invariant weights AdamW is Adam with an exponentially growing learning rate",
        statement=(
            "Where the loss does not depend on the weights' scale AdamW at constant η and λ goes through the "
            "directions of Adam without decay and with η̃_t = ηa^{−t}, ε_t = εa^{t−1}, and aβ₁ and a²β₂ in the "
            "recursions, while the weights 1 − β of the new gradient and the bias corrections stay as they are."
        ),
        assumptions=Assumptions(
            (
                positive(eta), between(rate, 0, 1), between(b1, 0, 1), between(b2, 0, 1), positive(eps),
                integer(T, 1, most=11), integer(t, most=6), real(w), real(m), real(g), positive(shrunk),
                positive(after),
            ),
        ),
        definitions={a: 1 - rate, lam: rate / eta},
        steps=steps(),
        results={"learning_rate": "learning rate"},
        brute_force={"learning_rate": last_rate},
        source="R6; for SGD: Li & Arora, arXiv 1910.07454",
        arguments={eta: "lr", rate: "decay_per_step", T: "steps"},
        corrects="that for Adam too a larger rate alone stands for decay: both betas and ε change as well",
    )  # fmt: skip


DERIVATIONS = {"exponential-lr-adamw": exponential_lr_adamw}
