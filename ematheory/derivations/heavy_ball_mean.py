"""The mean of SGD with momentum on a quadratic coordinate without decay (Q2): by the two poles."""

from __future__ import annotations

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from . import symbols as x
from .assumptions import Assumptions, between, integer, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .heavy_ball import after, buffer, weight
from .lemmas import EXP_LOG, EXPM1, Lemma
from .limits import Limit
from .scaling_momentum import fast, slow

eta, h, mu, t, w, m = x.eta, x.h, x.mu, x.t, x.w_t, x.m_t
first, second = sp.symbols("r_1 r_2", positive=True)  # the poles, r₁ > r₂


def log_of_quotient(y: Expression, given: Assumptions) -> Expression:
    """log(1 + y) = log n − log d for 1 + y = n/d with n and d of one sign."""
    for sign in (1, -1):
        top, bottom = (sp.expand(sign * part) for part in sp.fraction(sp.together(1 + y)))
        if given.is_positive(top) and given.is_positive(bottom):
            return sp.log(top) - sp.log(bottom)
    return sp.log(1 + y)


LOG_QUOTIENT = Lemma(
    "log1p of a quotient",
    "log1p(n/d − 1) = log n − log d for n, d > 0",
    lambda e, given: e.replace(log1p, lambda y: log_of_quotient(y, given)),
)
# In terms of the poles: μ = r₁r₂ and ηh = (1 − r₁)(1 − r₂).
BY_POLES = {mu: first * second, h: (1 - first) * (1 - second) / eta}
distance = sp.Symbol("d", positive=True)  # of the poles
plain = ((first ** (t + 1) - second ** (t + 1)) - mu * (first**t - second**t)) / (first - second)
apart = fast - slow
stable = sp.exp((t + 1) * log1p(-slow)) * (1 - slow * expm1((t + 1) * log1p(-apart / (1 - slow))) / apart)


def steps() -> tuple[Step, ...]:
    new = after("l2", sp.Integer(0), sp.Integer(0))
    code = {letter: sp.expand(e.subs({x.lam: 0, weight: w(t), buffer: m(t)})) for letter, e in zip(
        (w(t + 1), m(t + 1)), new, strict=True
    )}  # fmt: skip
    root = sp.Symbol("x", real=True)
    matrix = sp.Matrix([[sp.diff(e, state) for state in (w(t), m(t))] for e in code.values()])
    return (
        Step(
            "update",
            Equation(sp.Tuple(*code), sp.Tuple(w(t) - eta * (mu * m(t) + h * w(t)), mu * m(t) + h * w(t))),
            "SGD's own update of the mean distance to the optimum, without decay",
            Identity(where=code),
        ),
        Step(
            "poles",
            Equation((root * sp.eye(2) - matrix).det().subs(BY_POLES), (root - first) * (root - second)),
            "its poles are the roots of x² − (1 − ηh + μ)x + μ, so that μ = r₁r₂ and ηh = (1 − r₁)(1 − r₂)",
            Identity(),
        ),
        Step(
            "mean",
            Equation(
                sp.Tuple(w(t), m(t)),
                sp.Tuple(
                    plain * x.w0, (1 - first) * (1 - second) * (first**t - second**t) / (first - second) / eta * x.w0
                ),
            ),
            "by induction, from w_0 with an empty buffer",
            Induction(variable=t, recurrence=("update",), initial={w(0): x.w0, m(0): sp.Integer(0)}, where=BY_POLES),
        ),
        Step(
            "mean factor",
            Equation(plain, stable),
            "with the poles' distances from 1 both terms are positive: no digits are lost at small rates",
            Identity(
                where={mu: first * second, first: 1 - slow, second: 1 - fast},
                lemmas=(LOG_QUOTIENT, EXPM1, EXP_LOG),
            ),
        ),
        Step(
            "equal poles",
            Equation(plain.subs(mu, first * second).subs(second, first - distance), first**t * (1 + t * (1 - first))),
            "where the poles meet the factor is r^t(1 + t(1 − r))",
            Limit(variable=distance, to=0),
        ),
    )


def stepped(point: Point) -> Number:
    """The weight after t updates of SGD itself, from 1."""
    gap, far, lr = as_real(point[slow]), as_real(point[fast]), as_real(point[eta])
    from .momentum_l2 import RECORD

    states = x.run(
        RECORD.substituted(momentum=(1 - gap) * (1 - far)), 1, int(point[t]),
        lambda k, state: gap * far / lr * state.weight, lambda k: lr, lambda k: 0,
    )  # fmt: skip
    return states[-1].weight


def heavy_ball_mean() -> Derivation:
    """Q2: the transient of the mean under momentum."""
    return Derivation(
        name="heavy-ball-mean",
        title="Momentum: how the mean approaches the optimum",
        statement=(
            "Without decay the mean distance to the optimum is multiplied in t steps by "
            "[(r₁^{t+1} − r₂^{t+1}) − μ(r₁^t − r₂^t)]/(r₁ − r₂), r₁ and r₂ the roots of x² − (1 − ηh + μ)x + μ."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=6), between(eta, 0, 4), between(slow, 0, 1), between(fast, 0, 1),
                between(first, 0, 1), between(second, 0, first), real(x.w0), real(w), real(m),
            ),
            (sp.Ne(first, second), sp.Lt(slow, fast)),
        ),
        steps=steps(),
        results={"mean_factor": "mean factor"},
        brute_force={"mean_factor": stepped},
        source="THEORY.md, Q2; Polyak's momentum as torch.optim.SGD has it",
        arguments={t: "steps", slow: "slow_pole_gap", fast: "fast_pole_gap"},
    )  # fmt: skip


DERIVATIONS = {"heavy-ball-mean": heavy_ball_mean}
