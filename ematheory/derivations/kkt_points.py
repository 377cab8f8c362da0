"""Where full-batch AdamW with decay can come to rest (§7): KKT points of the loss in the box |w| ≤ 1/λ."""

from __future__ import annotations

import mpmath
import sympy as sp

from ..optimizers import AdamW
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .limits import Limit, Solve

b1, b2, eta, lam, eps, t, w, m, v = x.beta1, x.beta2, x.eta, x.lam, x.eps, x.t, x.w_t, x.m_t, x.v_t
slope = sp.Symbol("g", positive=True)  # |∂f/∂w| where the weight rests
ratio = sp.Symbol("u", positive=True)
rest = sp.Symbol("W", positive=True)  # |w| there
multiplier = sp.Symbol("kappa", real=True)
RECORD = AdamW(lr=1.0, weight_decay=0.1)
box = slope / (lam * (slope + eps))


def steps() -> tuple[Step, ...]:
    record = x.with_symbols(RECORD)
    new = x.symbolic_update(record, x.clock(constant=True), gradient=slope)
    settled = (slope * (1 - b1**t), slope**2 * (1 - b2**t))
    state = record.State(sp.Integer(0), *settled)
    update = -x.symbolic_update(record, x.clock(constant=True), state, slope).weight / eta
    return (
        Step(
            "moments",
            Equation(
                sp.Tuple(m(t + 1), v(t + 1)),
                sp.Tuple(b1 * m(t) + (1 - b1) * slope, b2 * v(t) + (1 - b2) * slope**2),
            ),
            "AdamW's own moments where the gradient has come to rest at g > 0 (for g < 0 all signs change)",
            Identity(where={m(t + 1): new.first_moment, v(t + 1): new.second_moment}),
        ),
        Step(
            "settled moments",
            Equation(sp.Tuple(m(t), v(t)), sp.Tuple(*settled)),
            "by induction from empty moments",
            Induction(
                variable=t, recurrence=("moments",), initial={m(0): sp.Integer(0), v(0): sp.Integer(0)}
            ),
        ),
        Step(
            "update",
            Equation(ratio, slope / (slope + eps)),
            "so that with both bias corrections AdamW's own update is g/(|g| + ε), at every step; other moments are "
            "forgotten",
            Identity(where={ratio: update}),
        ),
        Step(
            "rest",
            Equation(rest, box),
            "the weight rests where decay takes what the update adds: w = −g/(λ(|g| + ε))",
            Solve(conditions=(Equation(rest, (1 - eta * lam) * rest + eta * ratio),), uses=("update",)),
        ),
        Step(
            "on the edge",
            Equation(box.subs(eps, multiplier), 1 / lam),
            "as ε → 0 a weight that rests where the loss still pulls is on the edge of the box, |w| = 1/λ, on the side "
            "that the loss pulls it to: w = −sign(g)/λ",
            Limit(variable=multiplier, to=0),
        ),
        Step(
            "stationary",
            Equation(multiplier, slope),
            "there the Lagrangian f + κ(|w| − 1/λ) is stationary, g + κ sign(w) = 0, with κ = |g| ≥ 0",
            Solve(conditions=(Equation(slope - multiplier, 0),)),
        ),
        Step(
            "complementary",
            Equation(multiplier * (1 / lam - box), slope * eps / (lam * (slope + eps))),
            "κ(1/λ − |w|) is at most ε/λ, 0 in the limit: the conditions of Karush, Kuhn and Tucker, and a weight that "
            "rests inside the box does so only where g = 0",
            Identity(uses=("stationary",)),
        ),
    )  # fmt: skip


def at_rest(point: Point) -> Number:
    """|w| after AdamW's own run on a linear loss, until it stays."""
    lr, decay = as_real(point[eta]), as_real(point[lam])
    record = RECORD.substituted(beta1=as_real(point[b1]), beta2=as_real(point[b2]), eps=as_real(point[eps]))
    state, step, still = record.initial(x.numbers, mpmath.mpf(0)), 0, 0
    while still < 3:
        step += 1
        time = x.clock(constant=True)._replace(step=as_real(step), lr=lr, weight_decay=decay)
        moved = record.update(x.numbers, state, as_real(point[slope]), record.coefficients(x.numbers, time))
        still = still + 1 if abs(moved.weight - state.weight) < mpmath.mpf(10) ** -50 else 0
        state = moved
    return abs(state.weight)


def edge_left(point: Point) -> Number:
    """|g|(1/λ − |w|) after that run."""
    return as_real(point[slope]) * (1 / as_real(point[lam]) - at_rest(point))


def kkt_points() -> Derivation:
    """§7's constrained view."""
    return Derivation(
        name="kkt-points",
        title="Where AdamW can come to rest: the KKT points of a box",
        statement=(
            "If full-batch AdamW's weights and gradient come to rest, w = −g/(λ(|g| + ε)) in every coordinate: for "
            "ε → 0 either g = 0 or w = −sign(g)/λ, which are the conditions of Karush, Kuhn and Tucker for the least "
            "loss under ‖w‖_∞ ≤ 1/λ. They are missed by at most ε/λ in |g|(1/λ − |w|)."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), positive(slope), positive(eps), positive(lam), between(eta, 1 / (2 * lam), 1 / lam),
                between(b1, 0, 1), between(b2, 0, 1), positive(rest), real(multiplier),
            )
        ),
        steps=steps(),
        results={"weight_at_rest": "rest", "edge_left": "complementary"},
        brute_force={"weight_at_rest": at_rest, "edge_left": edge_left},
        source="Xie & Li, arXiv 2404.04454; THEORY.md, section 7",
        arguments={slope: "gradient", lam: "weight_decay", eps: "eps"},
    )  # fmt: skip


DERIVATIONS = {"kkt-points": kkt_points}
