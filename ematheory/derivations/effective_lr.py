"""Effective learning rates on scale-invariant weights (R7): which run without decay follows the same directions."""

from __future__ import annotations

import mpmath
import sympy as sp

from ..optimizers import SGD, AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import namespace
from .limits import Series, Solve

eta = x.eta
rate = sp.Symbol("r", positive=True)  # ηλ
norm, other = sp.symbols("n N", positive=True)  # ‖w‖ of the decayed run, and of the one without decay
push = sp.Symbol("G", positive=True)  # ‖g̃‖, of the gradient at unit norm
matched = sp.Symbol("eta_N", positive=True)  # the other run's learning rate
coordinate, sign = sp.symbols("w_i s_i", real=True)
DECAYED, PLAIN = SGD(lr=1.0, weight_decay=0.1), SGD(lr=1.0)
SIGNS = AdamW(lr=1.0, weight_decay=0.1)


def sgd_frame(record: SGD, lr: Expression, decay: Expression, size: Expression) -> tuple[Expression, Expression]:
    """The new weight along the old one and along the gradient, which is at right angles to it and G/size long."""
    time = SymbolicTime(step=sp.Integer(1), lr=lr, weight_decay=decay)
    c = record.coefficients(x.xp, time)
    zero = sp.Integer(0)
    along = record.update(x.xp, record.State(size, zero), zero, c).weight
    return along, record.update(x.xp, record.State(zero, zero), push / size, c).weight


def of_sign(lr: Expression, decay: Expression, weight: Expression) -> Expression:
    """A coordinate after AdamW's own update without memory: β₁ = β₂ = 0 and ε = 0, where m̂/√v̂ is the sign."""
    record = x.with_symbols(SIGNS).substituted(beta1=sp.Integer(0), beta2=sp.Integer(0), eps=sp.Integer(0))
    time = SymbolicTime(step=sp.Integer(1), lr=lr, weight_decay=decay)
    size = sp.Symbol("g", positive=True)
    held = namespace(x.xp, size)
    new = record.update(held, record.State(weight, 0, 0), size * sign, record.coefficients(x.xp, time)).weight
    return sp.expand(new)


def steps() -> tuple[Step, ...]:
    along, across = sgd_frame(DECAYED, eta, rate / eta, norm)
    plain_along, plain_across = sgd_frame(PLAIN, matched, sp.Integer(0), other)
    decayed_slope, plain_slope = (sp.Symbol(name, real=True) for name in ("t", "T"))
    exact = eta * other**2 / ((1 - rate) * norm**2)
    return (
        Step(
            "turn with decay",
            Equation(decayed_slope, -eta * push / ((1 - rate) * norm**2)),
            "SGD's own update in a frame with w along one axis and the gradient, of length ‖g̃‖/‖w‖, along another: the "
            "tangent of the angle it turns by",
            Identity(where={decayed_slope: across / along}),
        ),
        Step(
            "turn without decay",
            Equation(plain_slope, -matched * push / other**2),
            "the same of a run without decay whose weights point the same way and have the norm N",
            Identity(where={plain_slope: plain_across / plain_along}),
        ),
        Step(
            "matched rate",
            Equation(matched, exact),
            "the two turn alike where η̃/N² = η/((1 − ηλ)‖w‖²): the effective learning rate, exactly",
            Solve(conditions=(Equation(-matched * push / other**2, -eta * push / ((1 - rate) * norm**2)),)),
        ),
        Step(
            "published form",
            Equation((eta * other**2 / norm**2) / matched, 1 - rate),
            "the published η/‖w‖² is too small by the factor 1 − ηλ",
            Identity(uses=("matched rate",)),
        ),
        Step(
            "published turn",
            Equation(sp.atan((1 - rate) * push) - sp.atan(push), -rate * push / (1 + push**2)),
            "a turn of tangent p comes out smaller by ηλp/(1 + p²), to first order in ηλ",
            Series(variable=rate, order=2),
        ),
        Step(
            "signs with decay",
            Equation(sp.Symbol("w_i'", real=True), (1 - rate) * coordinate - eta * sign),
            "AdamW's own update without memory, whose steps do not fall with the norm",
            Identity(where={sp.Symbol("w_i'", real=True): of_sign(eta, rate / eta, coordinate)}),
        ),
        Step(
            "matched rate of signs",
            Equation(matched, eta * other / ((1 - rate) * norm)),
            "a run without decay, at N/‖w‖ times the weights, stays so where η̃/N = η/((1 − ηλ)‖w‖)",
            Solve(
                conditions=(
                    Equation(
                        of_sign(matched, sp.Integer(0), other / norm * coordinate),
                        other / ((1 - rate) * norm) * ((1 - rate) * coordinate - eta * sign),
                    ),
                )
            ),
        ),
    )


