"""Sums in a fixed order, and elementary functions from + − × ÷ √ alone, in float64: the same bits on every machine.

NumPy's and libm's exp, cos and atan differ in the last bit between CPUs, so whatever enters promised bits
(schedules, rotations) uses these. Each is within 4 ulp of the exact value (tests/test_arithmetic.py measures it).
The module is an array namespace: pass it as ``xp`` to a schedule's ``shape``.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

from .typing import FloatArray

pi = np.pi
sqrt = np.sqrt
where = np.where

# ln 2 in two parts: the first has 32 trailing zero bits, so k·LN2_HIGH is exact for |k| < 2¹¹.
LN2_HIGH = float.fromhex("0x1.62e42feep-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
INVERSE_LN2 = float.fromhex("0x1.71547652b82fep+0")

EXP_TERMS = tuple(1.0 / factorial(n) for n in range(14))
SINE_TERMS = tuple((-1.0) ** n / factorial(2 * n + 1) for n in range(9))
COSINE_TERMS = tuple((-1.0) ** n / factorial(2 * n) for n in range(10))
ARCTAN_TERMS = tuple((-1.0) ** n / (2 * n + 1) for n in range(13))

# Of a sum over a vector.
PARTIALS = 64


def polynomial(terms: tuple[Any, ...], x: Any) -> Any:
    """Σ terms[n]·xⁿ by Horner's rule, in that fixed order; `x` may be a value that is traced into C++."""
    total = terms[-1]
    for term in terms[-2::-1]:
        total = total * x + term
    return total


def exp(x: Any) -> FloatArray:
    """e^x for finite x; 0 below −745 and infinity above 709.8, as IEEE arithmetic would round."""
    x = np.asarray(x, dtype=np.float64)
    clipped = np.minimum(np.maximum(x, -746.0), 710.0)
    k = np.rint(clipped * INVERSE_LN2)
    remainder = (clipped - k * LN2_HIGH) - k * LN2_LOW
    return np.asarray(np.ldexp(polynomial(EXP_TERMS, remainder), k.astype(np.int32)))


def cos_pi(x: Any) -> FloatArray:
    """cos(πx), reduced exactly to |y| ≤ 1/4 before the series is summed."""
    x = np.asarray(x, dtype=np.float64)
    half_turns = np.rint(2.0 * x)
    y = pi * (x - 0.5 * half_turns)
    square = y * y
    cosine = polynomial(COSINE_TERMS, square)
    sine = y * polynomial(SINE_TERMS, square)
    quadrant = np.mod(half_turns, 4.0)
    value = np.where((quadrant == 1.0) | (quadrant == 3.0), sine, cosine)
    return np.asarray(np.where((quadrant == 1.0) | (quadrant == 2.0), -value, value))


def arctan2(y: Any, x: Any) -> FloatArray:
    """The angle of (x, y) for y ≥ 0 and x ≥ 0, in [0, π/2]; NaN at the origin.

    The ratio is brought into [0, 1], then below tan(π/16) by halving the angle twice:
    tan(a/2) = t/(1 + √(1 + t²)).
    """
    y, x = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
    steep = y > x
    small, large = np.where(steep, x, y), np.where(steep, y, x)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = small / large
    for _ in range(2):
        t = t / (1.0 + np.sqrt(1.0 + t * t))
    angle = 4.0 * (t * polynomial(ARCTAN_TERMS, t * t))
    return np.asarray(np.where(steep, pi / 2 - angle, angle))


def halved(partials: FloatArray) -> FloatArray:
    """The sum over the first axis, a power of two long: its two halves are added until one entry is left."""
    while len(partials) > 1:
        middle = len(partials) // 2
        partials = partials[:middle] + partials[middle:]
    return np.asarray(partials[0])


def vector_sum(values: Any) -> FloatArray:
    """The float64 sum over the last axis: element i joins partial i mod 64 in increasing i, then halving 32…1.

    >>> float(vector_sum([0.1, 0.2, 0.3, 0.4]))
    1.0
    """
    values = np.asarray(values, dtype=np.float64)
    length = values.shape[-1]
    # Padding partials hold +0 and no partial is ever −0, so adding them changes no bit: a short vector needs fewer.
    width = min(PARTIALS, 1 << max(length - 1, 0).bit_length())
    partials = np.zeros((*values.shape[:-1], width))
    for start in range(0, length, width):
        piece = values[..., start : start + width]
        partials[..., : piece.shape[-1]] += piece
    return halved(np.moveaxis(partials, -1, 0))
