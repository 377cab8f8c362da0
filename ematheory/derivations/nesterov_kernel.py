"""AdamW with Nesterov's numerator β₁m + (1 − β₁)g on gradients (E4): its kernel and mean lag."""

from __future__ import annotations

import mpmath
import sympy as sp

from ..optimizers import AdamW
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Antidifference, Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime, forget, long_run, namespace, rate, root, symbolic, v, weight
from .gradient_kernel import kernel, s
from .lemmas import GEOMETRIC_SUM, SUM_LINEARITY
from .limits import Limit

a, b1, eta, lam = x.a, x.beta1, x.eta, x.lam
j, t, T, w, m, g = x.j, x.t, x.T, x.w_t, x.m_t, x.g_t
RECORD = AdamW(lr=1.0, weight_decay=0.1)


def nesterov(n: Expression) -> Expression:
    """The kernel for a ≠ β₁: β₁ of AdamW's, and 1 − β₁ of the average without momentum."""
    return b1 * kernel(n) + (1 - b1) * (1 - a) * a**n


def update_steps() -> tuple[Step, ...]:
    first = symbolic().first_moment
    # AdamW's update run on a state whose moment has this gradient already: its numerator is then β₁m + (1 − β₁)g.
    twice = symbolic().weight.xreplace({m(t): first})
    moment = b1 * m(t) + (1 - b1) * g(t + 1)
    after = sp.Tuple(w(t + 1), m(t + 1))
    return (
        Step(
            "update",
            Equation(after, sp.Tuple(a * w(t) - eta * (b1 * moment + (1 - b1) * g(t + 1)) / (root + x.eps), moment)),
            "AdamW's own update, long after the start and with √v held constant, applied to its own new moment: "
            "Nesterov's numerator is β₁m + (1 − β₁)g with the new m",
            Identity(where={w(t + 1): twice, m(t + 1): first}),
        ),
        Step(
            "unrolled",
            Equation(
                sp.Tuple(w(t), m(t)),
                sp.Tuple(weight(nesterov(t - j)), sp.Sum((1 - b1) * b1 ** (t - j) * g(j), (j, 1, t))),
            ),
            "by induction on weight and moment together: the gradient at lag s enters with β₁k_s + (1 − β₁)(1 − a)a^s",
            Induction(
                variable=t,
                recurrence=("update",),
                initial={w(0): x.w0, m(0): sp.Integer(0)},
                lemmas=(SUM_LINEARITY,),
            ),
        ),
    )


def sum_steps() -> tuple[Step, ...]:
    total = 1 - ((1 - b1) * a ** (T + 1) - (1 - a) * b1 ** (T + 1)) / (a - b1)
    sums = b1 * total + (1 - b1) * (1 - a**T)
    scale = (1 - a) * (1 - b1) / (a - b1)

    def part(n: Expression, c: Expression) -> Expression:
        """F with F(n + 1) − F(n) = n c^n."""
        return -(c**n) * (n + c / (1 - c)) / (1 - c)

    def certificate(n: Expression) -> Expression:
        slow, fast = b1 * scale * a + (1 - b1) * (1 - a), b1 * scale * b1
        return slow * part(n, a) - fast * part(n, b1)

    lags = certificate(T) - certificate(sp.Integer(0))
    return (
        Step(
            "sum of T lags",
            Equation(sp.Sum(nesterov(s), (s, 0, T - 1)), sums),
            "geometric sums",
            Identity(lemmas=(SUM_LINEARITY, GEOMETRIC_SUM)),
        ),
        Step(
            "sum",
            Equation(sums, 1),
            "the coefficients of a long run sum to one",
            Limit(variable=T, decaying=(a, b1)),
        ),
        Step(
            "first moment of T lags",
            Equation(sp.Sum(s * nesterov(s), (s, 0, T - 1)), lags),
            "Σ s k_s telescopes",
            Antidifference(certificate=certificate(s)),
        ),
        Step(
            "mean lag",
            Equation(lags, (1 - rate) / rate + (1 - forget) ** 2 / forget),
            "in a long run: a/(1 − a) + β₁²/(1 − β₁), that is β₁ less than with AdamW's numerator",
            Limit(variable=T, decaying=(a, b1)),
        ),
        Step(
            "kernel at lag 0",
            Equation(nesterov(sp.Integer(0)), rate * forget * (2 - forget)),
            "the newest gradient enters with (1 − a)(1 − β₁²), 1 + β₁ times its share in AdamW",
            Identity(),
        ),
    )


def response(point: Point, steps: int) -> list[Number]:
    """−λw at the steps of a run from w = 0 whose only gradient, 1, is the first: AdamW itself on its own new moment."""
    eta_, decay = as_real(point[eta]), as_real(point[rate]) / as_real(point[eta])
    held = namespace(x.numbers, as_real(1))
    record = RECORD.substituted(beta1=1 - as_real(point[forget]), beta2=as_real(1) / 2, eps=as_real(0))
    c = record.coefficients(held, SettledTime(as_real(1), eta_, decay, as_real(1)))
    state, found = record.initial(held, as_real(0)), []
    for k in range(steps):
        gradient = as_real(int(k == 0))
        ahead = record.update(held, state, gradient, c)
        again = record.update(held, state._replace(first_moment=ahead.first_moment), gradient, c)
        state = ahead._replace(weight=again.weight)
        found.append(-decay * state.weight)
    return found


def nesterov_kernel() -> Derivation:
    """E4 with Nesterov's numerator."""
    return Derivation(
        name="nesterov-kernel",
        title="AdamW with Nesterov's numerator: its kernel on gradients",
        statement=(
            "With the numerator β₁m_t + (1 − β₁)g_t the gradient at lag s enters the weight with "
            "β₁k_s + (1 − β₁)(1 − a)a^s, where k is AdamW's kernel. The coefficients sum to one, the newest gradient "
            "counts 1 + β₁ times as much, and the mean lag is shorter by β₁: a/(1 − a) + β₁²/(1 − β₁)."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), integer(T, 1), integer(s), between(rate, 0, 1), between(forget, 0, 1),
                positive(eta), positive(v), positive(x.eps), real(x.w0), real(g),
            ),
            (sp.Ne(rate, forget),),
        ),
        definitions={a: 1 - rate, b1: 1 - forget, lam: rate / eta},
        steps=update_steps() + sum_steps(),
        results={"mean_lag": "mean lag", "newest": "kernel at lag 0", "sum": "sum"},
        brute_force={
            "mean_lag": lambda p: mpmath.fsum(lag * c for lag, c in enumerate(response(p, long_run(p)))),
            "newest": lambda p: response(p, 1)[0],
            "sum": lambda p: mpmath.fsum(response(p, long_run(p))),
        },
        source="THEORY.md, E4",
        arguments={rate: "decay_per_step", forget: "one_minus_beta1", s: "lag"},
        corrects="torch.optim.NAdam is not this form: its momentum follows a schedule of its own",
    )  # fmt: skip


DERIVATIONS = {"nesterov-kernel": nesterov_kernel}
