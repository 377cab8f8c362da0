"""The normal law's density and distribution, and powers, of + − × ÷ and what reads or makes a power of two.

NumPy's and libm's exp, erf and pow differ in the last bit between CPUs; these have the same bits everywhere, on arrays
and in the native programs that are traced from them. `arithmetic.exp` is for arrays alone: it rounds and scales by
functions of NumPy that no program has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import EXP_TERMS, INVERSE_LN2, LN2_HIGH, LN2_LOW, polynomial
from ..typing import Value


class Numbers:
    """The array namespace of predict's moments: what is traced, and the exponents of float64."""

    sqrt = staticmethod(np.sqrt)
    where = staticmethod(np.where)

    @staticmethod
    def two_to(whole: Value) -> Value:
        """2^whole for whole numbers in −1022…1023."""
        with np.errstate(invalid="ignore"):  # NaN makes any number: what is multiplied by it is NaN too
            return np.ldexp(1.0, np.asarray(whole).astype(np.int32))

    @staticmethod
    def exponent(x: Value) -> Value:
        """The whole number e with 2^e ≤ x < 2^(e+1) for normal x > 0."""
        return np.frexp(x)[1] - 1.0


def terms(*hexadecimal: str) -> tuple[float, ...]:
    return tuple(map(float.fromhex, hexadecimal))


# Each by mpmath.chebyfit, lowest power first, rounded to float64; tests/prediction/test_gaussian.py makes them again.
# E sign(c + z)/c in c² for |c| ≤ 1: error 2e-19.
NEAR = terms(
    "0x1.9884533d43651p-1", "-0x1.1058377e2cedfp-3", "0x1.46d0429769010p-6", "-0x1.37403f6b93143p-9",
    "0x1.e42b0d4b14d39p-13", "-0x1.3ce8f9bacee1ep-16", "0x1.6589f17ce2693p-20", "-0x1.621cc567a99f7p-24",
    "0x1.380b151d37375p-28", "-0x1.e69d43072e1f8p-33", "0x1.1eb48cc19cdecp-37",
)  # fmt: skip
# (1 − E sign(c + z))·e^(c²/2)·(c + 5) in (c − 5)/(c + 5) for c in [1, 9]: error 4e-17. Beyond, 1 is nearer than 2^−53.
FAR = terms(
    "0x1.89d3abe1f95aep+0", "-0x1.54ad03f27ca17p+0", "0x1.fb31653877025p-1", "-0x1.410ed5f87597cp-1",
    "0x1.51f6329ef8e10p-2", "-0x1.1b1c254cc94f1p-3", "0x1.54b4d4ffbb52ap-5", "-0x1.88590d439cf1ap-8",
    "-0x1.a2504c19a7f8cp-10", "0x1.1dae957772fb1p-10", "-0x1.f215353c3bcebp-14", "-0x1.a1200a0dd796fp-14",
    "0x1.192a87ecbc008p-15", "0x1.075df4c01754bp-17", "-0x1.ada9d6db801b8p-18", "-0x1.0f10f8ab55833p-19",
)  # fmt: skip
# 2·artanh(s)/s in s² for |s| ≤ (√2 − 1)/(√2 + 1): error 2e-20.
LOGARITHM = terms(
    "0x1.0000000000000p+1", "0x1.5555555555555p-1", "0x1.9999999999ee0p-2", "0x1.249249241f857p-2",
    "0x1.c71c726358ec5p-3", "0x1.745cdb9f0b4c8p-3", "0x1.3b2109cc7b988p-3", "0x1.0f55accc791adp-3",
    "0x1.0f9b9e3c7c9f8p-3",
)  # fmt: skip
ROOT_TWO = float.fromhex("0x1.6a09e667f3bcdp+0")
TWICE_DENSITY = float.fromhex("0x1.9884533d43651p-1")  # √(2/π)
# Added and taken away again it rounds to a whole number.
ROUNDING = 1.5 * 2.0**52
# Where the density is nothing beside 1, and yet a normal number.
FARTHEST, SMALLEST = 37.0, 2.0**-64


def falling(y: Value, xp: Any) -> Value:
    """e^(−y) for y in [0, 700], within 2 ulp of that of the y given."""
    whole = (y * INVERSE_LN2 + ROUNDING) - ROUNDING
    return xp.two_to(-whole) * polynomial(EXP_TERMS, (whole * LN2_HIGH - y) + whole * LN2_LOW)


def logarithm(x: Value, xp: Any) -> Value:
    """log x for normal x > 0, within 2 ulp."""
    whole = xp.exponent(x)
    share = x * xp.two_to(-whole)
    over = share > ROOT_TWO
    share, whole = xp.where(over, share * 0.5, share), xp.where(over, whole + 1, whole)
    s = (share - 1) / (share + 1)
    return whole * LN2_HIGH + (s * polynomial(LOGARITHM, s * s) + whole * LN2_LOW)


def root_of(x: Value, order: Value, xp: Any) -> Value:
    """x^(1/order) for x in [0, 1] and order in [1, 8]; that of 2^−64 for smaller x."""
    return falling(-(logarithm(at_least(x, SMALLEST, xp), xp) / order), xp)


def at_least(x: Value, low: float, xp: Any) -> Value:
    """The larger of the two; NaN stays."""
    return xp.where(x < low, low, x)


def at_most(x: Value, high: Value, xp: Any) -> Value:
    """The smaller of the two; NaN stays."""
    return xp.where(x > high, high, x)


def bounded(centre: Value, xp: Any) -> Value:
    """The centre within what `mean_sign` takes: beyond, the density is nothing."""
    return at_least(at_most(centre, FARTHEST, xp), -FARTHEST, xp)


def mean_sign(centre: Value, xp: Any) -> tuple[Value, Value]:
    """E sign(centre + z) = erf(centre/√2) of a normal z and its derivative, for |centre| ≤ 37.

    Within 3 ulp and within 1e-15·(1 + centre²/2), relative.
    """
    far = xp.where(centre < 0, -centre, centre)
    density = falling(0.5 * (centre * centre), xp)
    near = centre * polynomial(NEAR, centre * centre)
    far = at_most(far, 9.0, xp)
    share = 1 / (far + 5)
    rest = 1 - density * polynomial(FAR, (far - 5) * share) * share
    mean = xp.where(far < 1, near, xp.where(centre < 0, -rest, rest))
    return mean, TWICE_DENSITY * density
