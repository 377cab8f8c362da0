"""10⁹ normals from the native engine: moments and tails within sampling error."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import erfc, sqrt

import numpy as np
import pytest

native = pytest.importorskip("ematheory._native", reason="the native engine was not built")

COUNT = 10**9
CHUNK = {"steps": 500, "columns": 2000, "replicas": 1}
TAILS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def sums(number: int) -> np.ndarray:
    """Σx, Σx², Σx³, Σx⁴ and the counts of |x| above each of TAILS, of one chunk."""
    drawn = native.normals(isa=native.isas()[-1], seed=20240522, first_step=0, first_replica=number, point=0, **CHUNK)
    x = drawn.ravel().astype(np.float64)
    square = x * x
    powers = [x.sum(), square.sum(), (square * x).sum(), (square * square).sum()]
    return np.array([*powers, *(np.count_nonzero(square > tail * tail) for tail in TAILS)])


@pytest.mark.slow
def test_moments_and_tails_of_a_billion():
    size = CHUNK["steps"] * CHUNK["columns"] * CHUNK["replicas"]
    with ThreadPoolExecutor(2) as pool:
        total = sum(pool.map(sums, range(COUNT // size)))
    # Of x, x², x³, x⁴: means 0, 1, 0, 3 and variances 1, 2, 15, 96. The transform's own lattice (u in steps of 2⁻³¹)
    # moves the second moment by 1e-8, far inside the sampling error of 4e-5.
    z = (total[:4] / COUNT - [0, 1, 0, 3]) / np.sqrt(np.array([1, 2, 15, 96]) / COUNT)
    assert np.abs(z).max() < 4, z
    m1, m2, m3, m4 = total[:4] / COUNT
    variance = m2 - m1**2
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    assert abs(third / variance**1.5) < 4 * sqrt(6 / COUNT)
    assert abs(fourth / variance**2 - 3) < 4 * sqrt(24 / COUNT)
    for tail, seen in zip(TAILS, total[4:], strict=True):
        expected = COUNT * erfc(tail / sqrt(2))
        # Beyond 6 about two are expected: a count this far off has probability below 1e-4.
        assert abs(seen - expected) < 4 * sqrt(expected) + 2, (tail, seen, expected)
