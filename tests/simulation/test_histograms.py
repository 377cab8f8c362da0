"""Histograms: NumPy's own counts, with what lies outside counted apart, the same in any block and on any backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.results import same_result
from ematheory.simulation import runs
from ematheory.simulation.backends import Native
from ematheory.simulation.histograms import PLACES, check_edges, counted
from ematheory.simulation.reference import Reference

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
PROBLEM = em.NoisyQuadratic(curvature=[1.0, 0.5, 0.1, 0.2], noise=0.1)
OPTIMIZER = em.SGD(lr=[0.05, 0.2], momentum=0.5)
REPLICAS = range(30, 130)
EDGES: dict[str, Any] = {"risk": [0.0, 0.01, 0.1, 0.5], "weight": np.linspace(-1, 0.9, 8), "rotation": [0.0, 0.05]}


def run(**settings: Any) -> xr.Dataset:
    given = {"steps": 20, "record": em.every(5), "replicas": REPLICAS, "histogram": EDGES, **settings}
    return em.simulate(PROBLEM, OPTIMIZER, **given)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_counts_are_numpy_s(backend: str, dtype: str) -> None:
    result = run(trajectories=REPLICAS, backend=backend, dtype=dtype)
    weights = result.trajectory.values
    risks = 0.5 * (np.array([1.0, 0.5, 0.1, 0.2]) * weights**2).sum(-1)
    for name, values in (("weight", weights), ("risk", risks)):
        for lr in range(2):
            for step in range(5):
                of, edges = values[lr, :, step], np.asarray(EDGES[name])
                np.testing.assert_array_equal(result[f"{name}_histogram"][lr, step], np.histogram(of, edges)[0])
                outside = [(of < edges[0]).sum(), (of > edges[-1]).sum(), np.isnan(of).sum()]
                assert result[f"{name}_histogram_outside"][lr, step].values.tolist() == outside


def test_every_number_is_counted_once_and_the_edges_are_there() -> None:
    result = run()
    for name, count in (("risk", 100), ("weight", 400), ("rotation", 100)):
        counts, outside = result[f"{name}_histogram"], result[f"{name}_histogram_outside"]
        assert counts.dims == ("lr", "step", f"{name}_bin")
        assert counts.dtype == outside.dtype == np.int64
        assert (counts.sum(f"{name}_bin") + outside.sum("outside") == count).all()
        np.testing.assert_array_equal(result[f"{name}_bin"], EDGES[name][:-1])
        np.testing.assert_array_equal(result[f"{name}_bin_upper"], EDGES[name][1:])
    assert result.outside.values.tolist() == list(PLACES)
    # What is of a step is no number at step 0.
    assert (result.rotation_histogram_outside.sel(step=0, outside="nan") == 100).all()


def test_infinities_nan_and_edges_have_their_places() -> None:
    edges = np.array([-1.0, 0.0, 2.0])
    values = np.array([-np.inf, -1.5, -1.0, -0.5, -0.0, 0.0, 2.0, np.nextafter(2.0, 3), np.inf, np.nan, -np.nan])
    assert counted(values[None, None], edges).counts.tolist() == [[[2, 3, 2, 2, 2]]]


@pytest.mark.parametrize("groups", [[1, 3], 2, 4])
def test_the_weights_of_each_group(groups: Any) -> None:
    result = run(groups=groups, trajectories=REPLICAS)
    edges, start = EDGES["weight"], 0
    assert result.risk_histogram.dims == ("lr", "step", "risk_bin")
    assert result.weight_histogram.dims == ("lr", "step", "group", "weight_bin")
    for group, size in enumerate([groups] * (4 // groups) if isinstance(groups, int) else groups):
        of = result.trajectory[1, :, -1, start : start + size]
        np.testing.assert_array_equal(result.weight_histogram[1, -1, group], np.histogram(of, edges)[0])
        start += size
    xr.testing.assert_equal(result.weight_histogram.sum("group"), run().weight_histogram)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("cells", "work"), [(1, 64 * 4 * 2), (64 * 4 * 2, 1), (64 * 4, 64 * 4 * 5)])
def test_blocks_of_any_size_give_the_same_counts(
    monkeypatch: pytest.MonkeyPatch, backend: str, cells: int, work: int
) -> None:
    whole = run()
    engine = Reference if backend == "reference" else Native
    monkeypatch.setattr(engine, "cells_per_block", cells)
    monkeypatch.setattr(engine, "work_per_call", work)
    monkeypatch.setattr(runs, "SNAPSHOTS", 64 * 4 * 3)
    monkeypatch.setattr("ematheory.simulation.observables.TEMPORARY", 2**7)
    assert same_result(run(backend=backend), whole)


@pytest.mark.parametrize("cut", [31, 64, 100])
def test_counts_combine_exactly_at_any_cut(cut: int) -> None:
    whole = run()
    parts = em.combine(run(replicas=range(30, cut)), run(replicas=range(cut, 130)))
    for name in ("risk", "weight", "rotation"):
        for kind in ("_histogram", "_histogram_outside"):
            xr.testing.assert_identical(parts[name + kind], whole[name + kind])
            assert parts[name + kind].dtype == np.int64
    np.testing.assert_allclose(parts.risk, whole.risk, rtol=1e-12)


def test_other_edges_do_not_combine() -> None:
    first, second = (run(replicas=part, histogram={"risk": edges}) for part, edges in (
        (range(64), [0, 1, 2]), (range(64, 128), [0, 1, 3]),
    ))  # fmt: skip
    with pytest.raises(ValueError, match="histogram is"):
        em.combine(first, second)


def test_a_histogram_alone_measures_nothing_else() -> None:
    result = run(histogram={"weight_norm": [0, 1, 2]}, observables="risk")
    assert "weight_norm" not in result
    xr.testing.assert_equal(result.risk, run().risk)


ERRORS = [
    ([1.0], ValueError, "needs at least two edges"),
    ([0.0, 1.0, 1.0], ValueError, "must increase, but 1.0 is followed by 1.0"),
    ([0.0, np.inf], ValueError, r"histogram\['risk'\]\[1\] must be finite, got inf"),
    ([0.0, np.nan], ValueError, "must be finite, got nan"),
    (20, TypeError, "must be a list of the edges of bins"),
    (["a", "b"], TypeError, "must be a list of the edges of bins"),
]


@pytest.mark.parametrize(("edges", "error", "message"), ERRORS)
def test_bad_edges_are_refused(edges: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_edges("risk", edges)


REFUSED = [
    ({"weight_mean": [0, 1]}, ValueError, "'weight' or an observable with one number per replica, got 'weight_mean'"),
    ({"riks": [0, 1]}, ValueError, "observables of NoisyQuadratic must be one of 'risk'"),
    ([0, 1], TypeError, "histogram must map observables to edges"),
    ({}, TypeError, "histogram must map observables to edges"),
]


@pytest.mark.parametrize(("histogram", "error", "message"), REFUSED)
def test_bad_requests_are_refused(histogram: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(histogram=histogram)
