"""Adam with L2 (M3): the decay passes through the preconditioner, and each coordinate has a timescale of its own."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import Adam
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime, forget, namespace, rate
from .lemmas import STABLE
from .limits import Limit, Series, Solve
from .momentum_per_lr import matrix
from .poles import slow_pole

b1, eta, lam, t, w, m, g = x.beta1, x.eta, x.lam, x.t, x.w_t, x.m_t, x.g_t
size, other = sp.symbols("D D_2", positive=True)  # √v̂ + ε of a coordinate, and of another one
root = sp.Symbol("x", real=True)
RECORD = Adam(lr=1.0, weight_decay=0.1)


def gap_of(denominator: sp.Expr) -> sp.Expr:
    """1 − r of the slow pole, the smaller root of y² − b(1 + ρ)y + bρ, ρ = ηλ/(√v̂ + ε), without cancellation.

    b²(1 + ρ)² − 4bρ is written so that it keeps its digits where ρ and b are both near 1.
    """
    share = rate / denominator
    total = forget * (1 + share)
    spread = forget * (forget * ((denominator - rate) / denominator) ** 2 - 4 * share * (1 - forget))
    return 2 * forget * share / (total + sp.sqrt(spread))


gap = gap_of(size)


def steps() -> tuple[Step, ...]:
    record = x.with_symbols(RECORD)
    time = SettledTime(step=t + 1, lr=eta, weight_decay=lam, multiplier=sp.Integer(1))
    new = record.update(
        namespace(x.xp, size - x.eps), x.symbolic_state(record), g(t + 1), record.coefficients(x.xp, time)
    )
    moment = b1 * m(t) + (1 - b1) * (g(t + 1) + lam * w(t))
    polynomial = root**2 - (2 - forget * (1 + rate / size)) * root + 1 - forget
    smaller = sp.Symbol("y", positive=True)
    total = forget * (1 + rate / size)
    return (
        Step(
            "update",
            Equation(sp.Tuple(w(t + 1), m(t + 1)), sp.Tuple(w(t) - eta * moment / size, moment)),
            "Adam's own update with √v̂ + ε held: λw joins the gradient, and is averaged and divided with it",
            Identity(where={w(t + 1): new.weight, m(t + 1): new.first_moment}),
        ),
        Step(
            "characteristic polynomial",
            Equation((root * sp.eye(2) - matrix(new[:2])).det(), polynomial),
            "the poles of weight and moment: λ occurs as ηλ/(√v̂ + ε) alone",
            Identity(),
        ),
        Step(
            "gap",
            Equation(smaller, gap),
            "the smaller distance of a pole from 1",
            Solve(
                conditions=(Equation(smaller**2 - total * smaller + forget * rate / size, 0),),
                among=between(smaller, 0, total / 2),
            ),
        ),
        Step(
            "timescale",
            Equation(-1 / sp.log(1 - gap), -1 / log1p(-gap)),
            "the time constant of the slow pole, in steps",
            Identity(lemmas=STABLE),
        ),
        Step(
            "small decay",
            Equation(gap, rate / size + (1 - forget) * rate**2 / (forget * size**2)),
            "the decay per step is ηλ/(√v̂ + ε), up to a term of order (ηλ)²/(1 − β₁)",
            Series(variable=rate, order=3),
        ),
        Step(
            "two coordinates",
            Equation(gap_of(other) / gap, size / other),
            "two coordinates decay at rates that are inversely as their √v̂: one λ gives no one timescale",
            Limit(variable=rate, to=0),
        ),
    )


def own_pole(point: Point) -> Number:
    """Of Adam itself, whose root is held."""
    record = RECORD.substituted(beta1=1 - as_real(point[forget]), beta2=as_real(1) / 2, eps=as_real(0))
    lr = as_real(point[eta])
    time = SettledTime(as_real(1), lr, as_real(point[rate]) / lr)
    return slow_pole(record, time, namespace(x.numbers, as_real(point[size])))


def adam_l2() -> Derivation:
    """M3: where L2 goes in Adam."""
    return Derivation(
        name="adam-l2-decay",
        title="Adam with L2: a timescale for each coordinate",
        statement=(
            "In Adam λw is averaged and divided by √v̂ + ε together with the gradient, so that a coordinate's decay "
            "per step is ηλ/(√v̂ + ε) + …: coordinates with large gradients are hardly decayed, and no single timescale "
            "describes the weights."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), positive(eta), between(forget, 0, 1), positive(size), positive(other),
                between(rate, 0, 1), real(w), real(m), real(g),
            ),
            (
                sp.Gt(forget * (1 + rate / size) ** 2 - 4 * rate / size, 0),
                sp.Lt(rate, size * forget),
            ),
        ),
        definitions={b1: 1 - forget, lam: rate / eta},
        steps=steps(),
        results={"slow_pole_gap": "gap", "timescale_steps": "timescale"},
        brute_force={
            "slow_pole_gap": lambda point: 1 - own_pole(point),
            "timescale_steps": lambda point: -1 / mpmath.log(own_pole(point)),
        },
        source="Loshchilov & Hutter, arXiv 1711.05101; THEORY.md, M3",
        arguments={rate: "decay_per_step", forget: "one_minus_beta1", size: "root_mean_square"},
        corrects="τ = 1/(ηλ) said of Adam's weight_decay, which is L2: there it is (√v̂ + ε)/(ηλ), of each coordinate",
    )  # fmt: skip


DERIVATIONS = {"adam-l2-decay": adam_l2}