def matching(point: Point) -> Number:
    """The rate at which a run without decay turns as the decayed one does, by root finding on SGD's own updates."""
    lr = as_real(point[eta])
    goal = turned_by(DECAYED, lr, as_real(point[rate]) / lr, as_real(point[norm]))
    size = as_real(point[other])
    return mpmath.findroot(lambda r: turned_by(PLAIN, r, mpmath.mpf(0), size) / goal - 1, (lr, 2 * lr), tol=1e-100)


def turned_by(record: SGD, lr: Number, decay: Number, size: Number) -> Number:
    """The tangent of the angle by which one update of SGD itself turns weights of this norm; ‖g̃‖ is 3."""
    own = record.substituted(momentum=mpmath.mpf(0))
    c = own.coefficients(x.numbers, SymbolicTime(mpmath.mpf(1), lr, decay))
    zero = mpmath.mpf(0)
    along = own.update(x.numbers, own.State(size, zero), zero, c).weight
    return own.update(x.numbers, own.State(zero, zero), 3 / size, c).weight / along


def matching_signs(point: Point) -> Number:
    """The rate that keeps the second of two coordinates in proportion, by running AdamW itself without memory."""
    lr, decay = as_real(point[eta]), as_real(point[rate]) / as_real(point[eta])
    record = SIGNS.substituted(beta1=mpmath.mpf(0), beta2=mpmath.mpf(0), eps=mpmath.mpf(0))
    ratio = as_real(point[other]) / as_real(point[norm])

    def after(rate_: Number, shrink: Number, scale: Number) -> Number:
        """The ratio of two coordinates, 1 and 2 before, whose gradients have opposite signs."""
        c = record.coefficients(x.numbers, SymbolicTime(mpmath.mpf(1), rate_, shrink))
        zero = mpmath.mpf(0)
        first, second = (
            record.update(x.numbers, record.State(scale * w, zero, zero), mpmath.mpf(g), c).weight
            for w, g in ((mpmath.mpf(1), 2), (mpmath.mpf(2), -5))
        )
        return first / second

    goal = after(lr, decay, mpmath.mpf(1))
    return mpmath.findroot(lambda r: after(r, mpmath.mpf(0), ratio) - goal, (lr * ratio, 2 * lr * ratio), tol=1e-100)


def effective_lr() -> Derivation:
    """R7: the matching of learning rates that removes decay."""
    return Derivation(
        name="effective-learning-rate",
        title="Effective learning rates: the run without decay that turns alike",
        statement=(
            "On scale-invariant weights SGD without momentum and decay λ follows the same directions as a run without "
            "decay whose η̃/N² is η/((1 − ηλ)‖w‖²); AdamW without memory one whose η̃/N is η/((1 − ηλ)‖w‖). The printed "
            "η/‖w‖² and η/‖w‖ lack the factor: each turn is off by ηλ, relative. With memory R6's recipe is needed."
        ),
        assumptions=Assumptions(
            (
                positive(eta), between(rate, 0, 1), positive(norm), positive(other), positive(push),
                real(coordinate), between(sign, sp.Rational(1, 2), 1),
            )
        ),
        steps=steps(),
        results={"matched_lr": "matched rate", "matched_lr_of_signs": "matched rate of signs"},
        brute_force={"matched_lr": matching, "matched_lr_of_signs": matching_signs},
        source="D'Angelo et al., arXiv 2310.04415; THEORY.md, R7",
        arguments={eta: "lr", rate: "decay_per_step", norm: "weight_norm", other: "other_weight_norm"},
        corrects="the published effective learning rates η/‖w‖² and η/‖w‖, which are the limits ηλ → 0",
    )  # fmt: skip


DERIVATIONS = {"effective-learning-rate": effective_lr}
