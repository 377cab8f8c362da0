"""Groups of coordinates: observables of each, as if it were a problem of its own, on every backend and in any cut."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.results import same_result
from ematheory.simulation import runs
from ematheory.simulation.backends import Native
from ematheory.simulation.groups import check_groups
from ematheory.simulation.observables import GROUPED, SCALARS, TOTALS
from ematheory.simulation.reference import Reference

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
H = np.array([1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02])
SIZES = [2, 2, 3]
CUTS = [slice(0, 2), slice(2, 4), slice(4, 7)]
OPTIMIZER = em.AdamW(lr=[0.05, 0.2], weight_decay=0.3)


def problem(columns: slice = slice(None)) -> em.NoisyQuadratic:
    return em.NoisyQuadratic(curvature=H[columns], noise=0.1, init=np.cos(np.arange(7))[columns])


def run(of: Any = None, optimizer: Any = OPTIMIZER, **settings: Any) -> xr.Dataset:
    given = {"steps": 9, "record": em.every(3), "replicas": 70, "observables": GROUPED, "groups": SIZES, **settings}
    return em.simulate(problem() if of is None else of, optimizer, **given)


def numbers(result: xr.Dataset, name: str, **place: Any) -> np.ndarray[Any, Any]:
    return np.asarray(result[name].sel(place))


def test_every_number_of_a_replica_is_of_a_group_or_a_total() -> None:
    assert {*GROUPED, *TOTALS} == set(SCALARS)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_each_group_is_the_vector_of_its_coordinates(backend: str, dtype: str) -> None:
    """Against norms, angles and means of the trajectories' slices, in a NumPy loop over replicas."""
    names = ("weight_norm", "weight_mean_square", "update_norm", "update_ratio", "update_cosine", "rotation")
    result = run(observables=names, replicas=4, record=em.every(1), backend=backend, dtype=dtype)
    path = run(trajectories=range(4), replicas=4, record=em.every(1), backend=backend, dtype=dtype).trajectory.values
    alpha = np.array([0.05, 0.2])[:, None, None, None] * 0.3
    for group, cut in enumerate(CUTS):
        now, before = path[:, :, 1:, cut], path[:, :, :-1, cut]
        size, old = np.linalg.norm(now, axis=-1), np.linalg.norm(before, axis=-1)
        moved, update = np.linalg.norm(now - before, axis=-1), before - now - alpha * before
        along = (before * update).sum(-1) / old / np.linalg.norm(update, axis=-1)
        forward = (now * before).sum(-1) / old
        aside = np.linalg.norm(now - (forward / old)[..., None] * before, axis=-1)
        expected = (size, (now**2).mean(-1), moved, moved / old, along, np.arctan2(aside, forward))
        for name, values in zip(names, expected, strict=True):
            np.testing.assert_allclose(result[name][:, 1:, group], values.mean(1), rtol=1e-11, atol=1e-14)
            error = values.std(1, ddof=1) / 2
            np.testing.assert_allclose(result[name + "_sem"][:, 1:, group], error, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_group_has_the_bits_of_a_problem_of_its_own(backend: str) -> None:
    """Its noise has the same columns: every observable, with its errors, central sums, quantiles and first passages."""
    asked: dict[str, Any] = {
        "backend": backend, "quantiles": [0.1, 0.5], "first_passage": {"weight_norm": 1.2, "update_ratio": 0.1},
        "histogram": {"weight_norm": [0, 1, 2], "weight": [-1, 0, 1], "rotation": [0.0, 0.1]},
    }  # fmt: skip
    grouped, alone = run(**asked), run(problem(CUTS[0]), groups=None, **asked)
    assert set(grouped.data_vars) == set(alone.data_vars)
    for name in alone:
        assert "group" in grouped[name].dims
        np.testing.assert_array_equal(grouped[name].sel(group=0), alone[name])


def test_one_group_of_everything_is_the_whole_vector() -> None:
    whole, one = run(groups=None), run(groups=len(H))
    for name in whole:
        np.testing.assert_array_equal(one[name].squeeze("group"), whole[name])


def test_totals_and_coordinates_have_no_group() -> None:
    names = ("risk", "diverged", "weight_mean", "weight_variance", "weight_second_moment", "coordinate_first_moment")
    asked: dict[str, Any] = {"observables": names, "trajectories": [1], "first_passage": {"risk": 0.5}}
    plain = run(groups=None, **asked)
    grouped = run(**asked)
    assert json.loads(json.dumps(grouped.attrs["groups"])) == "[2, 2, 3]"
    xr.testing.assert_identical(grouped.drop_attrs().drop_vars("group"), plain.drop_attrs())


def test_groups_alike_are_stated_by_their_size() -> None:
    result = run(em.RandomWalk(size=12), groups=[4, 4, 4], observables="weight_norm")
    assert result.attrs["groups"] == 4
    assert same_result(result, run(em.RandomWalk(size=12), groups=4, observables="weight_norm"))
    assert result.weight_norm.dims == ("lr", "step", "group")
    assert result.group.values.tolist() == [0, 1, 2]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("cells", "work"), [(1, 64 * 7 * 2), (64 * 7 * 2, 1), (64 * 7, 64 * 7 * 5)])
def test_blocks_of_any_size_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, backend: str, cells: int, work: int
) -> None:
    settings: dict[str, Any] = {
        "backend": backend, "quantiles": [0.5], "first_passage": {"update_norm": 0.1}, "replicas": range(30, 230),
        "histogram": {"weight": [-1, 0, 1], "update_norm": [0, 0.1]},
    }  # fmt: skip
    whole = run(**settings)
    engine = Reference if backend == "reference" else Native
    monkeypatch.setattr(engine, "cells_per_block", cells)
    monkeypatch.setattr(engine, "work_per_call", work)
    monkeypatch.setattr(runs, "SNAPSHOTS", 64 * 7 * 3)
    monkeypatch.setattr("ematheory.simulation.observables.TEMPORARY", 2**9)
    assert same_result(run(**settings), whole)


@pytest.mark.skipif(not em.isas(), reason="the native engine was not built")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_engines_give_the_same_bits(dtype: str) -> None:
    assert same_result(run(backend="cpu", dtype=dtype), run(backend="reference", dtype=dtype))


def test_groups_combine() -> None:
    parts = [run(replicas=part) for part in (range(64), range(64, 128))]
    assert same_result(em.combine(*parts), run(replicas=128))
    with pytest.raises(ValueError, match=r"groups is '\[2, 2, 3\]' and 7"):
        em.combine(parts[0], run(replicas=range(64, 128), groups=7))


ERRORS = [
    (3, ValueError, "groups of one size must divide the d=7 coordinates, got 3"),
    ([3, 3], ValueError, r"groups must add up to the d=7 coordinates, got \[3, 3\], 6 in all"),
    ([7, 0], ValueError, r"groups must have at least one coordinate each, got \[7, 0\]"),
    (-7, ValueError, "at least one coordinate each, got -7"),
    ([], TypeError, "groups must be a whole number of coordinates, or a list of them"),
    (3.5, TypeError, "groups must be a whole number"),
    (True, TypeError, "groups must be a whole number"),
    ("layer", TypeError, "groups must be a whole number"),
]


@pytest.mark.parametrize(("groups", "error", "message"), ERRORS)
def test_groups_that_do_not_fit_are_refused(groups: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_groups(groups, 7)


def test_no_axis_can_be_called_group() -> None:
    axis = xr.DataArray([0.1, 0.2], coords={"group": [0.0, 1.0]})
    with pytest.raises(ValueError, match="a sweep axis cannot be called 'group'"):
        run(optimizer=em.SGD(lr=axis))
