"""What is asked of single replicas: trajectories, quantiles and first passages, against one another and by hand."""

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
from ematheory.simulation.distributions import first_reached, passage_arrays, quantiles
from ematheory.simulation.reference import Reference

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
PROBLEM = em.NoisyQuadratic(curvature=[1.0, 0.5, 0.1], noise=0.1)
OPTIMIZER = em.SGD(lr=[0.05, 0.2], momentum=0.5)
REPLICAS = range(30, 130)
SHARES = [0.1, 0.5, 0.9]


def run(problem: Any = PROBLEM, optimizer: Any = OPTIMIZER, **settings: Any) -> xr.Dataset:
    given = {"steps": 40, "record": em.every(5), "replicas": REPLICAS, **settings}
    return em.simulate(problem, optimizer, **given)


def risks(result: xr.Dataset) -> np.ndarray[Any, Any]:
    """Each replica's risk, shape (lr, replica, step), from its trajectory."""
    return np.asarray(0.5 * (np.array([1.0, 0.5, 0.1]) * result.trajectory.values**2).sum(-1))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_trajectory_is_the_replica_s_run_alone(backend: str, dtype: str) -> None:
    result = run(trajectories=[129, 64, 30, 64], backend=backend, dtype=dtype)
    assert result.trajectory.dims == ("lr", "replica", "step", "coordinate")
    assert result.replica.values.tolist() == [30, 64, 129]
    for number in (30, 64, 129):
        alone = run(replicas=range(number, number + 1), observables="weight_mean", backend=backend, dtype=dtype)
        np.testing.assert_array_equal(result.trajectory.sel(replica=number), alone.weight_mean)


@pytest.mark.parametrize("backend", BACKENDS)
def test_quantiles_are_numpy_s_without_interpolation(backend: str) -> None:
    result = run(trajectories=list(REPLICAS), quantiles=SHARES, observables=("risk", "weight_mean"), backend=backend)
    assert result.risk_quantiles.dims == ("lr", "step", "probability")
    assert result.probability.values.tolist() == SHARES
    assert "weight_mean_quantiles" not in result
    expected = np.quantile(risks(result), SHARES, axis=1, method="inverted_cdf")
    np.testing.assert_allclose(result.risk_quantiles, np.moveaxis(expected, 0, -1), rtol=1e-13)


@pytest.mark.parametrize("count", [7, 30, 100])
def test_every_share_has_its_rank(count: int) -> None:
    values = np.random.default_rng(3).permutation(np.arange(1.0, count + 1))
    shares = tuple((np.arange(count) + 1) / count)
    assert quantiles(values, shares)[0].tolist() == list(range(1, count + 1))
    assert quantiles(values, (0.0,))[0].tolist() == [1.0]


def test_the_error_of_a_quantile_is_its_spread() -> None:
    values = np.random.default_rng(4).normal(size=(4000, 200))
    found, error = quantiles(values, (0.2, 0.5))
    np.testing.assert_allclose(error.mean(0), found.std(0, ddof=1), rtol=0.08)
    assert np.isnan(quantiles(values[:, :4], (0.0, 0.1, 1.0))[1]).all()


def test_nan_ranks_above_infinity() -> None:
    found, _ = quantiles(np.array([np.nan, 1.0, np.inf, 0.0]), (0.25, 0.5, 0.75, 1.0))
    np.testing.assert_array_equal(found, [0.0, 1.0, np.inf, np.nan])


@pytest.mark.parametrize("backend", BACKENDS)
def test_first_passages_by_hand(backend: str) -> None:
    target = 0.03
    result = run(
        trajectories=list(REPLICAS), first_passage={"risk": target, "weight_norm": 10.0}, observables="weight_norm",
        backend=backend,
    )  # fmt: skip
    reached = risks(result) <= target
    missed = ~reached.any(-1)
    assert 0 < missed.sum() < missed.size
    for lr in range(2):
        first = result.step.values[reached[lr].argmax(-1)].astype(float)
        arrived = first[~missed[lr]]
        np.testing.assert_allclose(result.risk_first_passage[lr], arrived.mean(), rtol=1e-14)
        np.testing.assert_allclose(
            result.risk_first_passage_sem[lr], arrived.std(ddof=1) / np.sqrt(arrived.size), rtol=1e-12
        )
        np.testing.assert_allclose(result.risk_first_passage_missed[lr], missed[lr].mean(), atol=1e-15)
        ordered = np.sort(np.where(missed[lr], np.inf, first))
        np.testing.assert_array_equal(result.risk_first_passage_quantiles[lr], ordered[[24, 49, 74]])
    assert result.probability.values.tolist() == [0.25, 0.5, 0.75]
    # The start is a record too, and 10 is above every norm.
    np.testing.assert_array_equal(result.weight_norm_first_passage, 0.0)
    np.testing.assert_array_equal(result.weight_norm_first_passage_missed, 0.0)
    assert "risk" not in result
    assert json.loads(result.attrs["first_passage"]) == {"risk": target, "weight_norm": 10.0}


