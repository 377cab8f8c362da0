"""How far the weights can go when the updates are bounded (section 7): decay as a constraint."""

from __future__ import annotations

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers import AdamW, SignSGD
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Brute, Derivation, Step
from .equations import Equation, Expression
from .evaluation import Point, as_real
from .frozen_preconditioner import rate
from .lemmas import STABLE
from .limits import Limit

a, eta, lam, t, w, u = x.a, x.eta, x.lam, x.t, x.w_t, x.u_t
reach = sp.Function("R", positive=True)  # what |w_t| cannot exceed
start, most = sp.symbols("w_0 U", positive=True)  # |w_0| and max|u|
level, present = sp.symbols("R_max U_t", positive=True)


def updated() -> tuple[Expression, Expression]:
    """The weight after AdamW's own update, and the u that it takes: that of the same update without decay, over −η."""
    record = x.with_symbols(AdamW(lr=1.0, weight_decay=0.1))
    time = SymbolicTime(step=t + 1, lr=eta, weight_decay=sp.Integer(0), multiplier=sp.Integer(1))
    alone = x.symbolic_update(record, time).weight
    return x.symbolic_update(record, x.clock(constant=True)).weight, (w(t) - alone) / eta


def steps() -> tuple[Step, ...]:
    new, step = updated()
    kept = 1 - eta * lam
    plain = a**t * start + (1 - a**t) * most / lam
    left = t * log1p(-rate)
    return (
        Step(
            "update",
            Equation(w(t + 1), kept * w(t) - eta * u(t + 1)),
            "AdamW's own update, u = m̂/(√v̂ + ε) being what it takes without decay",
            Identity(where={w(t + 1): new, u(t + 1): step}),
        ),
        Step(
            "reach",
            Equation(reach(t + 1), a * reach(t) + eta * most),
            "let R start at |w_0| and move like a weight whose every update is −U",
            Identity(where={reach(t + 1): (1 - eta * lam) * reach(t) + eta * most, a: 1 - eta * lam}),
        ),
        Step(
            "above",
            Equation(reach(t + 1) - w(t + 1), a * (reach(t) - w(t)) + eta * (most + u(t + 1))),
            "for 0 < a and |u| ≤ U, R − w stays at or above 0",
            Identity(uses=("update", "reach"), where={a: kept}),
        ),
        Step(
            "below",
            Equation(reach(t + 1) + w(t + 1), a * (reach(t) + w(t)) + eta * (most - u(t + 1))),
            "and so does R + w: |w_t| ≤ R_t",
            Identity(uses=("update", "reach"), where={a: kept}),
        ),
        Step(
            "unrolled",
            Equation(reach(t), plain),
            "by induction: |w_t| ≤ a^t|w_0| + (1 − a^t)U/λ",
            Induction(
                variable=t, recurrence=("reach",), initial={reach(0): start}, where={a: 1 - rate, eta: rate / lam}
            ),
        ),
        Step(
            "bound",
            Equation(plain, sp.exp(left) * start - expm1(left) * most / lam),
            "in a form that loses no digits at small ηλ; attained by updates that are all −U",
            Identity(where={a: 1 - rate}, lemmas=STABLE),
        ),
        Step(
            "limit",
            Equation(plain, most / lam),
            "in the long run |w| ≤ U/λ: 1/λ for sign methods, whose U is 1",
            Limit(variable=t, decaying=(a,)),
        ),
        Step(
            "under schedules",
            Equation(level - ((1 - x.alpha) * level + x.alpha / lam * present), x.alpha * (level - present / lam)),
            "with rates that vary, a level at or above every |u_t|/λ_t is never left: one step takes it down",
            Identity(),
        ),
    )


def pushed(point: Point) -> Brute:
    """The weight after t updates of SignSGD itself with per-LR decay, every gradient being −1: U is 1."""
    decay = as_real(point[lam])
    states = x.run(
        SignSGD(lr=1.0, weight_decay=0.1), point[start], int(point[t]), lambda k, state: -1,
        lambda k: as_real(point[rate]) / decay, lambda k: decay,
    )  # fmt: skip
    return Brute(states[-1].weight, {most: 1})


def weight_bound() -> Derivation:
    """Decay as a bound on the weights."""
    return Derivation(
        name="weight-bound",
        title="Bounded updates and decay: a bound on the weights",
        statement=(
            "Where |u| ≤ U, AdamW's weights obey |w_t| ≤ a^t|w_0| + (1 − a^t)U/λ, a = 1 − ηλ, and updates of one sign "
            "attain it: in the long run |w| ≤ U/λ, for sign methods (U = 1) 1/λ. Under schedules no weight leaves a "
            "level at or above |u_t|/λ_t."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=6), between(rate, 0, 1), positive(lam), between(eta, 0, 1 / lam), between(a, 0, 1),
                positive(start), positive(most), real(w), real(u),
            ),
        ),
        steps=steps(),
        results={"bound": "bound"},
        brute_force={"bound": pushed},
        source="Xie & Li, arXiv 2404.04454; THEORY.md, section 7",
        arguments={rate: "decay_per_step", lam: "weight_decay", t: "steps", start: "init_size", most: "largest_update"},
    )  # fmt: skip


DERIVATIONS = {"weight-bound": weight_bound}
