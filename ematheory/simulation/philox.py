"""Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11) in NumPy.

A pure function of a 64-bit key and a 128-bit counter; csrc/core/philox.h is the same function in C++.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[np.uint32]

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
# The key grows by these after each round: the golden ratio and √3 − 1, as 32-bit fractions.
KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = 0xFFFFFFFF


def check_seed(seed: Any) -> int:
    """The 64-bit key as an int. Raises `TypeError` for what is not a whole number, `ValueError` outside 0…2⁶⁴−1.

    >>> check_seed(7)
    7
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be a whole number, got {seed!r}")
    if not 0 <= int(seed) < 2**64:
        raise ValueError(f"seed must be in 0…2⁶⁴−1, got {seed}")
    return int(seed)


def high_and_low(multiplier: np.uint64, word: Words) -> tuple[Words, Words]:
    """The two halves of a 32×32-bit product."""
    product = multiplier * word.astype(np.uint64)
    return (product >> np.uint64(32)).astype(np.uint32), product.astype(np.uint32)


def philox(counter: tuple[Any, Any, Any, Any], key: int) -> tuple[Words, Words, Words, Words]:
    """Four random 32-bit words for each counter.

    Parameters
    ----------
    counter : four integers or arrays of integers in 0…2³²−1 that broadcast together, least significant first.
    key : 64 bits; its low half is the first key word.

    Example
    -------
    >>> [f"{int(word):08x}" for word in philox((0, 0, 0, 0), key=0)]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    x0, x1, x2, x3 = (np.asarray(word, dtype=np.uint32) for word in counter)
    key0, key1 = key & WORD, key >> 32
    for _ in range(ROUNDS):
        high0, low0 = high_and_low(MULTIPLIERS[0], x0)
        high1, low1 = high_and_low(MULTIPLIERS[1], x2)
        x0, x1, x2, x3 = high1 ^ x1 ^ np.uint32(key0), low1, high0 ^ x3 ^ np.uint32(key1), low0
        key0, key1 = (key0 + KEY_INCREMENTS[0]) & WORD, (key1 + KEY_INCREMENTS[1]) & WORD
    return x0, x1, x2, x3
