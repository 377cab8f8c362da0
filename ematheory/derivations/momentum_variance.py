"""What momentum does to the stationary variance on a noisy quadratic coordinate (Q2), without decay."""

from __future__ import annotations

import sympy as sp

from . import symbols as x
from .assumptions import Assumptions, between, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .heavy_ball import after, buffer, expectation, moments, noise, variance_of, weight
from .limits import Series, Solve
from .momentum_l2 import loss
from .sgd_quadratic import variance

eta, lam, h = x.eta, x.lam, x.h
growth = sp.Symbol("R", positive=True)
spread = eta * variance * (2 - loss) / (h * loss * (2 * (2 - loss) - eta * h))
plain = eta * variance / (h * (2 - eta * h))
ratio = (2 - loss) * (2 - eta * h) / (loss * (2 * (2 - loss) - eta * h))


def steps() -> tuple[Step, ...]:
    free = {lam: sp.Integer(0), x.mu: 1 - loss}
    new = [sp.expand(letter.subs(free)) for letter in after("l2", sp.Integer(0), noise)]
    squares = (new[0] ** 2, new[0] * new[1], new[1] ** 2)
    conditions = tuple(Equation(old, expectation(e)) for old, e in zip(moments, squares, strict=True))
    others = sp.solve([c.lhs - c.rhs for c in conditions], moments, dict=True)[0]
    return (
        Step(
            "update",
            Equation(sp.Tuple(*new), sp.Tuple(weight - eta * new[1], (1 - loss) * buffer + h * weight + noise_term())),
            "SGD's own update on the noisy quadratic's own gradient, without decay",
            Identity(),
        ),
        Step(
            "second moments",
            Equation(sp.Tuple(*moments), sp.Tuple(spread, *(sp.factor(others[c]) for c in moments[1:]))),
            "E w², E wm and E m², which one update with an independent noise leaves alone",
            Solve(conditions=conditions),
        ),
        Step(
            "ratio",
            Equation(growth, ratio),
            "the variance over that of SGD without momentum at the same η, ησ²/(h(2 − ηh))",
            Solve(conditions=(Equation(growth * plain, spread),)),
        ),
        Step(
            "small rate",
            Equation(ratio, 1 / loss - (1 - loss) * eta * h / (2 * loss * (2 - loss))),
            "as η → 0 it is 1/(1 − μ): momentum is a learning rate larger by that factor; the first correction is "
            "negative",
            Series(variable=eta, order=2),
        ),
    )


def noise_term() -> sp.Expr:
    return sp.sqrt(variance) * noise


def measured(point: Point) -> Number:
    """Σ of the squared responses of SGD itself to one noise, with momentum and without."""
    undecayed = {**point, lam: 0}
    with_momentum = variance_of("l2", {**undecayed, x.mu: 1 - as_real(point[loss])})
    return with_momentum / variance_of("l2", {**undecayed, x.mu: as_real(0)})


def momentum_variance() -> Derivation:
    """Q2: the stationary variance with momentum over that without."""
    return Derivation(
        name="momentum-variance",
        title="Momentum multiplies the stationary variance by 1/(1 − μ)",
        statement=(
            "Without decay the stationary variance of SGD with momentum is (1 + μ)ησ²/[h(1 − μ)(2(1 + μ) − ηh)], and "
            "over that without momentum it tends to 1/(1 − μ) as η → 0."
        ),
        assumptions=Assumptions(
            (
                between(loss, 0, 1, sampled=(sp.Rational(1, 10), 1)), positive(h), between(eta, 0, 2 / h),
                positive(variance),
                real(weight), real(buffer), real(noise),
            ),
        ),
        definitions={x.mu: 1 - loss},
        steps=steps(),
        results={"variance_ratio": "ratio"},
        brute_force={"variance_ratio": measured},
        source="THEORY.md, Q2",
        arguments={eta: "lr", h: "curvature", loss: "one_minus_momentum"},
        corrects="a factor (1 + μ)/(1 − μ) in lecture notes: too large by 1 + μ at small η",
    )  # fmt: skip


DERIVATIONS = {"momentum-variance": momentum_variance}
