"""Autocovariances at lags: against single replicas' trajectories, their errors against repeated runs, and the fit."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.results import same_result
from ematheory.simulation import observables, runs
from ematheory.simulation.autocovariance import kept_at_once, sources
from ematheory.simulation.backends import Native
from ematheory.simulation.reference import Reference

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
PROBLEM = em.NoisyQuadratic(curvature=[1.0, 0.5, 0.1], noise=0.1)
OPTIMIZER = em.AdamW(lr=[0.01, 0.1], weight_decay=1.0)
LAGS = [0, 1, 3, 7]
# On a random walk with per-LR decay the autocovariance falls by 1 − ηλ = 0.95 a step.
WALK_OPTIMIZER = em.SGD(lr=0.1, weight_decay=0.5, decay="per_lr")
WALK_TIMESCALE = -1 / np.log(0.95)


def run(**settings: Any) -> xr.Dataset:
    given = {"steps": 12, "record": [0, 3, 7, 8, 12], "lags": LAGS, "replicas": range(30, 130), **settings}
    return em.simulate(PROBLEM, OPTIMIZER, **given)


def cases(count: int) -> xr.DataArray:
    """The same learning rate so many times, along one axis: with independent random numbers, repeated experiments."""
    return xr.DataArray(np.full(count, 0.1), coords={"case": np.arange(count)})


def products_by_hand(paths: Any, step: int, leaves: list[list[int]]) -> np.ndarray[Any, Any]:
    """The mean over coordinates of the products of deviations, (points, replicas, lags), from (…, every step, d)."""
    found = np.full((*paths.shape[:2], len(LAGS)), np.nan)
    for leaf, (column, lag) in product(leaves, enumerate(LAGS)):
        if step >= lag:
            now, then = (paths[:, leaf, at] - paths[:, leaf, at].mean(1, keepdims=True) for at in (step, step - lag))
            found[:, leaf, column] = (now * then).mean(-1)
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("replicas", [range(30, 130), range(64), range(3)])
@pytest.mark.parametrize("groups", [None, [2, 1]])
def test_it_is_the_covariance_within_leaves_of_64(groups: Any, replicas: range, backend: str) -> None:
    """Over all coordinates, or of each group over its own."""
    result = run(backend=backend, replicas=replicas, groups=groups)
    paths = run(replicas=replicas, record=em.every(1), trajectories=list(replicas), lags=None).trajectory.values
    leaves = [[number - replicas.start for number in replicas if number // 64 == leaf] for leaf in range(3)]
    leaves = [leaf for leaf in leaves if leaf]
    assert result.autocovariance.dims == ("lr", "step", *(["group"] if groups else []), "lag")
    for place, step in enumerate(result.step.values):
        for number, own in enumerate([slice(2), slice(2, 3)] if groups else [slice(3)]):
            of_group = result.isel(step=place, **({"group": number} if groups else {}))
            check(of_group, products_by_hand(paths[..., own], step, leaves), len(replicas) - len(leaves))


def check(result: xr.Dataset, products: np.ndarray[Any, Any], free: int) -> None:
    """One record's autocovariances and their errors, (points, lags, …), from each replica's products."""
    count = products.shape[1]
    np.testing.assert_allclose(result.autocovariance, products.sum(1) / free, rtol=1e-9, atol=1e-18)
    spread = np.array([np.cov(each.T, ddof=1) for each in products])
    factor = count * (count - 1) / (free**2 * (free - 1))
    scale = np.nanmax(np.abs(spread), initial=0) * factor
    errors = result.autocovariance_error_covariance
    np.testing.assert_allclose(errors, spread * factor, rtol=1e-6, atol=1e-9 * scale)
    np.testing.assert_array_equal(result.autocovariance_sem, np.sqrt(np.diagonal(errors, axis1=1, axis2=2)))


def test_one_group_of_everything_is_the_whole_vector() -> None:
    whole, one = run(), run(groups=3)
    for name in whole:
        np.testing.assert_array_equal(
            one[name].squeeze("group", drop=True) if "group" in one[name].dims else one[name], whole[name]
        )


def test_the_timescale_of_a_group_is_that_of_its_curvature() -> None:
    """Two curvatures, which leave a residual together, are an exponential each."""
    problem = em.NoisyQuadratic(curvature=np.repeat([1.0, 0.1], 50), noise=1.0)
    seen = em.simulate(
        problem, em.SGD(lr=0.1), steps=600, record=[600], lags=[0, 2, 5, 10], replicas=256, groups=50
    ).isel(step=0)  # fmt: skip
    found = em.autocorrelation_timescale(seen)
    assert found.timescale_steps.dims == ("group",)
    expected = -1 / np.log1p(-0.1 * np.array([1.0, 0.1]))
    assert (found.timescale_steps_low < expected).all()
    assert (found.timescale_steps_high > expected).all()
    assert (found.timescale_steps_high - found.timescale_steps_low < 0.5 * expected).all()
    assert float(found.largest_residual.max()) < 5


def test_lag_0_of_one_leaf_is_the_mean_variance() -> None:
    result = run(replicas=64, observables="weight_variance")
    np.testing.assert_allclose(result.autocovariance.sel(lag=0), result.weight_variance.mean("coordinate"), rtol=1e-12)


def test_lags_change_nothing_else() -> None:
    names = PROBLEM.observables
    with_lags, without = run(observables=names), run(observables=names, lags=None)
    for name in without:
        np.testing.assert_array_equal(with_lags[name], without[name])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("groups", [None, [2, 1]])
@pytest.mark.parametrize(("cells", "work"), [(1, 64 * 3 * 2), (64 * 3 * 2, 1), (64 * 3, 64 * 3 * 5)])
def test_blocks_of_any_size_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, backend: str, cells: int, work: int, groups: Any
) -> None:
    settings = {"observables": ("risk", "rotation", "second_moment_mean"), "backend": backend, "groups": groups}
    whole = run(**settings)
    engine = Reference if backend == "reference" else Native
    monkeypatch.setattr(engine, "cells_per_block", cells)
    monkeypatch.setattr(engine, "work_per_call", work)
    monkeypatch.setattr(runs, "SNAPSHOTS", 64 * 3 * 3)
    monkeypatch.setattr(runs, "KEPT", 64 * 3 * 2)
    monkeypatch.setattr(observables, "TEMPORARY", 200)
    assert same_result(run(**settings), whole)


def test_weights_are_kept_no_longer_than_needed() -> None:
    record = np.array([0, 10, 20, 30])
    assert sources(record, (0, 5, 10)) == {0: 10, 10: 20, 5: 10, 20: 30, 15: 20, 30: 30, 25: 30}
    assert kept_at_once(sources(record, (1, 2))) == 2
    assert kept_at_once(sources(np.arange(100), (20,))) == 21
    assert kept_at_once(sources(record, ())) == 0


@pytest.mark.parametrize("replicas", [4, 70])
def test_the_errors_are_the_spread_of_repeated_experiments(replicas: int) -> None:
    """Also with few replicas, and 70 in leaves of 64 and 6."""
    count, lags = 2000, [0, 5]
    seen = em.simulate(
        em.RandomWalk(size=2), em.SGD(lr=cases(count), weight_decay=0.5, decay="per_lr"), steps=40, record=[40],
        lags=lags, replicas=replicas, random_numbers="independent",
    ).isel(step=0)  # fmt: skip
    variance = 0.1**2 * (1 - 0.95 ** (2 * np.array([40, 35]))) / (1 - 0.95**2)
    expected = variance * [1, 0.95**5]
    spread = np.cov(seen.autocovariance.values.T)
    np.testing.assert_allclose(
        seen.autocovariance.mean("case"), expected, atol=5 * np.sqrt(np.diag(spread).max() / count)
    )
    # A variance from 2000 of them has a relative error of 3 % or a little more.
    np.testing.assert_allclose(seen.autocovariance_error_covariance.mean("case"), spread, rtol=0.15)


def test_the_fitted_timescale_is_the_walk_s_and_its_interval_covers_it() -> None:
    count = 300
    seen = em.simulate(
        em.RandomWalk(size=4), em.SGD(lr=cases(count), weight_decay=0.5, decay="per_lr"), steps=300, record=[300],
        lags=[0, 5, 10, 20, 40], replicas=128, random_numbers="independent",
    )  # fmt: skip
    found = em.autocorrelation_timescale(seen, level=0.9).isel(step=0)
    assert found.timescale_steps.dims == ("case",)
    covered = int(((found.timescale_steps_low < WALK_TIMESCALE) & (found.timescale_steps_high > WALK_TIMESCALE)).sum())
    # 270 of 300 expected, with a standard deviation of 5.2.
    assert 250 <= covered <= 290
    assert float(found.timescale_steps.median()) == pytest.approx(WALK_TIMESCALE, rel=0.03)
    assert float(found.largest_residual.max()) < 5


def test_two_timescales_leave_a_residual() -> None:
    problem = em.NoisyQuadratic(curvature=[1.0, 0.02], noise=[0.5, 0.01])
    seen = em.simulate(problem, em.SGD(lr=0.1), steps=3000, record=[3000], lags=[0, 2, 5, 20, 100, 300], replicas=4096)
    assert float(em.autocorrelation_timescale(seen).largest_residual[0]) > 5


def test_a_record_before_the_lags_has_no_timescale() -> None:
    found = em.autocorrelation_timescale(run(lags=[1, 3]))
    assert np.isnan(found.timescale_steps.sel(step=0)).all()
    assert np.isfinite(found.timescale_steps.sel(step=12)).all()


BAD = [
    ({"lags": []}, "lags must be a list of whole numbers of steps in 0…12, got \\[\\]"),
    ({"lags": [1.5]}, "lags must be a list of whole numbers"),
    ({"lags": [13]}, "lags must be a list of whole numbers of steps in 0…12"),
    ({"lags": 3}, "lags must be a list"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_bad_lags_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(**settings)


def test_the_fit_needs_two_lags() -> None:
    for seen in (run(lags=[3]), run(lags=None)):
        with pytest.raises(ValueError, match="needs autocovariances at two lags or more"):
            em.autocorrelation_timescale(seen)
    with pytest.raises(TypeError, match="needs a Dataset of simulate"):
        em.autocorrelation_timescale(3)


def test_combine_refuses_autocovariances() -> None:
    with pytest.raises(ValueError, match="cannot join 'autocovariance'"):
        em.combine(run(replicas=range(64)), run(replicas=range(64, 128)))
