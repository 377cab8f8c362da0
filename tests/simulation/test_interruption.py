"""Ctrl-C in a simulation: it is answered soon, leaves no thread, and what is recorded so far is there on request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from test_checkpoint import BACKENDS, counted, simulate, small

import ematheory as em
from ematheory.results import same_result, without_run
from ematheory.simulation.blocks import Layout
from ematheory.simulation.journal import Journal
from ematheory.simulation.nodes import Values

__all__ = ["small"]
START, STOP, STEPS = 30, 230, [0, 3, 6, 9, 12, 13]


def interrupted(number: int, **settings: Any) -> xr.Dataset:
    """What is returned when Ctrl-C comes after so many calls of the engine."""
    calls = iter(range(1, number + 1))

    def count(done: int, total: int) -> None:
        if next(calls) == number:
            raise KeyboardInterrupt

    return simulate(progress=count, partial=True, **settings)


def arrays_in(result: xr.Dataset) -> dict[str, tuple[tuple[str, ...], Any]]:
    """By name the dims after the sweep's, and the array with the points of the grid along its first axis."""
    swept = ("lr", "batch_size")
    return {
        str(name): (tuple(map(str, of.dims[2:])), of.values.reshape(-1, *of.shape[2:]))
        for name, of in result.data_vars.items()
        if of.dims[:2] == swept
    }


def assert_known(found: Any, wanted: Any, dims: tuple[str, ...], known: Any) -> None:
    """At one point: what is of known records is as wanted, the rest NaN; what is over all comes when a block ends."""
    if "step" not in dims:
        is_known = known.all() and not np.isnan(found).all()
        np.testing.assert_allclose(found, wanted if is_known else np.nan, rtol=1e-12, atol=1e-14)
        return
    found, wanted = (np.moveaxis(values, dims.index("step"), 0) for values in (found, wanted))
    np.testing.assert_allclose(found[known], wanted[known], rtol=1e-12, atol=1e-14)
    assert np.isnan(found[~known]).all()


def test_what_is_returned_is_that_of_the_replicas_and_records_that_are_done(small: None) -> None:
    """Each variable is that of the same call over the replicas done alone; cut at many places of a run."""
    chosen = {"trajectories": [31]}
    stops = (64, 128, 192, STOP)
    wholes = {stop - START: arrays_in(simulate(replicas=range(START, stop), **chosen)) for stop in stops}
    counts: set[tuple[int, ...]] = set()
    for number in range(1, len(counted(**chosen)[1]) + 1, 7):
        part = arrays_in(interrupted(number, **chosen))
        _, done = part.pop("replicas_done")
        assert set(part) == set(wholes[34])
        for point, row in enumerate(done):
            counts.add(tuple(sorted(set(row.tolist()))))
            assert (np.diff(row) <= 0).all()
            for name, (dims, values) in part.items():
                # Of a point that was not begun nothing is known, whatever it is compared with.
                assert_known(values[point], wholes[row.max() or 34][name][1][point], dims, row > 0)
    # Points that are done, begun with one, two and three blocks of replicas, in their first block's midst, untouched.
    assert {(200,), (34,), (98,), (162,), (0, 34), (0,)} <= counts


def test_it_says_so(small: None) -> None:
    part, whole = interrupted(20), simulate()
    assert part.attrs["interrupted"] == "true"
    assert {name: value for name, value in without_run(part).items() if name != "interrupted"} == without_run(whole)
    assert part.replicas_done.dims == ("lr", "batch_size", "step")
    assert part.replicas_done.dtype == np.int64
    rest = simulate(replicas=range(STOP, STOP + 20), trajectories=None)
    with pytest.raises(ValueError, match="combine needs whole results, and one of these is of an interrupted run"):
        em.combine(part, rest)


def test_a_run_to_the_end_is_what_it_always_was(small: None) -> None:
    assert same_result(simulate(partial=True), simulate())


def test_trajectories_that_have_not_run_are_nan(small: None) -> None:
    part = interrupted(14)
    first = part.isel(lr=0, batch_size=0)
    assert (first.replicas_done == 34).all()
    paths = first.trajectory
    assert np.isfinite(paths.sel(replica=31)).all()
    assert np.isnan(paths.sel(replica=150)).all()


