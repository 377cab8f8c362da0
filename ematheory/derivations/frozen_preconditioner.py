"""AdamW with its preconditioner held constant: the root √v̂ is a number, everything else is the optimizer's own update.

The update is linear then, which the kernel on gradients (E4) and the random walk (R1) need.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import sympy as sp

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .equations import Expression
from .evaluation import Number, Point, as_real

rate = sp.Symbol("r", positive=True)  # 1 − a = ηλ, the decay per step
forget = sp.Symbol("b", positive=True)  # 1 − β₁
v = sp.Symbol("v", positive=True)
root = sp.sqrt(v)  # √v̂, held constant


class SettledTime(SymbolicTime):
    """The clock long after the start, when β^k has vanished and the bias corrections are 1."""

    __slots__ = ()

    def power(self, base: Expression) -> Expression:
        return 0 * base


def namespace(base: SimpleNamespace, constant: Expression) -> SimpleNamespace:
    """An array namespace whose square root is a constant: AdamW takes one root, that of v̂."""
    return SimpleNamespace(**{**vars(base), "sqrt": lambda _: constant})


def symbolic(time: type[SymbolicTime] = SettledTime, denominator: Expression = root + x.eps) -> Any:
    """The state after update t + 1 with g(t+1), from the sequences w(t) and m(t), at constant η and λ."""
    record = x.with_symbols(AdamW(lr=1.0, weight_decay=0.1))
    clock = time(step=x.t + 1, lr=x.eta, weight_decay=x.lam, multiplier=sp.Integer(1))
    held = namespace(x.xp, denominator - x.eps)
    return record.update(held, x.symbolic_state(record), x.g_t(x.t + 1), record.coefficients(held, clock))


def weight(coefficient: Expression) -> Expression:
    """a^t w_0 − Σ_j coefficient_j g_j/(λ(√v + ε)), the weight as an average of gradients j = 1 … t."""
    return x.a**x.t * x.w0 - sp.Sum(coefficient * x.g_t(x.j), (x.j, 1, x.t)) / (x.lam * (root + x.eps))


def run(
    point: Point,
    gradient: Callable[[int], Number],
    steps: int,
    *,
    weight: Number = 0,
    buffer: Number = 0,
    denominator: Number = 1,
    time: type[SymbolicTime] = SettledTime,
) -> list[Any]:
    """The states after 0 … `steps` updates of AdamW itself in mpmath numbers, √v̂ + ε being `denominator`.

    `weight` and `buffer` are w and m at the start. The point gives η, r = ηλ and b = 1 − β₁; β₂ and ε do not matter
    and are 1/2 and 0.
    """
    eta, decay = as_real(point[x.eta]), as_real(point[rate]) / as_real(point[x.eta])
    beta1, beta2 = 1 - as_real(point[forget]), as_real(1) / 2
    record = AdamW(lr=1.0, weight_decay=0.1).substituted(beta1=beta1, beta2=beta2, eps=as_real(0))
    held = namespace(x.numbers, as_real(denominator))
    states = [record.initial(held, as_real(weight))._replace(first_moment=as_real(buffer))]
    for k in range(1, steps + 1):
        clock = time(step=as_real(k), lr=eta, weight_decay=decay, multiplier=as_real(1))
        states.append(record.update(held, states[-1], as_real(gradient(k)), record.coefficients(held, clock)))
    return states


def response(point: Point, steps: int, *, at: int = 1, time: type[SymbolicTime] = SettledTime) -> list[Number]:
    """−λ w after steps at, at + 1, … `steps` of a run from w = 0 whose only gradient, 1, is that of step `at`."""
    states = run(point, lambda k: int(k == at), steps, time=time)
    decay = as_real(point[rate]) / as_real(point[x.eta])
    return [-decay * state.weight for state in states[at:]]


def long_run(point: Point) -> int:
    """Steps after which every power of a and of β₁ is below 1e-48."""
    return int(120 / min(as_real(point[rate]), as_real(point[forget]))) + 1
