"""The papers' letters as SymPy symbols and sequences, and an optimizer's own update run on them.

A sequence such as `eta_t(k)` is the value at step k = 1, 2, …; a symbol such as `eta` is a constant. `xp` is the array
namespace for SymPy: pass it to `update`, `coefficients` and a schedule's `at`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers import Optimizer
from ..optimizers.optimizer import SymbolicTime
from .equations import Expression
from .evaluation import Number, as_real

t, T = sp.symbols("t T", integer=True, nonnegative=True)
i, j, k, s = sp.symbols("i j k s", integer=True)
eta, lam = sp.symbols("eta lambda", positive=True)
alpha, a = sp.symbols("alpha a", positive=True)
beta1, beta2 = sp.symbols("beta_1 beta_2", positive=True)
eps, mu = sp.symbols("epsilon mu", positive=True)
h, sigma, theta = sp.symbols("h sigma theta", real=True)
w0 = sp.Symbol("w_0", real=True)

eta_t, lam_t, multiplier_t = (sp.Function(name, positive=True) for name in ("eta", "lambda", "s"))
alpha_t = sp.Function("alpha", positive=True)
w_t, m_t, g_t, u_t, q_t = (sp.Function(name, real=True) for name in ("w", "m", "g", "u", "q"))
v_t = sp.Function("v", nonnegative=True)


def where(condition: Expression, x: Expression, y: Expression) -> Expression:
    """xp.where on symbols; a condition already decided gives its branch."""
    return sp.Piecewise((x, condition), (y, True))


xp = SimpleNamespace(
    sqrt=sp.sqrt,
    where=where,
    sign=sp.sign,
    zeros_like=lambda x: sp.Integer(0),
    abs=sp.Abs,
    exp=sp.exp,
    log=sp.log,
    expm1=expm1,
    log1p=log1p,
    sin=sp.sin,
    cos=sp.cos,
    pi=sp.pi,
)
# The same for mpmath numbers: brute force runs an optimizer's update with it.
numbers = SimpleNamespace(
    sqrt=mpmath.sqrt,
    where=lambda condition, x, y: x if condition else y,
    sign=lambda x: mpmath.mpf((x > 0) - (x < 0)),
    zeros_like=lambda x: mpmath.mpf(0),
    abs=abs,
    exp=mpmath.exp,
    log=mpmath.log,
    expm1=mpmath.expm1,
    log1p=mpmath.log1p,
    sin=mpmath.sin,
    cos=mpmath.cos,
    pi=mpmath.pi,
)


def with_symbols(optimizer: Optimizer) -> Optimizer:
    """The record with its hyperparameters replaced by their letters; a zero momentum or decay stays 0."""
    letters = {"lr": eta, "weight_decay": lam, "beta1": beta1, "beta2": beta2, "eps": eps, "momentum": mu}
    held = optimizer.field_values()
    kept = ("momentum", "weight_decay")
    named = {k: v for k, v in letters.items() if k in held and not (k in kept and held[k] == 0)}
    return optimizer.substituted(**named)


def clock(step: Expression = t + 1, constant: bool = False) -> SymbolicTime:
    """Time at update `step`: η, λ and the multiplier as sequences, or (`constant`) as symbols and 1."""
    if constant:
        return SymbolicTime(step=step, lr=eta, weight_decay=lam, multiplier=sp.Integer(1))
    return SymbolicTime(step=step, lr=eta_t(step), weight_decay=lam_t(step), multiplier=multiplier_t(step))


def symbolic_state(optimizer: Optimizer, step: Expression = t) -> Any:
    """The state after `step` updates as sequences: the weight w, the moments m, v (or the buffer m), others by name."""
    letters = {"weight": w_t, "first_moment": m_t, "second_moment": v_t, "momentum": m_t}
    known = {name: letters.get(name, sp.Function(name, real=True)) for name in optimizer.State._fields}
    return optimizer.State(*(letter(step) for letter in known.values()))


def symbolic_update(optimizer: Optimizer, time: SymbolicTime, state: Any = None, gradient: Expression = None) -> Any:
    """The state after one update: the optimizer's own `coefficients` and `update` run on symbols.

    By default from `symbolic_state` with the gradient g(t+1); `optimizer` should come from `with_symbols`.
    """
    state = symbolic_state(optimizer, time.step - 1) if state is None else state
    gradient = g_t(time.step) if gradient is None else gradient
    return optimizer.update(xp, state, gradient, optimizer.coefficients(xp, time))


def run(
    optimizer: Optimizer,
    weight: Number,
    steps: int,
    gradient: Callable[[int, Any], Number],
    lr: Callable[[int], Number],
    weight_decay: Callable[[int], Number],
    multiplier: Callable[[int], Number] = lambda k: 1,
) -> list[Any]:
    """The states after 0 … `steps` updates of the optimizer itself, in mpmath numbers, for brute force.

    `gradient(k, state)` is that of update k = 1 …; the record's betas, ε or momentum must be numbers.
    """
    held = optimizer.field_values()
    exact = {k: as_real(v) for k, v in held.items() if k in ("lr", "beta1", "beta2", "eps", "momentum")}
    record = optimizer.substituted(**exact)
    states = [record.initial(numbers, as_real(weight))]
    for k in range(1, steps + 1):
        time = SymbolicTime(*(as_real(x) for x in (k, lr(k), weight_decay(k), multiplier(k))))
        slope = as_real(gradient(k, states[-1]))
        states.append(record.update(numbers, states[-1], slope, record.coefficients(numbers, time)))
    return states
