"""Standard normals in float32 by Box–Muller from Philox words, with own log, sine and cosine.

Only + − × ÷ √, integers and bit casts appear, so the bits are the same everywhere (DESIGN.md, Noise and Arithmetic);
csrc/core/normal.h is the same function in C++.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arithmetic import polynomial
from .philox import Words, check_seed, philox

Normals: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int32]

STEPS_PER_CALL = 4
MAXIMUM_STEPS = 2**34
MAXIMUM_COLUMNS = 2**32
MAXIMUM_REPLICAS = 2**32
MAXIMUM_POINTS = 2**28
STREAMS = 16
GRADIENT_STREAM = 0


def single(*hexadecimal: str) -> tuple[np.float32, ...]:
    return tuple(np.float32(float.fromhex(digits)) for digits in hexadecimal)


# Each by mpmath.chebyfit, lowest power first, rounded to float32; tests/simulation/test_noise.py makes them again.
# −2 log(1 + f)/f for 1 + f in [√½, √2]: error 7e-8.
LOG_TERMS = single(
    "-0x1.000000p+1", "0x1.fffffep-1", "-0x1.555796p-1", "0x1.00038cp-1", "-0x1.98b290p-2",
    "0x1.53846ep-2", "-0x1.32bcb8p-2", "0x1.243c02p-2", "-0x1.5d8646p-3",
)  # fmt: skip
# sin(πz/2)/z and (cos(πz/2) − 1)/z² in z² for |z| ≤ ½: errors 5e-9 and 8e-10.
SINE_TERMS = single("0x1.921fb6p+0", "-0x1.4abbbap-1", "0x1.465ec4p-4", "-0x1.2d9b40p-8")
COSINE_TERMS = single("-0x1.3bd3ccp+0", "0x1.03c1eap-2", "-0x1.55cb98p-6", "0x1.db6492p-11")
MINUS_TWO_LN2 = np.float32(-2 * 0.693147180559945309)
ONE = np.float32(1)
TWO_TO_MINUS_32 = np.float32(2.0**-32)
# The bits of √½ in float32, and those plus 31 in the exponent, for an argument that is still scaled by 2³¹.
ROOT_HALF_BITS = np.int32(0x3F3504F3)
SCALED_ROOT_HALF_BITS = np.int32(0x3F3504F3 + (31 << 23))
MANTISSA = np.int32(0x007FFFFF)
SIGN = np.uint32(0x80000000)


def radius(word: Words) -> Normals:
    """√(−2 log u) with u = ((word >> 1) + 1)·2⁻³¹ rounded to float32: from 0 to 6.56, within 2 ulp.

    u = 2^e·(1 + f) with 1 + f in [√½, √2), read off the bits.
    """
    scaled = (word >> np.uint32(1)).astype(np.int32).astype(np.float32) + ONE
    bits = scaled.view(np.int32) - SCALED_ROOT_HALF_BITS
    exponent = (bits >> np.int32(23)).astype(np.float32)
    f = ((bits & MANTISSA) + ROOT_HALF_BITS).view(np.float32) - ONE
    return np.asarray(np.sqrt(exponent * MINUS_TWO_LN2 + f * polynomial(LOG_TERMS, f)))


def cosine_and_sine(word: Words) -> tuple[Normals, Normals]:
    """cos and sin of 2π·word/2³²: the nearest quarter turn by integers, the rest in [−π/4, π/4).

    Of the rest, the cosine is within 2 ulp and the sine within 3; odd quarters exchange them.
    """
    turned = word + np.uint32(1 << 29)
    z = (word << np.uint32(2)).view(np.int32).astype(np.float32) * TWO_TO_MINUS_32
    square = z * z
    sine = z * polynomial(SINE_TERMS, square)
    cosine = ONE + square * polynomial(COSINE_TERMS, square)
    odd = (turned & np.uint32(1 << 30)) != 0
    cosine_bits = np.where(odd, sine, cosine).view(np.uint32) ^ ((turned + np.uint32(1 << 30)) & SIGN)
    sine_bits = np.where(odd, cosine, sine).view(np.uint32) ^ (turned & SIGN)
    return cosine_bits.view(np.float32), sine_bits.view(np.float32)


def box_muller(words: tuple[Words, Words, Words, Words]) -> Normals:
    """Four normals per counter on a new first axis: r₁cos, r₁sin, r₂cos, r₂sin, from (x₀, x₁) and (x₂, x₃)."""
    first, second = radius(words[0]), radius(words[2])
    cosine1, sine1 = cosine_and_sine(words[1])
    cosine2, sine2 = cosine_and_sine(words[3])
    return np.stack([first * cosine1, first * sine1, second * cosine2, second * sine2])


def as_numbers(name: str, values: Any, limit: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Whole numbers in 0…limit−1 as a 1-D int64 array. Raises `TypeError` or `ValueError`."""
    numbers = np.atleast_1d(np.asarray(values))
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
        raise TypeError(f"{name} must be whole numbers (a range or a 1-D array), got {values!r}")
    wrong = numbers[(numbers < 0) | (numbers >= limit)]
    if wrong.size:
        raise ValueError(f"{name} must be in 0…{limit - 1}, got {wrong[0]}")
    return numbers.astype(np.int64)


def normals(
    seed: int, steps: Any, columns: Any, replicas: Any, point: Any = 0, stream: int = GRADIENT_STREAM
) -> Normals:
    """The standard normals of a run: each depends on its own numbers alone.

    Parameters
    ----------
    seed : the 64-bit key.
    steps : 0-based step numbers (update k = 1, 2, … has step k − 1), a range or a 1-D array, below 2³⁴.
    columns : which normal of a step (the coordinate), below 2³².
    replicas : absolute replica numbers, below 2³².
    point : the point's number below 2²⁸ (0 under common random numbers), or a 1-D array of them.
    stream : what the normals are for, 0…15; 0 is the gradient's noise.

    Returns
    -------
    float32 array of shape (steps, replicas, columns), or (steps, points, replicas, columns) for an array of points.

    Raises
    ------
    TypeError, ValueError : a number that is not whole, or beyond its limit.

    Example
    -------
    >>> few = normals(seed=1, steps=range(2, 6), columns=range(3), replicas=[7])
    >>> few.shape, bool((few == normals(1, range(8), range(3), range(9))[2:6, 7:8]).all())
    ((4, 1, 3), True)
    """
    key = check_seed(seed)
    step_numbers = as_numbers("steps", steps, MAXIMUM_STEPS)
    blocks, place = np.unique(step_numbers // STEPS_PER_CALL, return_inverse=True)
    streams = as_numbers("stream", stream, STREAMS)
    last = as_numbers("point", point, MAXIMUM_POINTS) * STREAMS + streams
    counter = (
        blocks[:, None, None, None],
        as_numbers("columns", columns, MAXIMUM_COLUMNS),
        as_numbers("replicas", replicas, MAXIMUM_REPLICAS)[:, None],
        last[:, None, None],
    )
    four = box_muller(philox(counter, key))
    values: Normals = four[step_numbers % STEPS_PER_CALL, place]
    return values[:, 0] if np.ndim(point) == 0 else values
