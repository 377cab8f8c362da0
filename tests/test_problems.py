"""The problem records: their errors, their coordinates and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.problems import RECORDS, Problem
from ematheory.records import flattened, grid
from ematheory.simulation import arrays

BAD_VALUES: list[tuple[Any, dict[str, Any], str]] = [
    (em.NoisyQuadratic, {"curvature": [1.0, np.nan]}, r"curvature\[1\] must be finite and >= 0, got nan"),
    (em.NoisyQuadratic, {"curvature": [1.0, -0.5]}, r"curvature\[1\] must be finite and >= 0, got -0\.5"),
    (em.NoisyQuadratic, {"curvature": []}, "curvature needs at least one coordinate, got none"),
    (em.NoisyQuadratic, {"curvature": [[1.0, 2.0]]}, r"one number per coordinate, got shape \(1, 2\)"),
    (em.NoisyQuadratic, {"curvature": [1.0], "noise": "white"}, "the word 'curvature', got 'white'"),
    (em.NoisyQuadratic, {"curvature": [1.0], "noise": [-1.0]}, "noise must be finite and >= 0"),
    (em.NoisyQuadratic, {"curvature": [1.0, 2.0], "optimum": [1.0, 2.0, 3.0]}, "curvature has 2.*optimum has 3"),
    (em.NoisyQuadratic, {"curvature": [1.0], "init": np.inf}, "init must be finite, got inf"),
    (em.NoisyQuadratic, {"curvature": [1.0], "batch_size": 0}, "batch_size must be finite and > 0, got 0"),
    (em.NoisyQuadratic, {"curvature": [1.0], "batch_size": []}, "batch_size: a sweep axis needs at least one value"),
    (em.RandomWalk, {"size": 0}, "size must be finite and >= 1, got 0"),
    (em.RandomWalk, {"size": 3, "noise": [1.0, 2.0]}, "one value or size=3 values, got 2"),
    (em.RandomWalk, {"noise": np.nan}, "noise must be finite and >= 0, got nan"),
    (em.RandomWalk, {"batch_size": -1.0}, "batch_size must be finite and > 0"),
]


@pytest.mark.parametrize(("record", "fields", "message"), BAD_VALUES)
def test_a_value_outside_its_range_is_named(record: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(**fields)


@pytest.mark.parametrize("size", [1.0, True, "3", None])
def test_a_size_that_is_no_whole_number_is_a_type_error(size: Any) -> None:
    with pytest.raises(TypeError, match="size must be a whole number"):
        em.RandomWalk(size=size)


def test_the_noise_is_the_curvature_unless_given() -> None:
    problem = em.NoisyQuadratic(curvature=[4.0, 9.0], batch_size=4)
    np.testing.assert_array_equal(problem.coefficients(arrays).noise_scale, [1.0, 1.5])
    given = em.NoisyQuadratic(curvature=[4.0, 9.0], noise=1.0, batch_size=4)
    np.testing.assert_array_equal(given.coefficients(arrays).noise_scale, 0.5)


def test_the_number_of_coordinates_is_the_vectors() -> None:
    assert em.NoisyQuadratic(curvature=1.0).coordinates == 1
    assert em.NoisyQuadratic(curvature=1.0, optimum=[1.0, 2.0]).coordinates == 2
    swept = xr.DataArray(np.ones((3, 4)), dims=("case", "coordinate"))
    assert em.NoisyQuadratic(curvature=swept).coordinates == 4
    assert em.RandomWalk(size=7).coordinates == 7
    assert em.RandomWalk(size=7, init=np.zeros(7)).coordinates == 7


def test_the_noisy_quadratic_s_gradient_is_unbiased_with_the_stated_variance() -> None:
    problem = em.NoisyQuadratic(curvature=[2.0, 0.5], noise=[1.0, 4.0], optimum=[1.0, -1.0], batch_size=16)
    c = problem.coefficients(arrays)
    c = type(c)(*(np.asarray(value) for value in c))
    weight = np.array([3.0, 3.0])
    np.testing.assert_array_equal(problem.gradient(arrays, weight, np.zeros(2), c), [4.0, 2.0])
    noise = problem.gradient(arrays, weight, np.ones(2), c) - problem.gradient(arrays, weight, np.zeros(2), c)
    np.testing.assert_array_equal(noise**2, [1 / 16, 4 / 16])


def test_the_random_walk_s_gradient_is_noise_alone() -> None:
    problem = em.RandomWalk(size=2, noise=4.0, batch_size=4)
    c = problem.coefficients(arrays)
    for weight in (np.zeros(2), np.ones(2)):
        np.testing.assert_array_equal(problem.gradient(arrays, weight, np.array([1.0, -2.0]), c), [1.0, -2.0])


@pytest.mark.parametrize("record", RECORDS)
def test_every_variant_answers_to_its_own_name(record: type[Problem]) -> None:
    for name, variant in record.variants().items():
        assert type(variant).name == name
        assert variant.coefficients(arrays)._fields == record.Coefficients._fields


def test_no_observable_is_an_attribute_of_a_dataset() -> None:
    """Else `result.name` would be a method."""
    names = {name for record in RECORDS for name in record.observables}
    assert not [name for name in names if hasattr(xr.Dataset, name)]


def test_a_sweep_over_batch_sizes_flattens() -> None:
    problem = em.NoisyQuadratic(curvature=[1.0, 4.0], batch_size=[1.0, 4.0, 16.0])
    flat = flattened(problem, grid(problem))
    scale = flat.coefficients(arrays).noise_scale
    np.testing.assert_array_equal(scale, [[1.0, 2.0], [0.5, 1.0], [0.25, 0.5]])
