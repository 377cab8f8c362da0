"""Running products of many factors in double-double with a separate exponent: no error grows, nothing underflows.

A plain running product of 10⁶ factors loses up to six digits of a float64; here each product keeps about 30.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from .typing import FloatArray

# Below this many factors a running product is taken one by one.
SHORT = 32
# Splits a float64 into two halves of 26 bits, whose products are exact (Veltkamp).
SPLITTER = 2.0**27 + 1


@dataclass(frozen=True)
class Scaled:
    """The numbers (high + low)·2^exponent, |low| ≤ ulp(high)/2 and high in [1/2, 1)."""

    high: FloatArray
    low: FloatArray
    exponent: npt.NDArray[np.int64]

    def __getitem__(self, place: Any) -> Scaled:
        return Scaled(self.high[place], self.low[place], self.exponent[place])

    def __mul__(self, other: Scaled) -> Scaled:
        high, low = exact_product(self.high, other.high)
        low = low + (self.high * other.low + self.low * other.high)
        return normalised(high, low, self.exponent + other.exponent)

    def rounded(self) -> FloatArray:
        """As float64: 0 or a denormal where too small."""
        return np.asarray(np.ldexp(self.high + self.low, np.maximum(self.exponent, -2000)))


def normalised(high: FloatArray, low: FloatArray, exponent: Any = 0) -> Scaled:
    total = high + low
    rest = low - (total - high)
    mantissa, shift = np.frexp(total)
    return Scaled(mantissa, np.ldexp(rest, -shift), np.asarray(exponent + shift.astype(np.int64)))


def exact_product(x: Any, y: Any) -> tuple[Any, Any]:
    """x·y as a float64 and its rounding error, exactly, for numbers of ordinary size (Dekker)."""
    product = x * y
    x_high, x_low = halves(x)
    y_high, y_low = halves(y)
    error = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    return product, error


def halves(x: Any) -> tuple[Any, Any]:
    spread = SPLITTER * x
    high = spread - (spread - x)
    return high, x - high


def scaled_product(x: FloatArray, y: FloatArray) -> Scaled:
    """x·y for any finite float64s."""
    (x, x_shift), (y, y_shift) = np.frexp(x), np.frexp(y)
    return normalised(*exact_product(x, y), exponent=x_shift.astype(np.int64) + y_shift)


def one_minus(x: Scaled) -> Scaled:
    """1 − x for 0 ≤ x."""
    high = np.ldexp(x.high, np.maximum(x.exponent, -2000))
    low = np.ldexp(x.low, np.maximum(x.exponent, -2000))
    difference = 1.0 - high
    # What rounding the difference lost, exactly, whichever of 1 and x is larger (Knuth).
    part = difference - 1.0
    lost = (1.0 - (difference - part)) + (-high - part)
    return normalised(difference, lost - low)


def ones(size: int) -> Scaled:
    return Scaled(np.full(size, 0.5), np.zeros(size), np.ones(size, dtype=np.int64))


def joined(*parts: Scaled) -> Scaled:
    return Scaled(
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.exponent for part in parts]),
    )


def reshaped(numbers: Scaled, *shape: int) -> Scaled:
    return Scaled(numbers.high.reshape(shape), numbers.low.reshape(shape), numbers.exponent.reshape(shape))


def transposed(numbers: Scaled) -> Scaled:
    return Scaled(
        np.ascontiguousarray(numbers.high.T),
        np.ascontiguousarray(numbers.low.T),
        np.ascontiguousarray(numbers.exponent.T),
    )


def running_product(factors: Scaled) -> Scaled:
    """f₁, f₁f₂, f₁f₂f₃, …: along the rows of a square first, then the rows joined, so that NumPy's loops are long."""
    count = len(factors.high)
    width = count if count <= SHORT else isqrt(count - 1) + 1
    height = -(-count // width)
    square = transposed(reshaped(joined(factors, ones(width * height - count)), height, width))
    for column in range(1, width):
        product = square[column - 1] * square[column]
        square.high[column], square.low[column] = product.high, product.low
        square.exponent[column] = product.exponent
    if height > 1:
        before = joined(ones(1), running_product(square[-1])[:-1])
        square = square * before
    return reshaped(transposed(square), -1)[:count]


def shrunk(high: float, low: float, share: float) -> tuple[float, float]:
    """(high + low)(1 − share) as such a sum again, for plain floats, 0 ≤ high and 0 ≤ share < 1.

    One step of a running product that is taken as it comes: its relative error grows by some 2⁻¹⁰⁴ a step, until it
    comes near 1e-290.

    >>> shrunk(*shrunk(1.0, 0.0, 0.25), 0.5)
    (0.375, 0.0)
    """
    kept = 1.0 - share
    lost = (1.0 - kept) - share
    product, error = exact_product(high, kept)
    error += high * lost + low * kept
    total = product + error
    return total, error - (total - product)
