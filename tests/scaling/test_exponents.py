"""The linear algebra of scaling exponents: solutions of least change, free directions, minimal clashes."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ematheory.derivations.exponents import Solution, clashing, consistent, solve, system

UNKNOWNS, AXES = ("x", "y", "z"), ("n", "m")
POWERS = st.dictionaries(
    st.sampled_from(UNKNOWNS + AXES), st.fractions(min_value=-2, max_value=2, max_denominator=4), max_size=4
)
CONDITIONS = st.dictionaries(st.sampled_from("abcd"), POWERS, min_size=1, max_size=4)


def residuals(conditions, solution):
    return [
        sum(powers.get(u, 0) * solution.exponents[u][axis] for u in UNKNOWNS) + powers.get(axis, 0)
        for powers in conditions.values()
        for axis in AXES
    ]


@settings(deadline=None)
@given(CONDITIONS)
def test_a_solution_keeps_every_condition_and_is_the_least(conditions):
    found = solve(conditions, UNKNOWNS, AXES)
    if not isinstance(found, Solution):
        return
    assert set(residuals(conditions, found)) == {0}
    matrix, right = (np.array(part.tolist(), dtype=float) for part in system(conditions, [*conditions], UNKNOWNS, AXES))
    least = np.linalg.pinv(matrix) @ right
    mine = np.array([[float(found.exponents[u][axis]) for axis in AXES] for u in UNKNOWNS])
    np.testing.assert_allclose(mine, least, atol=1e-10)
    for direction in found.free:
        moved = {
            u: {axis: found.exponents[u][axis] + 3 * direction.get(u, Fraction(0)) for axis in AXES} for u in UNKNOWNS
        }
        assert set(residuals(conditions, Solution(moved, ()))) == {0}
    assert len(found.free) == 3 - np.linalg.matrix_rank(matrix)


@settings(deadline=None)
@given(CONDITIONS)
def test_a_clash_is_one_and_is_minimal(conditions):
    found = solve(conditions, UNKNOWNS, AXES)
    if isinstance(found, Solution):
        return
    assert not consistent(*system(conditions, found, UNKNOWNS, AXES))
    for name in found:
        rest = [other for other in found if other != name]
        assert consistent(*system(conditions, rest, UNKNOWNS, AXES))
    assert clashing(conditions, UNKNOWNS, AXES) == found
