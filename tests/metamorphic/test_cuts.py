"""How a request is cut into blocks, and in what order its points and replicas come, changes no bit of the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory import records
from ematheory.results import same_result
from ematheory.simulation import observables, runs
from ematheory.simulation.backends import Native
from ematheory.simulation.blocks import calls, layout, point_blocks, replica_block
from ematheory.simulation.clock import at_points
from ematheory.simulation.reference import Reference

PROBLEM = em.NoisyQuadratic(curvature=1 / np.arange(1, 71), optimum=0.3, batch_size=[1.0, 4.0])
OPTIMIZER = em.AdamW(lr=[0.01, 0.03], weight_decay=[0.0, 0.5, 1.0], betas=(0.9, 0.95))
BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]


def run(problem: Any = PROBLEM, optimizer: Any = OPTIMIZER, **settings: Any) -> xr.Dataset:
    given = {"steps": 13, "replicas": range(30, 230), "record": em.every(3), "observables": problem.observables}
    return em.simulate(problem, optimizer, schedule=em.Cosine(warmup_steps=3), **{**given, **settings})


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("cells", "work"), [(1, 64 * 70 * 5), (64 * 70 * 3, 1), (64 * 70 * 12 * 2, 64 * 70 * 5)])
def test_blocks_of_any_size_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, backend: str, cells: int, work: int
) -> None:
    whole = run(backend=backend)
    engine = Reference if backend == "reference" else Native
    monkeypatch.setattr(engine, "cells_per_block", cells)
    monkeypatch.setattr(engine, "work_per_call", work)
    monkeypatch.setattr(runs, "SNAPSHOTS", 64 * 70 * 3)
    monkeypatch.setattr(observables, "TEMPORARY", 64 * 70 * 2 - 7)
    assert same_result(run(backend=backend), whole)


@pytest.mark.parametrize("record", [[13], [0], [0, 1, 2], [5, 6, 7, 12], range(14)])
def test_what_is_recorded_changes_no_recorded_value(record: Any) -> None:
    every = run(record=range(14))
    some = run(record=record)
    picked = every.sel(step=list(record))
    xr.testing.assert_equal(some.drop_attrs(), picked.drop_attrs())


def test_what_is_observed_changes_no_other_observable() -> None:
    whole = run()
    for name in PROBLEM.observables:
        np.testing.assert_array_equal(run(observables=(name,))[name], whole[name])


def test_the_order_of_points_does_not_matter() -> None:
    forward = run(optimizer=em.AdamW(lr=[0.01, 0.03, 0.02]))
    backward = run(optimizer=em.AdamW(lr=[0.02, 0.03, 0.01]))
    xr.testing.assert_equal(forward.drop_attrs(), backward.sel(lr=[0.01, 0.03, 0.02]).drop_attrs())


def test_common_random_numbers_give_two_equal_points_equal_runs() -> None:
    case = {"case": [0.0, 1.0]}
    twice = em.SGD(lr=xr.DataArray([0.1, 0.1], coords=case))
    common = run(em.RandomWalk(size=5), twice, random_numbers="common").weight_mean
    apart = run(em.RandomWalk(size=5), twice, random_numbers="independent").weight_mean
    np.testing.assert_array_equal(common[0], common[1])
    assert not np.array_equal(apart[0, -1], apart[1, -1])
    # Point 0 has the same numbers either way.
    np.testing.assert_array_equal(apart[0], common[0])


def test_independent_random_numbers_are_uncorrelated_between_points() -> None:
    case = {"case": np.arange(2.0)}
    walk = em.RandomWalk(size=2000)
    result = em.simulate(
        walk, em.SGD(lr=xr.DataArray([1.0, 1.0], coords=case)), steps=1, record=[1], replicas=1,
        observables=("weight_mean",), random_numbers="independent",
    )  # fmt: skip
    first, second = result.weight_mean.values[:, 0]
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(2000)


def test_seeds_and_replicas_give_other_noise() -> None:
    one = run(seed=0, replicas=range(0, 2)).risk
    assert not np.array_equal(one[..., -1], run(seed=1, replicas=range(0, 2)).risk[..., -1])
    assert not np.array_equal(one[..., -1], run(seed=0, replicas=range(2, 4)).risk[..., -1])


def test_a_longer_problem_extends_a_shorter_one() -> None:
    """A coordinate's noise does not depend on how many others there are."""
    settings = {"observables": ("weight_mean",), "steps": 9, "record": [9], "replicas": 3}
    few = em.simulate(em.RandomWalk(size=3), em.AdamW(lr=0.1), **settings).weight_mean
    many = em.simulate(em.RandomWalk(size=9), em.AdamW(lr=0.1), **settings).weight_mean
    np.testing.assert_array_equal(few, many[:, :3])


@pytest.mark.parametrize("points", [1, 2, 5, 12])
def test_a_block_of_points_is_a_slice_of_the_flattened_records(points: int) -> None:
    over = records.grid(OPTIMIZER, PROBLEM)
    for record in (OPTIMIZER, PROBLEM):
        whole = records.flattened(record, over)
        for block in point_blocks(over.points, points):
            part = at_points(record, over, block)
            for name, value in vars(whole).items():
                if isinstance(value, np.ndarray):
                    here = np.broadcast_to(getattr(part, name), value[block].shape)
                    np.testing.assert_array_equal(here, value[block])


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("longest", [1, 4, 100])
@pytest.mark.parametrize("snapshots", [2, 3, 100])
@pytest.mark.parametrize("record", [[0], [20], [0, 20], [3, 4, 5, 17], list(range(21))])
def test_calls_cover_every_step_and_record_once(record: list[int], snapshots: int, longest: int, pairs: bool) -> None:
    wanted = np.array(record)
    done, place = 0, 0
    for call in calls(wanted, longest, snapshots, pairs):
        assert call.first == done
        assert call.last - call.first <= longest
        assert call.records.start == place
        assert len(call.at) <= snapshots
        assert (np.diff(call.at) > 0).all()
        steps = call.first + call.at[call.now]
        assert steps.tolist() == record[call.records]
        if pairs:
            assert (call.first + call.at[call.before]).tolist() == [max(step - 1, 0) for step in steps.tolist()]
        done, place = call.last, call.records.stop
    assert (done, place) == (record[-1], len(record))


@pytest.mark.parametrize("points", [1, 7, 1000])
@pytest.mark.parametrize("replicas", [1, 64, 65, 1000])
@pytest.mark.parametrize("d", [1, 130, 10**6])
def test_a_block_is_bounded_or_one_leaf_of_one_point(points: int, replicas: int, d: int) -> None:
    cells = 2**17
    cut = layout(points, replicas, d, cells)
    size = cut.points * min(cut.replicas, replicas) * d
    assert size <= cells or (cut.points == 1 and cut.level == 0)


def test_replica_blocks_cover_the_range_in_aligned_pieces() -> None:
    replicas = range(100, 400)
    blocks = [replica_block(replicas, 128, number) for number in range(0, 4)]
    assert blocks == [range(100, 128), range(128, 256), range(256, 384), range(384, 400)]
