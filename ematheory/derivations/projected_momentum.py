"""Momentum on scale-invariant weights (§7): how much faster it makes the norm grow, and AdamP's projection."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from ..optimizers import SGD, AdamP
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Brute, Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime
from .lemmas import SUM_LINEARITY
from .limits import Limit, Series, Solve

eta, mu, t, T, j = x.eta, x.mu, x.t, x.T, x.j
loss = sp.Symbol("phi", positive=True)  # 1 − μ
square, cross, length = (sp.Function(name, real=True) for name in "ABC")  # w·w, w·m and m·m
weight, buffer, gradient = sp.symbols("w m g", real=True)  # vectors, of which only inner products occur
spread, moment = sp.symbols("S M", positive=True)  # E‖g‖² and E‖m‖²
now, start = sp.symbols("R R_0", positive=True)  # ‖w‖²
small, passed = sp.symbols("delta s", positive=True)
growth = sp.Symbol("D", positive=True)  # what ‖w‖²·‖w‖² gains in a step, over δ
norm, slope, held = sp.symbols("n gamma v", positive=True)  # ‖w‖, ‖g‖ and √v̂ of AdamP
along, across = sp.symbols("m_r m_t", real=True)  # AdamP's moment along the weight and across it
RECORD = SGD(lr=1.0, momentum=0.5)
# ‖w‖² grows by η² times this multiple of ‖m_j‖², T − j steps after step j.
multiple = 1 + 2 * mu * (1 - mu ** (T - j)) / (1 - mu)


def inner(product: Expression) -> Expression:
    """A product of two vectors after step t; the gradient of step t + 1 is at right angles to w."""
    values = {
        (2, 0, 0): square(t),
        (1, 1, 0): cross(t),
        (0, 2, 0): length(t),
        (1, 0, 1): sp.Integer(0),
        (0, 1, 1): sp.Symbol("m·g", real=True),
        (0, 0, 2): sp.Symbol("g·g", real=True),
    }
    terms = sp.Poly(sp.expand(product), weight, buffer, gradient).terms()
    return sp.Add(*(coefficient * values[powers] for powers, coefficient in terms))


def steps() -> tuple[Step, ...]:
    return (*pathwise_steps(), *white_steps(), *projected_steps())


def pathwise_steps() -> tuple[Step, ...]:
    record = x.with_symbols(RECORD)
    new = x.symbolic_update(record, x.clock(constant=True), SGD.State(weight, buffer), gradient)
    products = {
        square(t + 1): inner(new.weight**2),
        cross(t + 1): inner(new.weight * new.momentum),
        length(t + 1): inner(new.momentum**2),
    }
    after = -eta * sp.Sum(mu ** (t - j) * length(j), (j, 1, t))
    whole = start + eta**2 * sp.Sum((1 + 2 * mu * (1 - mu ** (t - j)) / (1 - mu)) * length(j), (j, 1, t))
    return (
        Step(
            "products",
            Equation(
                sp.Tuple(square(t + 1), cross(t + 1)),
                sp.Tuple(
                    square(t) - 2 * eta * mu * cross(t) + eta**2 * length(t + 1),
                    mu * cross(t) - eta * length(t + 1),
                ),
            ),
            "w·w and w·m after SGD's own update without decay: scale invariance keeps every gradient at right angles "
            "to the weight it is taken at, and nothing else is asked of it",
            Identity(where=products),
        ),
        Step(
            "old buffers",
            Equation(cross(t), after),
            "by induction from an empty buffer: w·m < 0, since the weight has moved against every buffer before",
            Induction(
                variable=t,
                recurrence=("products",),
                initial={square(0): start, cross(0): sp.Integer(0)},
                lemmas=(SUM_LINEARITY,),
            ),
        ),
        Step(
            "norm",
            Equation(square(t), whole),
            "so ‖w‖² grows by η² Σ_j ‖m_j‖² (1 + 2μ(1 − μ^{t−j})/(1 − μ)), for any gradients",
            Induction(
                variable=t,
                recurrence=("products",),
                initial={square(0): start, cross(0): sp.Integer(0)},
                uses=("old buffers",),
                lemmas=(SUM_LINEARITY,),
            ),
        ),
        Step(
            "factor",
            Equation(multiple, (2 - loss) / loss),
            "in the end each buffer counts (1 + μ)/(1 − μ) times what it would in steps at right angles to the weight",
            Limit(variable=T, decaying=(mu,)),
        ),
    )


def white_steps() -> tuple[Step, ...]:
    factor = (2 - loss) / loss
    return (
        Step(
            "buffer",
            Equation(moment, spread / (loss * (2 - loss))),
            "E‖m‖² at rest on white gradients, E‖g‖² = S: S/(1 − μ²)",
            Solve(conditions=(Equation(moment, (1 - loss) ** 2 * moment + spread),)),
        ),
        Step(
            "growth",
            Equation(factor * moment / spread, 1 / loss**2),
            "so that beside SGD without momentum, whose ‖w‖² grows by η²S a step, it grows 1/(1 − μ)² times as fast at "
            "the same norm: 100 times at μ = 0.9, not 19, and just as SGD without momentum at the rate η/(1 − μ)",
            Identity(uses=("buffer",)),
        ),
        Step(
            "growth of the projected",
            Equation(moment / spread, 1 / (loss * (2 - loss))),
            "and with the radial part left out of every step 1/(1 − μ²) times",
            Identity(uses=("buffer",)),
        ),
        Step(
            "fourth power",
            Equation((now + small * growth / now) ** 2 - now**2, 2 * small * growth),
            "‖g‖² = ‖g̃‖²/‖w‖² makes that of small steps a growth of ‖w‖⁴ by 2η²‖g̃‖² a step times the same factor",
            Series(variable=small, order=2),
        ),
        Step(
            "solved",
            Equation(sp.Derivative(sp.sqrt(start**2 + 2 * growth * passed), passed), growth / now),
            "‖w‖⁴ = ‖w_0‖⁴ + 2η²‖g̃‖²t/(1 − μ)² solves it",
            Identity(where={now: sp.sqrt(start**2 + 2 * growth * passed)}),
        ),
    )


class Arrays(SimpleNamespace):
    """Arrays of symbols as AdamP's update takes vectors."""

    @staticmethod
    def sqrt(value: Any) -> Any:
        return np.vectorize(sp.sqrt, otypes=[object])(value) if isinstance(value, np.ndarray) else sp.sqrt(value)

    @staticmethod
    def dot(left: Any, right: Any) -> Expression:
        return sum(left * right)

    @staticmethod
    def where(condition: Any, yes: Any, no: Any) -> Any:
        if condition not in (sp.true, sp.false):
            raise ValueError(f"the frame does not decide {condition}")
        return yes if condition == sp.true else no

    zeros_like = staticmethod(np.zeros_like)


