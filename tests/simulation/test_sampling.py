"""Sampled features and data sets: the gradients they give, the orders they come in, and what changes no bit of them."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import chi2

import ematheory as em
from ematheory.results import same_result
from ematheory.simulation import arrays, runs
from ematheory.simulation.normal import normals
from ematheory.simulation.reference import Reference
from ematheory.simulation.sampling import Items

FALSE_ALARMS = 1e-6
REGRESSION = em.LinearRegression([1.0, 0.5, 0.2], label_noise=0.5, optimum=[0.3, -1, 2], batch_size=[2, 5])
DATA = em.ReshuffledData([1.0, 0.5], size=12, noise=1.0, optimum=0.3, batch_size=[1, 4])
ANEW = em.ReshuffledData([1.0, 0.5], size=12, noise=1.0, optimum=0.3, batch_size=[1, 4], sampling="replaced")


def items_of(problem: em.ReshuffledData, replicas: int, seed: int = 0) -> Items:
    batches = np.array([int(problem.batch_size)])
    return Items(problem, seed, range(replicas), 1, np.zeros(1, np.int64), batches, np.dtype(np.float64))


def orders(size: int, replicas: int, epoch: int = 0) -> np.ndarray:
    return items_of(em.ReshuffledData(1.0, size=size), replicas).order(epoch, 0)


def assert_uniform(counts: np.ndarray) -> None:
    expected = counts.sum() / counts.size
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < chi2.isf(FALSE_ALARMS, counts.size - 1)


@pytest.mark.parametrize("size", [4, 8, 64])
def test_every_item_is_as_often_at_every_place_and_every_pair_in_a_row(size: int) -> None:
    replicas = 40 * size * size
    seen = orders(size, replicas)
    assert (np.sort(seen, axis=1) == np.arange(size)).all()
    for place in (0, 1, size // 2, size - 1):
        assert_uniform(np.bincount(seen[:, place], minlength=size))
    pairs = np.bincount(seen[:, 0] * size + seen[:, 1], minlength=size * size).reshape(size, size)
    assert (np.diag(pairs) == 0).all()
    assert_uniform(pairs[~np.eye(size, dtype=bool)])


def test_all_orders_of_four_items_are_as_likely_and_epochs_are_independent() -> None:
    names = {order: place for place, order in enumerate(permutations(range(4)))}
    first, second = (np.array([names[tuple(row)] for row in orders(4, 60_000, epoch)]) for epoch in (0, 1))
    assert_uniform(np.bincount(first, minlength=24))
    assert_uniform(np.bincount(first * 24 + second, minlength=576))


def test_items_with_replacement_are_drawn_alike() -> None:
    items = items_of(em.ReshuffledData(1.0, size=8, sampling="replaced", batch_size=2), 20_000)
    drawn = items.items(3, 2, 0)
    assert_uniform(np.bincount(drawn[:, 0] * 8 + drawn[:, 1], minlength=64))


def test_an_epoch_takes_each_item_once_whatever_the_batch() -> None:
    for batch in (1, 3, 4):
        items = items_of(em.ReshuffledData(1.0, size=12, batch_size=batch), 5)
        seen = np.concatenate([items.items(step, batch, 0) for step in range(12 // batch)], axis=1)
        np.testing.assert_array_equal(seen, items.order(0, 0))


def test_a_batch_is_the_mean_of_its_items_which_stay_the_same_over_epochs() -> None:
    items = items_of(em.ReshuffledData(1.0, size=6, batch_size=3), 4)
    values = np.stack([items.data(np.full(4, item), 0)[:, 0] for item in range(6)], axis=1)
    for step in range(6):
        rows = np.take_along_axis(values, items.items(step, 3, 0), axis=1)
        np.testing.assert_allclose(items.at(step)[0, :, 0], rows.mean(axis=1), rtol=1e-14)


def test_a_regression_gradient_is_that_of_its_samples() -> None:
    """Against least squares on the very features and labels, with the larger batch extending the smaller."""
    weight = np.random.default_rng(0).normal(size=(1, 7, 3))
    drawn = normals(5, range(1), range(20), range(7))[0]  # five samples of three features and a label
    problem = em.LinearRegression([1.0, 0.5, 0.2], label_noise=0.5, optimum=[0.3, -1, 2], batch_size=3)
    c = problem.Coefficients(*(np.broadcast_to(value, (1, 1, 3)) for value in problem.coefficients(np)))
    gradient = problem.gradient(arrays, weight, drawn[None].astype(float), c)
    for replica in range(7):
        samples = drawn[replica].astype(float).reshape(5, 4)[:3]
        features = samples[:, :3] * np.sqrt([1.0, 0.5, 0.2])
        labels = features @ [0.3, -1, 2] + 0.5 * samples[:, 3]
        by_hand = features.T @ (features @ weight[0, replica] - labels) / 3
        np.testing.assert_allclose(gradient[0, replica], by_hand, rtol=1e-12)


@pytest.mark.parametrize("problem", [REGRESSION, DATA, ANEW])
@pytest.mark.parametrize("optimizer", [em.SGD(lr=0.1), em.SGD(lr=0.05, momentum=0.8, weight_decay=0.1, decay="per_lr")])
def test_it_shows_what_is_predicted(problem, optimizer) -> None:
    run = {"steps": 40, "schedule": em.Cosine(), "record": [1, 5, 12, 20, 40]}
    names = [name for name in problem.observables if name not in ("weight_norm", "rotation", "update_cosine")]
    measured = em.simulate(problem, optimizer, **run, observables=names, replicas=2048, seed=3)
    predicted = em.predict(problem, optimizer, **run, observables=names)
    for name in names:
        z = (measured[name] - predicted[name]) / measured[f"{name}_sem"]
        assert float(abs(z).max()) < 5.5, name


@pytest.mark.parametrize("problem", [REGRESSION, DATA, ANEW])
@pytest.mark.parametrize("random_numbers", ["common", "independent"])
def test_no_cut_changes_a_bit(monkeypatch: pytest.MonkeyPatch, problem, random_numbers: str) -> None:
    optimizer = em.SGD(lr=[0.05, 0.1], momentum=0.5)
    given = {"steps": 30, "record": em.every(4), "random_numbers": random_numbers, "seed": 9}
    whole = em.simulate(problem, optimizer, replicas=200, **given)
    parts = [em.simulate(problem, optimizer, replicas=some, **given) for some in (range(128), range(128, 200))]
    xr.testing.assert_allclose(em.combine(*parts), whole, rtol=1e-12)
    monkeypatch.setattr(Reference, "cells_per_block", 64)
    monkeypatch.setattr(Reference, "work_per_call", 64 * 9)
    monkeypatch.setattr(runs, "SNAPSHOTS", 64 * 9)
    assert same_result(em.simulate(problem, optimizer, replicas=200, **given), whole)


def test_points_share_their_numbers_or_do_not() -> None:
    problem = em.ReshuffledData(1.0, size=8, batch_size=xr.DataArray([2, 2], dims="twin"))
    for numbers, equal in (("common", True), ("independent", False)):
        risk = em.simulate(problem, em.SGD(lr=0.1), steps=9, replicas=64, random_numbers=numbers).risk[:, -1]
        assert (float(risk[0]) == float(risk[1])) is equal


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: em.LinearRegression(1.0, batch_size=1.5), "batch_size must be whole"),
        (lambda: em.LinearRegression(1.0, batch_size=0), "batch_size must be finite and >= 1"),
        (lambda: em.LinearRegression(-1.0), "curvature must be"),
        (lambda: em.LinearRegression([1.0, 2.0], optimum=[1.0, 2.0, 3.0]), "one length"),
        (lambda: em.ReshuffledData(1.0, size=10, batch_size=[5, 4]), "batch_size must divide size=10"),
        (lambda: em.ReshuffledData(1.0, size=0), "size must be"),
        (lambda: em.ReshuffledData(1.0, size=4, sampling="sorted"), "sampling must be one of"),
        (lambda: em.ReshuffledData(1.0, size=4, noise="h"), "noise must be one of"),
    ],
)
def test_wrong_records_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.skipif(not em.isas(), reason="the native engine was not built (no compiler)")
@pytest.mark.parametrize("sampling", ["reshuffled", "replaced"])
@pytest.mark.parametrize(("size", "batches"), [(1, [1]), (4, [1, 4]), (60, [1, 20]), (1000, [1, 8])])
def test_the_native_engine_draws_the_same_items(size: int, batches: list[int], sampling: str) -> None:
    """Batches of several sizes, calls that begin in mid-epoch, and many epochs."""
    data = em.ReshuffledData([1.0, 0.1], size=size, noise=1.0, batch_size=batches, sampling=sampling)
    run: dict[str, Any] = dict(steps=130, record=em.every(7), observables=data.observables, replicas=range(5, 40))
    for numbers in ("common", "independent"):
        both = [
            em.simulate(data, em.SGD(lr=0.1), **run, random_numbers=numbers, backend=backend)
            for backend in ("reference", "cpu")
        ]
        assert both[0].equals(both[1])
