"""Weight decay on scale-invariant weights is an exponential learning rate (R6): SGD without momentum, any schedule."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import SGD
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import STABLE

t, k, eta, lam, w, g, T = x.t, x.k, x.eta_t, x.lam, x.w_t, x.g_t, x.T
other = sp.Function("W", real=True)  # the weights of the run without decay
scale = sp.Function("P", positive=True)  # Π (1 − η_jλ), what decay alone leaves
raised = sp.Function("eta_exp", positive=True)  # its learning rate η̃
peak, rate = sp.Symbol("eta_0", positive=True), sp.Symbol("r", positive=True)  # a constant rate, and ηλ
FACTOR = eta(t + 2) / eta(t + 1) / ((1 - lam * eta(t + 1)) * (1 - lam * eta(t + 2)))
DECAYED, PLAIN = SGD(lr=1.0, weight_decay=0.1), SGD(lr=1.0)


def one_step(
    record: SGD, rate_now: Expression, decay: Expression, weight: Expression, gradient: Expression
) -> Expression:
    """The weight after SGD's own update."""
    time = SymbolicTime(step=t + 1, lr=rate_now, weight_decay=decay)
    state = record.State(weight, sp.Integer(0))
    return record.update(x.xp, state, gradient, record.coefficients(x.xp, time)).weight


def steps() -> tuple[Step, ...]:
    shrink = 1 - lam * eta(t + 1)
    new_rate = eta(t + 1) / (scale(t) ** 2 * shrink)
    following = eta(t + 2) / ((scale(t) * shrink) ** 2 * (1 - lam * eta(t + 2)))
    decayed = one_step(DECAYED, eta(t + 1), lam, w(t), g(t + 1))
    # The loss does not depend on the scale, so at w/P the gradient is P times that at w.
    plain = one_step(PLAIN, raised(t + 1), sp.Integer(0), w(t) / scale(t), scale(t) * g(t + 1))
    at_constant_rate = FACTOR.xreplace({eta(t + 1): peak, eta(t + 2): peak})
    constant = peak / (1 - rate) ** (2 * T - 1)
    return (
        Step(
            "update",
            Equation(w(t + 1), shrink * w(t) - eta(t + 1) * g(t + 1)),
            "SGD's own update with decay λ under any schedule",
            Identity(where={w(t + 1): decayed}),
        ),
        Step(
            "without decay",
            Equation(other(t + 1), w(t + 1) / (scale(t) * shrink)),
            "SGD's own update without decay, at W = w/P where the gradient is P times larger, leads to w'/P' with "
            "P' = (1 − ηλ)P, if its rate is η̃ = η/(P²(1 − ηλ))",
            Identity(uses=("update",), where={other(t + 1): plain, raised(t + 1): new_rate}),
        ),
        Step(
            "next rate",
            Equation(raised(t + 2) / raised(t + 1), FACTOR),
            "from step to step the rate grows by this factor: an exponential schedule",
            Identity(where={raised(t + 1): new_rate, raised(t + 2): following}),
        ),
        Step(
            "growth",
            Equation(raised(t + 1), raised(t) / (1 - rate) ** 2),
            "at a constant rate η = η_t = η_{t+1} that factor is a^{−2}",
            Identity(where={raised(t + 1): raised(t) * at_constant_rate, lam: rate / peak}),
        ),
        Step(
            "constant rate",
            Equation(raised(t), peak / (1 - rate) ** (2 * t - 1)),
            "at a constant rate, by induction on that factor: η̃_t = ηa^{1−2t}, t from 1",
            Induction(
                variable=t, start=1, recurrence=("growth",), initial={raised(1): peak / (1 - rate)}
            ),
        ),
        Step(
            "stable form",
            Equation(constant, peak * sp.exp((1 - 2 * T) * log1p(-rate))),
            "the rate of step T without decay, in a form that loses no digits at small ηλ",
            Identity(lemmas=STABLE),
        ),
    )  # fmt: skip


def last_rate(point: Point) -> Number:
    """η̃_T step by step: the rate at which a plain step from w/P goes to w'/P', read off one update of SGD each."""
    lr, decay = as_real(point[peak]), as_real(point[rate]) / as_real(point[peak])
    record = PLAIN.substituted(momentum=mpmath.mpf(0))
    kept, found = mpmath.mpf(1), mpmath.mpf(0)
    for step in range(1, point[T] + 1):
        c = record.coefficients(x.numbers, SymbolicTime(as_real(step), lr, decay))
        weight, gradient = mpmath.mpf(3), mpmath.mpf(2)
        after = record.update(x.numbers, record.State(weight, mpmath.mpf(0)), gradient, c).weight
        following = kept * (1 - lr * decay)
        found = (weight / kept - after / following) / (gradient * kept)
        kept = following
    return found


def exponential_lr() -> Derivation:
    """R6 for SGD without momentum."""
    return Derivation(
        name="exponential-lr-sgd",
        title="On scale-invariant weights decay is an exponentially growing learning rate",
        statement=(
            "Where the loss does not depend on the weights' scale, SGD with decay λ and rates η_t and SGD without "
            "decay and with rates η̃_t go through the same directions, W_t = w_t/Π(1 − η_jλ), if η̃_{t+1}/η̃_t = "
            "(η_{t+1}/η_t)/[(1 − λη_t)(1 − λη_{t+1})] and η̃_1 = η_1/(1 − λη_1); at a constant rate η̃_t = ηa^{1−2t}."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), integer(T, 1, most=59), between(eta, 0, 1), between(lam, 0, 1), positive(peak),
                between(rate, 0, 1), real(w), real(g), positive(scale),
            )
        ),
        steps=steps(),
        results={"learning_rate": "stable form"},
        brute_force={"learning_rate": last_rate},
        source="Li & Arora, arXiv 1910.07454; R6",
        arguments={peak: "lr", rate: "decay_per_step", T: "steps"},
    )  # fmt: skip


DERIVATIONS = {"exponential-lr-sgd": exponential_lr}
