"""The noise in NumPy: known answers, the transform's errors in ulp, and what each normal depends on."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from ematheory.simulation import normal
from ematheory.simulation.normal import box_muller, cosine_and_sine, normals, polynomial, radius
from ematheory.simulation.philox import philox

# Random123's kat_vectors for philox4x32 with 10 rounds: counter, key, words.
KNOWN_ANSWERS = [
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
WORDS = np.concatenate(
    [
        np.arange(2**10, dtype=np.uint32),
        np.arange(2**32 - 2**10, 2**32).astype(np.uint32),
        np.random.default_rng(1).integers(0, 2**32, 2**18, dtype=np.uint32),
        *(np.arange((k << 29) - 99, (k << 29) + 99).astype(np.uint32) for k in range(1, 8)),
    ]
)


def ulps(seen: np.ndarray, exact: np.ndarray) -> float:
    """The largest error in units of the last place of the exact value."""
    return float(np.max(np.abs(seen.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))))


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(counter, key, words):
    assert tuple(int(word) for word in philox(counter, key[0] | key[1] << 32)) == words


def refit(function, low, high, terms):
    with mpmath.workdps(40):
        fitted = mpmath.chebyfit(function, [low, high], len(terms))
        return tuple(np.float32(float(term)) for term in reversed(fitted))


def test_terms_are_as_their_comment_says():
    mp, half_pi = mpmath, mpmath.pi / 2
    root = mp.mpf(2) ** 0.5
    log = refit(lambda f: -2 * mp.log1p(f) / f if f else mp.mpf(-2), 1 / root - 1, root - 1, normal.LOG_TERMS)
    sine = refit(lambda q: mp.sin(half_pi * mp.sqrt(q)) / mp.sqrt(q), 0, mp.mpf(1) / 4, normal.SINE_TERMS)
    cosine = refit(lambda q: (mp.cos(half_pi * mp.sqrt(q)) - 1) / q, 0, mp.mpf(1) / 4, normal.COSINE_TERMS)
    assert (log, sine, cosine) == (normal.LOG_TERMS, normal.SINE_TERMS, normal.COSINE_TERMS)


def test_radius_is_within_two_ulp():
    u = ((WORDS >> 1).astype(np.float32).astype(np.float64) + 1).astype(np.float32).astype(np.float64) * 2.0**-31
    seen, exact = radius(WORDS), np.sqrt(-2 * np.log(u))
    assert seen.dtype == np.float32
    assert (seen[exact == 0] == 0).all()
    assert ulps(seen[exact > 0], exact[exact > 0]) < 2
    assert float(radius(np.zeros(1, np.uint32))[0]) == pytest.approx(np.sqrt(62 * np.log(2)), rel=1e-6)


def test_cosine_is_within_two_ulp_and_sine_within_three():
    cosine, sine = cosine_and_sine(WORDS)
    assert cosine.dtype == sine.dtype == np.float32
    # The quarter turn is taken off exactly here too: float64's own sine of 2π·word/2³² has lost digits near its zeros.
    quarter = (WORDS.astype(np.int64) + 2**29) >> 30
    angle = (WORDS.astype(np.int64) - (quarter << 30)) * (2 * np.pi / 2**32)
    ahead = [np.cos(angle), np.sin(angle), -np.cos(angle), -np.sin(angle)]
    exact_cosine = np.choose(quarter % 4, [ahead[0], ahead[3], ahead[2], ahead[1]])
    exact_sine = np.choose(quarter % 4, [ahead[1], ahead[0], ahead[3], ahead[2]])
    for seen, exact in ((cosine, exact_cosine), (sine, exact_sine)):
        # In odd quarters the two change places.
        own, swapped = (2, 3) if seen is cosine else (3, 2)
        for odd, bound in ((0, own), (1, swapped)):
            chosen = (quarter % 2 == odd) & (exact != 0)
            assert ulps(seen[chosen], exact[chosen]) < bound
        assert (seen[exact == 0] == 0).all()


def test_float64_is_a_good_enough_oracle():
    words = WORDS[::4001]
    for word, seen in zip(words, radius(words), strict=True):
        u = mpmath.mpf(float(np.float32(np.float32(int(word) >> 1) + np.float32(1)))) / 2**31
        assert abs(float(seen) - mpmath.sqrt(-2 * mpmath.log(u))) <= 2 * np.spacing(seen)


def test_numpy_rounds_each_operation():
    x = np.random.default_rng(2).uniform(-0.3, 0.4, 10_001).astype(np.float32)
    total = np.full_like(x, normal.LOG_TERMS[-1])
    for term in normal.LOG_TERMS[-2::-1]:
        # Float64 holds a float32 product exactly, and its sum rounds to float32 as the exact sum does.
        product = (total.astype(np.float64) * x).astype(np.float32)
        total = (product.astype(np.float64) + term).astype(np.float32)
    assert (polynomial(normal.LOG_TERMS, x) == total).all()


def test_four_steps_share_a_call():
    words = philox((5, np.arange(9), 3, 2 * 16), key=77)
    four = box_muller(words)
    assert (normals(77, range(20, 24), range(9), [3], point=2)[:, 0] == four).all()


def test_each_normal_depends_on_its_own_numbers_alone():
    whole = normals(3, range(13), range(40), range(6), point=[0, 9])
    assert whole.shape == (13, 2, 6, 40)
    assert whole.dtype == np.float32
    part = normals(3, [12, 2, 7], range(5, 17), [4, 1], point=9)
    assert (part == whole[[12, 2, 7], 1][:, [4, 1], 5:17]).all()
    others = [normals(4, range(13), range(40), range(6)), normals(3, range(13), range(40), range(6), stream=1)]
    assert all((other != whole[:, 0]).mean() > 0.99 for other in others)


def test_largest_numbers():
    assert normals(2**64 - 1, [2**34 - 1], [2**32 - 1], [2**32 - 1], 2**28 - 1, 15).shape == (1, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": [2**34]}, "steps must be in"),
        ({"columns": [-1]}, "columns must be in"),
        ({"replicas": [2**32]}, "replicas must be in"),
        ({"point": 2**28}, "point must be in"),
        ({"stream": 16}, "stream must be in"),
        ({"seed": -1}, "seed must be in"),
        ({"seed": 2**64}, "seed must be in"),
    ],
)
def test_limits(arguments, message):
    with pytest.raises(ValueError, match=message):
        normals(**{"seed": 0, "steps": [0], "columns": [0], "replicas": [0], **arguments})


@pytest.mark.parametrize("arguments", [{"steps": [0.5]}, {"seed": 1.0}, {"seed": True}, {"columns": [[1]]}])
def test_wrong_types(arguments):
    with pytest.raises(TypeError):
        normals(**{"seed": 0, "steps": [0], "columns": [0], "replicas": [0], **arguments})