def test_a_target_that_no_replica_reaches() -> None:
    result = run(first_passage={"risk": 0.0}, quantiles=[0.5])
    assert np.isnan(result.risk_first_passage).all()
    np.testing.assert_array_equal(result.risk_first_passage_missed, 1.0)
    np.testing.assert_array_equal(result.risk_first_passage_quantiles, np.inf)


def test_a_diverged_replica_never_arrives() -> None:
    values = np.array([[3.0, 3.0, 3.0], [np.nan, np.inf, 0.5], [np.nan, 0.1, 0.1]])
    assert first_reached(values, [0, 10, 20], 1.0).tolist() == [np.inf, 20.0, 10.0]
    found = passage_arrays("risk", first_reached(values, [0, 10, 20], 1.0), (0.5, 0.9))
    assert float(found["risk_first_passage"][1]) == 15.0
    assert float(found["risk_first_passage_missed"][1]) == pytest.approx(1 / 3)
    assert found["risk_first_passage_quantiles"][1].tolist() == [20.0, np.inf]


def test_without_noise_the_passage_is_the_prediction_s() -> None:
    quiet = em.NoisyQuadratic(curvature=[1.0], noise=0.0)
    optimizer = em.SGD(lr=[0.03, 0.1])
    seen = run(quiet, optimizer, steps=200, record=em.every(1), first_passage={"risk": 1e-3}, replicas=3)
    expected = em.steps_to_target(quiet, optimizer, 1e-3)
    np.testing.assert_array_equal(seen.risk_first_passage, expected)
    np.testing.assert_array_equal(seen.risk_first_passage_sem, 0.0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("cells", "work"), [(1, 64 * 3 * 2), (64 * 3 * 2, 1), (64 * 3, 64 * 3 * 5)])
def test_blocks_of_any_size_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, backend: str, cells: int, work: int
) -> None:
    settings = {
        "backend": backend, "quantiles": SHARES, "trajectories": [30, 70, 71, 129],
        "first_passage": {"rotation": 0.02, "risk": 0.1}, "observables": ("risk", "weight_norm"),
    }  # fmt: skip
    whole = run(**settings)
    engine = Reference if backend == "reference" else Native
    monkeypatch.setattr(engine, "cells_per_block", cells)
    monkeypatch.setattr(engine, "work_per_call", work)
    monkeypatch.setattr(runs, "SNAPSHOTS", 64 * 3 * 3)
    assert same_result(run(**settings), whole)


def test_no_variable_is_an_attribute_of_a_dataset() -> None:
    result = run(
        quantiles=SHARES, trajectories=[30], first_passage={"risk": 0.1}, lags=[0, 1], observables=PROBLEM.observables
    )
    names = [*map(str, result.data_vars), *map(str, result.coords)]
    assert not [name for name in names if hasattr(xr.Dataset, name)]
    plain = run(observables=PROBLEM.observables)
    for name in plain:
        np.testing.assert_array_equal(result[name], plain[name])


ERRORS = [
    ({"quantiles": [1.5]}, ValueError, r"quantiles must be a list of probabilities in \[0, 1\], got \[1.5\]"),
    ({"quantiles": ["half"]}, ValueError, "quantiles must be a list of probabilities"),
    ({"quantiles": [0.5], "observables": "weight_mean"}, ValueError, "quantiles are of observables with one number"),
    ({"trajectories": [29]}, ValueError, r"trajectories must be a list of replica numbers in 30…129, got \[29\]"),
    ({"trajectories": [30.0]}, ValueError, "trajectories must be a list of replica numbers"),
    ({"first_passage": 0.1}, TypeError, "first_passage must map observables to targets"),
    ({"first_passage": {}}, TypeError, "first_passage must map observables to targets"),
    ({"first_passage": {"riks": 0.1}}, ValueError, "observables of NoisyQuadratic must be one of 'risk'"),
    ({"first_passage": {"weight_mean": 0.1}}, ValueError, "one number per replica, got 'weight_mean'"),
    ({"first_passage": {"risk": np.inf}}, ValueError, r"first_passage\['risk'\] must be finite, got inf"),
    ({"first_passage": {"risk": [0.1, 0.2]}}, TypeError, r"first_passage\['risk'\] must be a number"),
]


@pytest.mark.parametrize(("settings", "error", "message"), ERRORS)
def test_a_bad_request_is_refused_with_the_reason(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(**settings)


@pytest.mark.parametrize(
    "asked", [{"quantiles": [0.5]}, {"first_passage": {"risk": 0.1}}, {"trajectories": [64]}], ids=str
)
def test_combine_refuses_what_it_cannot_join(asked: dict[str, Any]) -> None:
    first, second = run(replicas=range(64, 128), **asked), run(replicas=range(128, 192))
    with pytest.raises(ValueError, match="combine joins means and variances, and cannot join"):
        em.combine(first, second)
