"""The promised order of sums, and moments joined in any way against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ematheory.arithmetic import vector_sum
from ematheory.simulation import arrays
from ematheory.simulation.reductions import (
    LEAF,
    Moments,
    concatenated,
    joined,
    joined_tree,
    replica_moments,
)

RANDOM = np.random.default_rng(5)


def contract_sum(values: np.ndarray[Any, Any]) -> float:
    """The Reductions contract read literally, one addition at a time."""
    partials = [np.float64(0.0)] * 64
    for i, value in enumerate(values):
        partials[i % 64] = partials[i % 64] + np.float64(value)
    width = 32
    while width:
        for j in range(width):
            partials[j] = partials[j] + partials[j + width]
        width //= 2
    return float(partials[0])


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 31, 32, 33, 63, 64, 65, 127, 128, 130, 200, 1000])
def test_a_vector_sum_follows_the_contract_bit_for_bit(length: int) -> None:
    values = RANDOM.normal(size=(20, length)) * 10.0 ** RANDOM.integers(-8, 8, size=(20, length))
    assert vector_sum(values).tolist() == [contract_sum(row) for row in values]


def test_a_vector_sum_sees_layout_and_dtype_only_as_values() -> None:
    values = RANDOM.normal(size=(3, 4, 130)).astype(np.float32)
    whole = vector_sum(values)
    assert whole.dtype == np.float64
    np.testing.assert_array_equal(vector_sum(np.asfortranarray(values)), whole)
    np.testing.assert_array_equal(vector_sum(values.transpose(1, 0, 2)), whole.T)
    np.testing.assert_array_equal(vector_sum(values[:, 1:3]), whole[:, 1:3])


def test_an_empty_sum_is_zero_and_zeros_are_positive() -> None:
    assert vector_sum(np.zeros((2, 0))).tolist() == [0.0, 0.0]
    assert not np.signbit(vector_sum([-0.0, -0.0]))
    assert not np.signbit(vector_sum([-0.0]))


def exact_moments(values: list[float]) -> tuple[Fraction, list[Fraction]]:
    rational = [Fraction(value) for value in values]
    mean = sum(rational, Fraction(0)) / len(rational)
    return mean, [sum(((x - mean) ** p for x in rational), Fraction(0)) for p in (2, 3, 4)]


def assert_close(moments: Moments, values: list[float]) -> None:
    """Relative to the natural size of each sum: R·(spread)^p."""
    mean, sums = exact_moments(values)
    spread = float(max(abs(Fraction(value) - mean) for value in values)) or 1.0
    size = max(abs(value) for value in values) or 1.0
    assert moments.replicas == len(values)
    assert abs(float(moments.mean) - float(mean)) <= 1e-14 * size
    for p, ours, exact in zip((2, 3, 4), moments.sums, sums, strict=True):
        error = 1e-13 * len(values) * (spread**p + spread ** (p - 1) * size)
        assert abs(float(ours) - float(exact)) <= error


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200), st.integers(0, 300))
def test_moments_are_the_exact_ones(values: list[float], first: int) -> None:
    assert_close(replica_moments(np.array(values), first), values)


def test_a_large_mean_costs_no_digits_of_the_variance() -> None:
    """E w² − (E w)² would lose all of them."""
    values = (1e9 + RANDOM.normal(size=1000)).tolist()
    exact = float(exact_moments(values)[1][0])
    # A leaf's mean is rounded to 1e9·2⁻⁵³ = 1e-7, and so is the difference of two.
    assert float(replica_moments(np.array(values), 0).sums[0]) == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("cut", [64, 128])
def test_joining_at_a_node_of_the_tree_gives_the_same_bits(cut: int) -> None:
    values = RANDOM.normal(size=(2 * cut, 3))
    whole = replica_moments(values, 0)
    parts = joined(replica_moments(values[:cut], 0), replica_moments(values[cut:], cut))
    np.testing.assert_array_equal(whole.mean, parts.mean)
    np.testing.assert_array_equal(whole.sums, parts.sums)


@pytest.mark.parametrize("cut", [1, 37, 64, 100, 191])
def test_joining_anywhere_agrees_to_rounding(cut: int) -> None:
    values = RANDOM.normal(size=192)
    whole = replica_moments(values, 0)
    parts = joined(replica_moments(values[:cut], 0), replica_moments(values[cut:], cut))
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(parts.sums, whole.sums, rtol=1e-12, atol=1e-12)


def test_leaves_are_aligned_on_the_absolute_replica_number() -> None:
    """Replicas 60…67 are two leaves of four, joined; not one leaf of eight."""
    values = RANDOM.normal(size=8) * 10.0 ** np.arange(8)
    parts = joined(replica_moments(values[:4], 60), replica_moments(values[4:], 64))
    across = replica_moments(values, 60)
    assert (across.mean, *across.sums) == (parts.mean, *parts.sums)


def test_the_tree_joins_aligned_neighbours_in_increasing_order() -> None:
    asked: list[int] = []

    def leaf(number: int) -> str:
        asked.append(number)
        return str(number)

    def written(leaves: range) -> str:
        return joined_tree(leaves, leaf, lambda x, y: f"({x} {y})")

    assert written(range(0, 4)) == "((0 1) (2 3))"
    assert written(range(0, 5)) == "(((0 1) (2 3)) 4)"
    assert written(range(1, 6)) == "((1 (2 3)) (4 5))"
    assert written(range(7, 9)) == "(7 8)"
    assert written(range(5, 6)) == "5"
    assert asked == [0, 1, 2, 3, 0, 1, 2, 3, 4, 1, 2, 3, 4, 5, 7, 8, 5]


def test_each_column_has_the_moments_it_has_alone() -> None:
    values = RANDOM.normal(size=(100, 2, 3))
    together = replica_moments(values, 10)
    for place in np.ndindex(2, 3):
        alone = replica_moments(values[(slice(None), *place)], 10)
        assert float(alone.mean) == together.mean[place]
        assert alone.sums.tolist() == together.sums[(slice(None), *place)].tolist()


def test_concatenating_keeps_the_count() -> None:
    first, second = (replica_moments(RANDOM.normal(size=(70, n)), 0) for n in (2, 3))
    both = concatenated([first, second])
    assert both.replicas == 70
    assert both.mean.shape == (5,)
    assert both.sums.shape == (3, 5)


def test_a_full_leaf_of_equal_numbers_has_no_spread() -> None:
    moments = replica_moments(np.full(LEAF, 0.1), 0)
    assert moments.sums.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dot_and_sign_of_the_update_namespace(dtype: Any) -> None:
    x = np.array([[3.0, -4.0, 0.0], [1.0, np.nan, -0.0]], dtype=dtype)
    signs = arrays.sign(x)
    assert signs.dtype == dtype
    assert signs.tolist() == [[1.0, -1.0, 0.0], [1.0, 0.0, 0.0]]
    dots = arrays.dot(x[:1], x[:1])
    assert dots.dtype == dtype
    assert dots.tolist() == [[25.0]]
