"""The kernel on gradients with AdamW's bias correction: an exact sum, and its coefficients as numbers."""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from ..typing import FloatArray
from . import symbols as x
from .checks import Identity, Induction
from .derivation import Step
from .equations import Equation, Expression
from .frozen_preconditioner import weight
from .lemmas import GEOMETRIC_SUM, SUM_LINEARITY, peel_first

a, b1 = x.a, x.beta1
i, j, k, t, w, m, g = x.i, x.j, x.k, x.t, x.w_t, x.m_t, x.g_t


def corrected(n: Expression) -> Expression:
    """The coefficient of gradient n in w_t when the numerator m is divided by 1 − β₁^i at each step i."""
    return (1 - a) * (1 - b1) * sp.Sum(a ** (t - i) * b1 ** (i - n) / (1 - b1**i), (i, n, t))


def corrected_steps() -> tuple[Step, ...]:
    start = {w(0): x.w0, m(0): sp.Integer(0)}
    both, moment = sp.Tuple(w(t), m(t)), sp.Sum((1 - b1) * b1 ** (t - j) * g(j), (j, 1, t))
    return (
        Step(
            "corrected and unrolled",
            Equation(both, sp.Tuple(weight(corrected(j)), moment)),
            "by induction, with the correction 1/(1 − β₁^i) of each update i",
            Induction(variable=t, recurrence=("corrected update",), initial=start, lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "corrected weight",
            Equation(w(t), weight(corrected(j))),
            "with bias correction gradient j is reweighted by 1/(1 − β₁^i) in each later update i that contains it",
            Identity(uses=("corrected and unrolled",)),
        ),
        Step(
            "corrected coefficient",
            Equation(corrected(k), (1 - a) * (1 - b1) * a ** (t - k) / (1 - b1**k) + b1 * corrected(k + 1)),
            "its coefficient by a recursion from the last gradient to the first, all of whose terms are positive",
            Identity(lemmas=(peel_first(k), SUM_LINEARITY)),
        ),
        Step(
            "corrected sum",
            Equation(sp.Sum(corrected(j), (j, 1, t)), 1 - a**t),
            "with bias correction the share of the initial weight and the coefficients sum to one at every step",
            Induction(variable=t, multiplier=a, lemmas=(SUM_LINEARITY, GEOMETRIC_SUM)),
        ),
    )


def bias_corrected_coefficients(*, decay_per_step: float, one_minus_beta1: float, steps: int) -> FloatArray:
    """The coefficients of gradients 1 … `steps` in −λ(√v + ε) w after that many steps, shape (steps,).

    With the share (1 − decay_per_step)^steps of the initial weight they sum to one. They follow the step "corrected
    coefficient" of `derive("gradient-kernel")` from the last gradient to the first. Raises `ValueError` unless
    0 < decay_per_step < 1, 0 < one_minus_beta1 ≤ 1 and steps ≥ 1.

    >>> bias_corrected_coefficients(decay_per_step=0.5, one_minus_beta1=0.5, steps=2).round(6).tolist()
    [0.416667, 0.333333]
    """
    check_rates(decay_per_step, one_minus_beta1, steps)
    numbers = np.arange(1, steps + 1, dtype=np.float64)
    log_beta1 = math.log1p(-one_minus_beta1) if one_minus_beta1 < 1 else -math.inf
    kept = np.exp((steps - numbers) * math.log1p(-decay_per_step))
    terms = kept / -np.expm1(numbers * log_beta1)
    found, total = np.empty(steps), 0.0
    for position in range(steps - 1, -1, -1):
        total = (total - one_minus_beta1 * total) + terms[position]  # not a rounded β₁ times the total
        found[position] = total
    return decay_per_step * one_minus_beta1 * found


def check_rates(decay_per_step: float, one_minus_beta1: float, steps: int) -> None:
    if not 0 < decay_per_step < 1:
        raise ValueError(f"decay_per_step must be above 0 and below 1, got {decay_per_step!r}")
    if not 0 < one_minus_beta1 <= 1:
        raise ValueError(f"one_minus_beta1 must be above 0 and at most 1, got {one_minus_beta1!r}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps!r}")