def projected() -> Any:
    """The weight after AdamP's own update from (n, 0), the gradient (0, γ) and both v̂ after it being v²."""
    letters = {"weight_decay": sp.Integer(0), "beta1": x.beta1, "beta2": x.beta2, "eps": sp.Integer(0)}
    record = AdamP(lr=1.0).substituted(lr=eta, delta=sp.Rational(1, 10), wd_ratio=sp.Rational(1, 10), **letters)
    second = np.array([held**2, held**2 - (1 - x.beta2) * slope**2], dtype=object) / x.beta2
    state = AdamP.State(
        np.array([norm, sp.Integer(0)], dtype=object), np.array([along, across], dtype=object), second
    )  # fmt: skip
    clock = SettledTime(step=t + 1, lr=eta, weight_decay=sp.Integer(0), multiplier=sp.Integer(1))
    return record.update(
        Arrays, state, np.array([sp.Integer(0), slope], dtype=object), record.coefficients(x.xp, clock)
    ).weight  # fmt: skip


def projected_steps() -> tuple[Step, ...]:
    w_r, w_t = sp.symbols("w_r w_t", real=True)
    step = eta * (x.beta1 * across + (1 - x.beta1) * slope) / held
    return (
        Step(
            "projection",
            Equation(sp.Tuple(w_r, w_t), sp.Tuple(norm, -step)),
            "AdamP's own update, √v̂ being the same for both, in a frame with w along the first axis: on a gradient at "
            "right angles to w, which its test detects, the moment's part along w is left out",
            Identity(where=dict(zip((w_r, w_t), projected(), strict=True))),
        ),
        Step(
            "projected norm",
            Equation(w_r**2 + w_t**2, norm**2 + step**2),
            "so ‖w‖² grows by the square of the step alone",
            Identity(uses=("projection",)),
        ),
    )


