"""Weight decay on scale-invariant weights as an exponential learning rate (R6): SGD with momentum and L2."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import SGD
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import STABLE
from .limits import Series, Solve
from .momentum_l2 import gap, loss, rate

eta, lam, mu, T = x.eta, x.lam, x.mu, x.T
w, m, g = sp.symbols("w m g", real=True)
slow = sp.Symbol("y", positive=True)  # 1 − α
pole = sp.Symbol("alpha", positive=True)  # the larger root of x² − (1 + μ − ηλ)x + μ
shrunk = sp.Symbol("P", positive=True)  # α^t, by which the plain run's weight is larger
weight, buffer = sp.symbols("w' m'", real=True)
free, free_buffer = sp.symbols("W' M'", real=True)
DECAYED, PLAIN = SGD(lr=1.0, momentum=0.5, weight_decay=0.1), SGD(lr=1.0, momentum=0.5)


def updated(record: SGD, lr: Expression, decay: Expression, *state: Expression) -> Any:
    """(w, m) after SGD's own update from w and m with a gradient."""
    named = x.with_symbols(record)
    time = SymbolicTime(step=sp.Integer(1), lr=lr, weight_decay=decay)
    return named.update(x.xp, named.State(*state[:2]), state[2], named.coefficients(x.xp, time))


def plain_buffer(weight: Expression, buffer: Expression) -> Expression:
    """The plain run's buffer over P, from the decayed run's state."""
    return buffer - (1 - pole) * weight / (eta * pole)


def steps() -> tuple[Step, ...]:
    decayed = updated(DECAYED, eta, lam, w, m, g)
    plain = updated(PLAIN, eta / (shrunk**2 * pole), sp.Integer(0), w / shrunk, shrunk * plain_buffer(w, m), shrunk * g)
    next_weight = w - eta * (mu * m + g + lam * w)
    next_buffer = mu * m + g + lam * w
    return (
        Step(
            "update",
            Equation(sp.Tuple(weight, buffer), sp.Tuple(next_weight, next_buffer)),
            "SGD's own update with momentum and L2",
            Identity(where={weight: decayed.weight, buffer: decayed.momentum}),
        ),
        Step(
            "decay",
            Equation(lam, (1 - pole) * (pole - mu) / (eta * pole)),
            "let α solve α² − (1 + μ − ηλ)α + μ = 0: that is λ in terms of α",
            Solve(conditions=(Equation(pole**2 - (1 + mu - eta * lam) * pole + mu, 0),)),
        ),
        Step(
            "without decay",
            Equation(
                sp.Tuple(free, free_buffer),
                sp.Tuple(next_weight / (pole * shrunk), pole * shrunk * plain_buffer(next_weight, next_buffer)),
            ),
            "from W = w/P and M = P(m − (1 − α)w/(ηα)), where the gradient is P times larger, SGD's own update without "
            "decay leads to the same of the decayed run's next state, with αP for P, if its rate is η/(P²α)",
            Identity(uses=("decay",), where={free: plain.weight, free_buffer: plain.momentum}),
        ),
        Step(
            "pole",
            Equation((1 - gap) ** 2, (2 - loss - rate) * (1 - gap) - (1 - loss)),
            "the larger root is the slow pole of derivation momentum-l2, real for ηλ ≤ (1 − √μ)²",
            Identity(),
        ),
        Step(
            "learning rate",
            Equation(eta * (1 - slow) ** (1 - 2 * T), eta * sp.exp((1 - 2 * T) * log1p(-slow))),
            "P = α^{T−1} at step T makes that rate η̃_T = ηα^{1−2T}, here in 1 − α and a form that loses no digits",
            Identity(lemmas=STABLE),
        ),
        Step(
            "small decay",
            Equation(1 - gap, 1 - rate / loss),
            "for small ηλ α is 1 − ηλ/(1 − μ): the rate grows by 1 + 2ηλ/(1 − μ) a step",
            Series(variable=rate, order=2),
        ),
    )


def last_rate(point: Point) -> Number:
    """The rate at which plain SGD with momentum, started with the derived buffer, follows the decayed run at step T."""
    lr, kept = as_real(point[eta]), 1 - as_real(point[loss])
    alpha = 1 - as_real(point[slow])
    # The λ whose slow pole this is, from the characteristic polynomial.
    decay = ((1 + kept) * alpha - alpha**2 - kept) / (lr * alpha)
    one, other = (record.substituted(momentum=kept) for record in (DECAYED, PLAIN))
    clock, unit = SymbolicTime(as_real(1), lr, decay), SymbolicTime(as_real(1), as_real(1), as_real(0))
    state = one.initial(x.numbers, mpmath.mpf(3))
    plain, scale, found = (mpmath.mpf(3), -(1 - alpha) * 3 / (lr * alpha)), mpmath.mpf(1), mpmath.mpf(0)
    for step in range(1, point[T] + 1):
        slope = mpmath.mpf(2) + mpmath.mpf(step % 3) / 7
        state = one.update(x.numbers, state, slope, one.coefficients(x.numbers, clock))
        moved = other.update(
            x.numbers, other.State(*plain), scale * slope, other.coefficients(x.numbers, unit)
        )  # fmt: skip
        scale *= alpha
        found = (plain[0] - state.weight / scale) / moved.momentum
        plain = (state.weight / scale, moved.momentum)
    return found


def exponential_lr_momentum() -> Derivation:
    """R6 for SGD with momentum."""
    return Derivation(
        name="exponential-lr-momentum",
        title="With momentum too, L2 on scale-invariant weights is an exponentially growing learning rate",
        statement=(
            "SGD with momentum and L2 at a constant rate goes through the directions of SGD with the same momentum, no "
            "decay and η̃_t = ηα^{1−2t}, t from 1, α the larger root of x² − (1 + μ − ηλ)x + μ, if the latter's buffer "
            "starts at −(1 − α)w_0/(ηα)."
        ),
        assumptions=Assumptions(
            (
                positive(eta), between(loss, 0, 1, sampled=(sp.Rational(1, 10), 1)), between(rate, 0, loss**2 / 4),
                between(slow, 0, 1),
                integer(T, 1, most=11), real(w), real(m), real(g), positive(shrunk), between(pole, 0, 1),
            ),
            (sp.Lt(slow, loss),),
        ),
        definitions={mu: 1 - loss},
        steps=steps(),
        results={"learning_rate": "learning rate"},
        brute_force={"learning_rate": last_rate},
        source="Li & Arora, arXiv 1910.07454; R6",
        arguments={eta: "lr", slow: "slow_pole_gap", T: "steps"},
    )  # fmt: skip


DERIVATIONS = {"exponential-lr-momentum": exponential_lr_momentum}
