"""Diverged replicas: infinite or NaN in whatever is measured of them, and without a trace in any other replica."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.prediction.stability import UnstableWarning
from ematheory.simulation.autocovariance import AUTOCOVARIANCE, Lagged, estimates
from ematheory.simulation.distributions import quantiles
from ematheory.simulation.histograms import weight_counts
from ematheory.simulation.observables import COORDINATES, SCALARS, Recorded, measure, replica_values, scalar_moments
from ematheory.simulation.reductions import Moments, joined, replica_moments
from ematheory.simulation.statistics import mean_error

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
REPLICAS, D, SICK = 70, 5, (3, 66)
BAD = {"inf": np.inf, "minus inf": -np.inf, "nan": np.nan}


class Coefficients(NamedTuple):
    """What the risk needs."""

    curvature: Any
    optimum: Any


def recorded(value: float | None = None, both: bool = False, everywhere: bool = False) -> Recorded:
    """One record of 70 replicas, of which two have the value in one coordinate (or all), and before that if `both`."""
    random = np.random.default_rng(5)
    arrays = {name: random.normal(size=(1, 1, REPLICAS, D)) for name in ("weights", "previous", "m", "v")}
    if value is not None:
        for name, array in arrays.items():
            if name != "previous" or both:
                array[0, 0, SICK, slice(None) if everywhere else 2] = value
    return Recorded(
        arrays["weights"], 0, Coefficients(np.ones((1, 1, D)), np.zeros((1, 1, D))), arrays["previous"],
        decay=np.full((1, 1), 0.1), lr=np.full((1, 1), 0.5), matched="matched_lr",
        buffers={"first_moment": arrays["m"], "second_moment": arrays["v"]},
    )  # fmt: skip


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", SCALARS)
def test_it_is_in_the_mean_and_in_no_other_replica(name: str, bad: str, both: bool, everywhere: bool) -> None:
    values = replica_values(name, recorded(BAD[bad], both, everywhere))[0, 0]
    others = np.delete(values, SICK)
    np.testing.assert_array_equal(others, np.delete(replica_values(name, recorded())[0, 0], SICK))
    moments = scalar_moments(values[None, None], 0)
    if name == "diverged":
        assert values[list(SICK)].tolist() == [1.0, 1.0]
        assert float(moments.mean[0, 0]) == pytest.approx(2 / REPLICAS)
        return
    # Effective rates are of the weights one step before, and are not touched by what comes after.
    if name.startswith("effective") and not both:
        return
    assert not np.isfinite(values[list(SICK)]).any()
    assert not np.isfinite(moments.mean).any()
    with np.errstate(all="ignore"):
        assert np.isnan(mean_error(moments)).all()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", SCALARS)
def test_groups_without_it_do_not_feel_it(name: str, bad: str) -> None:
    sick = replica_values(name, recorded(BAD[bad], both=True), groups=(2, 2, 1))
    well = replica_values(name, recorded(), groups=(2, 2, 1))
    if sick.ndim == 4:
        np.testing.assert_array_equal(sick[..., [0, 2]], well[..., [0, 2]])
        assert not np.isfinite(sick[0, 0, SICK, 1]).any()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", COORDINATES)
def test_other_coordinates_do_not_feel_it(name: str, bad: str) -> None:
    with np.errstate(all="ignore"):
        sick, well = measure(name, recorded(BAD[bad])), measure(name, recorded())
        errors = mean_error(sick)[0, 0]
    assert not np.isfinite(sick.mean[0, 0, 2])
    assert np.isnan(errors[2])
    np.testing.assert_array_equal(np.delete(sick.mean, 2, -1), np.delete(well.mean, 2, -1))
    assert np.isfinite(np.delete(errors, 2)).all()


@pytest.mark.parametrize("cut", range(1, 8))
@pytest.mark.parametrize("bad", BAD)
def test_a_mean_is_as_infinite_wherever_the_replicas_are_cut(bad: str, cut: int) -> None:
    values = np.arange(8.0)
    values[3] = BAD[bad]
    with np.errstate(all="ignore"):
        parts = joined(replica_moments(values[:cut], 0), replica_moments(values[cut:], cut))
        np.testing.assert_array_equal(parts.mean, BAD[bad])
        np.testing.assert_array_equal(replica_moments(values, 0).mean, BAD[bad])
        opposite = joined(parts, Moments(1, np.array(-np.inf), np.zeros(3)))
    assert np.isnan(opposite.mean) == (bad != "minus inf")


def test_quantiles_and_counts_leave_the_other_replicas_where_they_are() -> None:
    for bad, place in (("inf", 1), ("minus inf", 0), ("nan", 2)):
        of = recorded(BAD[bad]).weights
        counts = weight_counts(of, np.array([-9.0, 9.0]), ()).counts[0, 0]
        assert counts[0] == REPLICAS * D - len(SICK)
        assert counts[1 + place] == len(SICK)
        found, _ = quantiles(np.abs(of[0, 0, :, 2]), (0.5, 1.0))
        assert np.isfinite(found[0])
        assert not np.isfinite(found[1])


@pytest.mark.parametrize("bad", BAD)
def test_an_autocovariance_with_it_is_no_number(bad: str) -> None:
    lagged = Lagged(np.array([0, 5]), (5,), 0)
    lagged.keep([0], recorded().weights)
    with np.errstate(all="ignore"):
        value, table = estimates(lagged.moments([5], recorded(BAD[bad]).weights), 1, range(REPLICAS))
    assert np.isnan(value).all()
    assert np.isnan(table).all()


def explode(lr: Any, backend: str, dtype: str, **settings: Any) -> xr.Dataset:
    """SGD on h = 10 is stable up to lr = 0.2."""
    with pytest.warns(UnstableWarning) if np.max(lr) > 0.2 else np.errstate():
        return em.simulate(
            em.NoisyQuadratic(curvature=[10.0, 10.0, 1.0], noise=0.1), em.SGD(lr=lr, momentum=0.1), steps=400,
            record=[0, 399, 400], replicas=10, backend=backend, dtype=dtype, **settings,
        )  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_point_that_diverges_leaves_the_others_alone(backend: str, dtype: str) -> None:
    """Every observable of a whole run: lr = 1 grows by 9 a step, to infinity and then to NaN."""
    names = (
        "risk", "weight_norm", "rotation", "update_cosine", "update_norm", "update_ratio", "effective_learning_rate",
        "weight_mean", "weight_variance", "weight_mean_square", "weight_second_moment", "diverged",
    )  # fmt: skip
    asked: dict[str, Any] = {
        "observables": names, "quantiles": [0.5], "lags": [0, 1], "first_passage": {"risk": 0.2},
        "histogram": {"weight_norm": [0, 1, 2]}, "trajectories": [2],
    }  # fmt: skip
    both, alone = explode([0.05, 5.0], backend, dtype, **asked), explode([0.05], backend, dtype, **asked)
    xr.testing.assert_identical(both.isel(lr=[0]).drop_attrs(), alone.drop_attrs())
    end = both.isel(lr=1, step=-1)
    assert float(end.diverged) == 1.0
    assert float(both.diverged[1, 0]) == 0.0
    for name in names[:-1]:
        values = end[name].values
        assert not np.isfinite(values[..., :2] if values.ndim else values).any(), name
        assert np.isnan(end[name + "_sem"].values[..., :2] if values.ndim else end[name + "_sem"]).all(), name
    assert not np.isfinite(end.weight_norm_quantiles).any()
    assert np.isnan(end[AUTOCOVARIANCE]).all()
    assert end.weight_norm_histogram.values.tolist() == [0, 0]
    assert int(end.weight_norm_histogram_outside.sum()) == 10
    assert float(both.risk_first_passage_missed[1]) == 1.0