def test_without_a_record_the_interrupt_is_raised(small: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(1, record=[13], lags=None)


def test_unless_asked_for_the_interrupt_is_raised(small: None, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    path = tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        simulate(progress=stop)
    with pytest.raises(KeyboardInterrupt):
        simulate(progress=stop, checkpoint=path)
    assert same_result(simulate(checkpoint=path), simulate())


def test_what_is_returned_may_be_gone_on_with(small: None, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    for number in (20, 30):
        part = interrupted(number, checkpoint=path, checkpoint_every=0)
        assert "interrupted" in part.attrs
        assert path.exists()
    assert same_result(simulate(checkpoint=path), simulate())


def test_other_errors_are_raised(small: None) -> None:
    with pytest.raises(ZeroDivisionError):
        simulate(partial=True, progress=lambda done, total: 1 // 0)


def node(value: float, replicas: int) -> dict[str, Any]:
    return {"risk": Values(np.full((1, 1, replicas), value))}


def shares(journal: Journal) -> list[tuple[range, range, list[float]]]:
    return [
        (share.points, share.replicas, np.unique(share.found["risk"].values).tolist())  # type: ignore[union-attr]
        for share in journal.in_progress(range(256))
    ]


def test_the_journal_is_true_between_any_two_of_its_entries() -> None:
    """An interrupt may come when a node is entered and its parts, or a block and its nodes, are still there."""
    journal = Journal(Layout(points=1, level=0))
    journal.begin(range(1), range(64), [])
    assert shares(journal) == []
    journal.begin(range(1), range(64), [node(0.0, 64)])
    assert shares(journal) == [(range(1), range(64), [0.0])]
    kept = journal.subtrees_of(range(1))
    kept[0, 0] = node(1.0, 64)
    assert shares(journal) == [(range(1), range(64), [1.0])]
    kept[0, 1] = node(2.0, 64)
    assert shares(journal) == [(range(1), range(128), [1.0, 2.0])]
    kept[1, 0] = node(3.0, 128)
    assert shares(journal) == [(range(1), range(128), [3.0])]
    journal.done[range(1)] = node(4.0, 256)
    assert shares(journal) == []
    assert journal.updates(range(256), 10) == 2560
    journal.subtrees_of(range(1, 2))
    assert shares(journal) == []


# --- Ctrl-C itself

CHILD = """
import os, signal, sys, threading, time
import numpy as np
import ematheory as em
# A parent that runs in the background may have had Ctrl-C ignored, which children inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
def tasks():
    return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0
problem, optimizer, settings = {run}
em.simulate(problem, optimizer, **{{**settings, "steps": 1, "record": [1]}})
before = tasks()
print("started", flush=True)
try:
    found = em.simulate(problem, optimizer, **settings)
    print(time.monotonic(), "returned", end=" ")
except KeyboardInterrupt:
    print(time.monotonic(), "raised", end=" ")
# A thread that has been joined may stay a moment in the kernel's list.
until = time.monotonic() + 10
while tasks() > before and time.monotonic() < until:
    time.sleep(0.01)
print(tasks() - before, threading.active_count(), flush=True)
"""
QUADRATIC = "em.NoisyQuadratic(curvature=1 / np.arange(1, {d} + 1)), em.AdamW(lr=1e-3)"
RUNS = {
    "one cell": (QUADRATIC.format(d=1), "'steps': 10**9, 'replicas': 1"),
    "a block": (QUADRATIC.format(d=10_000), "'steps': 10**9, 'replicas': 128"),
    "a wide block": (QUADRATIC.format(d=200_000), "'steps': 10**9, 'replicas': 64, 'dtype': 'float32'"),
    "dense records": (QUADRATIC.format(d=10_000), "'steps': 10**5, 'record': em.every(1), 'partial': True"),
    "large batches": (
        "em.LinearRegression(np.ones(500), batch_size=4000), em.SGD(lr=1e-4)", "'steps': 10**9, 'replicas': 4",
    ),
}  # fmt: skip


def answered(backend: str, case: str) -> tuple[float, str, int, int]:
    """Seconds from SIGINT to the answer, whether it was returned or raised, and the threads that are left."""
    records, settings = RUNS[case]
    code = CHILD.format(run=f"({records}, {{{settings}, 'backend': '{backend}'}})")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdout is not None
        watchdog = threading.Timer(100, child.kill)  # a run that never answers must fail the test, not hold it up
        watchdog.start()
        assert child.stdout.readline() == "started\n"
        time.sleep(1.0)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        when, how, tasks, threads = child.stdout.readline().split()
        watchdog.cancel()
    assert child.returncode == 0
    return float(when) - sent, how, int(tasks), int(threads)


@pytest.mark.parametrize("case", RUNS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_interrupt_is_answered_and_leaves_no_thread(backend: str, case: str) -> None:
    seconds, how, tasks, threads = answered(backend, case)
    print(f"{backend}, {case}: {how} after {seconds:.3f} s")
    assert how == ("returned" if case == "dense records" else "raised")
    assert (tasks, threads) == (0, 1)