def after_one(point: Point, measure: Callable[[list[Number], list[Number]], Number]) -> Number:
    """Of SGD's own run from w = (1, 0) with one gradient (0, 1) and none after it: two runs, one for each axis."""
    lr, kept = as_real(point[eta]), 1 - as_real(point[loss])
    record = RECORD.substituted(momentum=kept)
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, as_real(0)))
    state = record.initial(x.numbers, mpmath.mpf(0))
    buffers: list[Number] = []
    while not buffers or abs(buffers[-1]) > mpmath.mpf(10) ** -55:
        state = record.update(x.numbers, state, as_real(not buffers), c)
        buffers.append(state.momentum)
    return measure([state.weight / lr], buffers)


def factor_of(point: Point) -> Number:
    """What ‖w‖² has gained over η² Σ‖m‖²: the weight (1, 0) has moved to (1, w), by w alone."""
    return after_one(point, lambda moved, buffers: moved[0] ** 2 / sum(m * m for m in buffers))


def growth_of(point: Point) -> Number:
    """What ‖w‖² has gained over η²‖g‖²; white gradients add up, each at right angles to all before."""
    return after_one(point, lambda moved, _: moved[0] ** 2)


def projected_growth_of(point: Point) -> Number:
    return after_one(point, lambda _, buffers: sum(m * m for m in buffers))


def norm_by_running(point: Point) -> Brute:
    """‖w_t‖² of SGD's own run in three dimensions, each gradient at right angles to the weight it is taken at."""
    lr, kept, count = as_real(point[eta]), 1 - as_real(point[loss]), int(point[t])
    record = RECORD.substituted(momentum=kept)
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, as_real(0)))
    size = mpmath.sqrt(as_real(point[start]))
    states = [record.initial(x.numbers, v) for v in (size, mpmath.mpf(0), mpmath.mpf(0))]
    lengths = [mpmath.mpf(0)]
    for step in range(1, count + 1):
        w = [state.weight for state in states]
        chosen = [mpmath.mpf(step), mpmath.mpf(1) / (step + 1), mpmath.mpf(2 - step)]
        radial = sum(p * q for p, q in zip(w, chosen, strict=True)) / sum(p * p for p in w)
        slopes = [q - radial * p for p, q in zip(w, chosen, strict=True)]
        states = [record.update(x.numbers, s, g, c) for s, g in zip(states, slopes, strict=True)]
        lengths.append(sum(state.momentum**2 for state in states))
    return Brute(sum(state.weight**2 for state in states), {length: lambda step: lengths[step]})


def projected_momentum() -> Derivation:
    """§7: momentum's growth of the norm, with and without AdamP's projection."""
    return Derivation(
        name="adamp-growth",
        title="Momentum lets scale-invariant weights grow, and AdamP's projection stops that",
        statement=(
            "Without decay, and whatever the gradients of a scale-invariant loss, SGD with momentum has "
            "‖w_t‖² = ‖w_0‖² + η² Σ_j ‖m_j‖² (1 + 2μ(1 − μ^{t−j})/(1 − μ)): in the end (1 + μ)/(1 − μ) times what the "
            "same buffers add at right angles to the weight, as they do when AdamP leaves out the radial part. Beside "
            "SGD without momentum, on white gradients, ‖w‖⁴ grows 1/(1 − μ)² times as fast, as at the rate η/(1 − μ), "
            "and 1/(1 − μ²) times with the projection."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), integer(T, 1), integer(j, 1, 1), positive(eta), between(loss, 0, 1),
                positive(start), real(length), positive(spread), positive(now), positive(growth), positive(passed),
                positive(norm), positive(slope), positive(held), real(along), real(across), between(x.beta1, 0, 1),
                between(x.beta2, 0, 1),
            )
        ),
        definitions={mu: 1 - loss, x.lam: sp.Integer(0)},
        steps=steps(),
        results={
            "norm_factor": "factor",
            "growth": "growth",
            "projected_growth": "growth of the projected",
            "square_norm": "norm",
        },
        brute_force={
            "norm_factor": factor_of,
            "growth": growth_of,
            "projected_growth": projected_growth_of,
            "square_norm": norm_by_running,
        },
        source="Heo et al., arXiv 2006.08217, lemma 2.1 and corollary 2.2; THEORY.md, section 7",
        arguments={loss: "one_minus_momentum"},
        corrects=(
            "that momentum makes the norm grow (1 + μ)/(1 − μ) times as fast as SGD without momentum: that factor is "
            "for steps of the same length, and a buffer is longer than a gradient. ‖w‖⁴ grows 1/(1 − μ)² times as "
            "fast, 100 for 19 at μ = 0.9, which is no more than the larger rate η/(1 − μ) does without momentum"
        ),
    )  # fmt: skip


DERIVATIONS = {"adamp-growth": projected_momentum}
