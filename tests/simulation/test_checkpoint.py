"""A run that goes on from a checkpoint has the bits of one that was never stopped, wherever and however it stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.results import same_result
from ematheory.simulation import checkpoint, runs
from ematheory.simulation.backends import Native
from ematheory.simulation.reference import Reference

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
D = 30
PROBLEM = em.NoisyQuadratic(curvature=1 / np.arange(1, D + 1), optimum=0.3, batch_size=[1.0, 4.0])
OPTIMIZER = em.AdamW(lr=[0.01, 0.03, 0.05], weight_decay=0.5, betas=(0.9, 0.95))
# Blocks of two points and of 64 replicas, and calls of at most five steps.
CELLS, WORK = 2 * 64 * D, 2 * 64 * D * 5

CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "everything": (
        PROBLEM, OPTIMIZER,
        {"observables": PROBLEM.observables, "quantiles": [0.25, 0.5], "lags": [0, 2, 5], "trajectories": [31, 150],
         "first_passage": {"risk": 0.5}, "schedule": em.Cosine(warmup_steps=3)},
    ),
    "float32": (PROBLEM, OPTIMIZER, {"dtype": "float32", "observables": ("weight_variance", "rotation")}),
    "independent": (PROBLEM, em.Lion(lr=[0.01, 0.03]), {"random_numbers": "independent", "record": [0, 1, 11]}),
    "the optimizer's arrays": (
        PROBLEM, OPTIMIZER, {"observables": ("first_moment_mean_square", "second_moment_mean"), "record": [2, 11]},
    ),
    "other products": (PROBLEM, em.NAdam(lr=[0.01, 0.03], weight_decay=0.1), {"decay_schedule": em.Linear()}),
    "samples": (em.LinearRegression(np.ones(D), batch_size=2), em.SGD(lr=[0.01, 0.02], momentum=0.9), {}),
    "permutations": (em.ReshuffledData(np.ones(D), size=8, batch_size=4), em.SGD(lr=[0.01, 0.02]), {}),
}  # fmt: skip


class Stopped(Exception):
    """What stops a run here; Ctrl-C goes the same way."""


def simulate(case: str = "everything", backend: str = "reference", **settings: Any) -> xr.Dataset:
    problem, optimizer, own = CASES[case]
    given = {"steps": 13, "replicas": range(30, 230), "record": em.every(3), **own}
    return em.simulate(problem, optimizer, backend=backend, **{**given, **settings})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in (Reference, Native):
        monkeypatch.setattr(engine, "cells_per_block", CELLS)
        monkeypatch.setattr(engine, "work_per_call", WORK)
    monkeypatch.setattr(runs, "SNAPSHOTS", 2 * 64 * D * 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.npz"


def stop_at(number: int) -> Any:
    """A progress function that stops the run after so many calls of the engine."""
    calls = iter(range(1, number + 1))

    def count(done: int, total: int) -> None:
        if next(calls) == number:
            raise Stopped

    return count


def stopped(number: int, path: Path, **settings: Any) -> None:
    with pytest.raises(Stopped):
        simulate(checkpoint=path, progress=stop_at(number), **settings)


def counted(**settings: Any) -> tuple[xr.Dataset, list[tuple[int, int]]]:
    """A run's result, and what it reported of its progress."""
    seen: list[tuple[int, int]] = []
    return simulate(progress=lambda *now: seen.append(now), **settings), seen


def scribbling(engine: type, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine stop within its n-th call, with a state that is good for nothing."""
    whole, calls = engine.advance, iter(range(1, number + 1))  # type: ignore[attr-defined]

    def advance(self: Any, *, state: Any, **block: Any) -> None:
        if next(calls) == number:
            state[:] = np.nan
            raise Stopped
        whole(self, state=state, **block)

    monkeypatch.setattr(engine, "advance", advance)


@pytest.mark.parametrize("seconds", [0.0, 1e6])
@pytest.mark.parametrize("case", CASES)
def test_any_stop_between_calls_gives_the_same_bits(small: None, path: Path, case: str, seconds: float) -> None:
    """With a copy after each call, and with blocks that are done alone."""
    settings = {"case": case, "backend": BACKENDS[-1]}
    whole, all_calls = counted(**settings)
    count = len(all_calls)
    assert count > 6
    # The stride has no factor in common with the calls of a block: the stops fall on all of its places.
    for number in range(1, count + 1, 13):
        stopped(number, path, checkpoint_every=seconds, **settings)
        again, seen = counted(checkpoint=path, **settings)
        assert same_result(again, whole), f"stopped after call {number} of {count}"
        assert seen == all_calls[-len(seen) :]
        # What is copied after each call is not done again, but for the call that the stop came after, and for one
        # before it that only copied the records at step 0.
        assert seconds or len(seen) - (count + 1 - number) in (0, 1)
        assert not path.exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stop_within_a_call_gives_the_same_bits(
    small: None, path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, all_calls = counted(backend=backend)
    for number in range(2, len(all_calls), 17):
        with monkeypatch.context() as patched:
            scribbling(Reference if backend == "reference" else Native, number, patched)
            with pytest.raises(Stopped):
                simulate(backend=backend, checkpoint=path, checkpoint_every=0)
        assert path.exists()
        assert same_result(simulate(backend=backend, checkpoint=path), whole)


def test_a_run_may_stop_again_and_again(small: None, path: Path) -> None:
    for number in (2, 1, 3, 1, 7, 2):
        stopped(number, path, checkpoint_every=0)
    again, seen = counted(checkpoint=path)
    whole, all_calls = counted()
    assert same_result(again, whole)
    assert seen == all_calls[-len(seen) :]
    assert len(seen) < len(all_calls) - 6


@pytest.mark.skipif(len(BACKENDS) == 1, reason="the native engine was not built")
def test_a_run_may_go_on_elsewhere(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another backend cuts the run into other blocks; the checkpoint's are kept."""
    monkeypatch.setattr(Reference, "cells_per_block", CELLS)
    monkeypatch.setattr(Reference, "work_per_call", WORK)
    stopped(9, path, checkpoint_every=0)
    assert same_result(simulate(backend="cpu", threads=3, isa=em.isas()[0], checkpoint=path), simulate())


CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
import test_checkpoint as here
from ematheory.simulation.reference import Reference
Reference.cells_per_block, Reference.work_per_call = here.CELLS, here.WORK
def wait(done, total):
    print(done, flush=True)
    time.sleep(0.02)
here.simulate(checkpoint=sys.argv[2], checkpoint_every=0, progress=wait)
"""


def lines(child: subprocess.Popen[str]) -> Iterator[int]:
    assert child.stdout is not None
    return map(int, child.stdout)


def test_a_killed_run_goes_on_to_the_same_bits(path: Path) -> None:
    """SIGKILL at times of the machine's choosing, wherever the run is: computing, or writing."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    reached = 0
    for number in (5, 4, 9):
        command = [sys.executable, "-W", "ignore", "-c", CHILD, str(Path(__file__).parent), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            seen = [done for done, _ in zip(lines(child), range(number), strict=False)]
            child.kill()
        assert child.returncode == -signal.SIGKILL
        assert seen[-1] > reached, "it went on from where it was"
        reached = seen[-2]
    assert same_result(simulate(checkpoint=path), simulate())
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"steps": 14}, "steps was 13 and is 14; record was"),
        ({"replicas": range(30, 231)}, r"replicas was range\(30, 230\) and is range\(30, 231\)"),
        ({"dtype": "float32"}, "dtype was \"float64\" and is \"float32\""),
        ({"quantiles": [0.5]}, r"quantiles was \[0.25, 0.5\] and is \[0.5\]"),
        ({"first_passage": None}, "first_passage was {\"risk\": 0.5} and is {}"),
        ({"schedule": em.Cosine(warmup_steps=2)}, "schedule.warmup_steps was 3"),
        ({"case": "float32"}, "observables was .*; dtype was"),
    ],
)  # fmt: skip
def test_another_request_is_refused(small: None, path: Path, settings: dict[str, Any], message: str) -> None:
    stopped(4, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"is of another request: .*{message}.*delete it to start anew"):
        simulate(checkpoint=path, **settings)
    assert path.read_bytes() == before


def test_long_values_are_told_apart(small: None, path: Path) -> None:
    """Two curvatures of 30 numbers that differ in the last bit of one."""
    stopped(4, path)
    changed = 1 / np.arange(1.0, D + 1)
    changed[-1] = np.nextafter(changed[-1], 0)
    problem = em.NoisyQuadratic(curvature=changed, noise=PROBLEM.noise, optimum=0.3, batch_size=[1.0, 4.0])
    own = {"steps": 13, "replicas": range(30, 230), "record": em.every(3), **CASES["everything"][2]}
    with pytest.raises(ValueError, match=r"another request: problem.curvature was .*SHA-256 [0-9a-f]{64}\) and is"):
        em.simulate(problem, OPTIMIZER, checkpoint=path, **own)


def test_another_version_is_refused(small: None, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(4, path)
    monkeypatch.setattr(checkpoint, "__version__", "9.9")
    with pytest.raises(ValueError, match=r"ematheory was \S+ and is 9\.9"):
        simulate(checkpoint=path)
    monkeypatch.undo()
    own = checkpoint.FORMAT
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    with pytest.raises(ValueError, match=f"format was {own} and is 99"):
        simulate(checkpoint=path)


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [flipped, lambda content: content[:-100], lambda content: content[:50], lambda content: b"", lambda _: b"a text"],
    ids=["a bit", "its end", "all but its start", "all", "another file"],
)
def test_a_damaged_file_is_refused(small: None, path: Path, damage: Any) -> None:
    stopped(4, path)
    path.write_bytes(damage(path.read_bytes()))
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r"run.npz cannot be read \(\w+: .*\): it is damaged"):
        simulate(checkpoint=path)
    assert path.read_bytes() == content


def test_arrays_of_someone_else_are_refused(path: Path) -> None:
    np.savez(path, header=np.arange(3), mine=np.ones(2))
    with pytest.raises(ValueError, match=r"cannot be read .* or no file of simulate's"):
        simulate(checkpoint=path)
    assert np.load(path)["mine"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"checkpoint": 3}, TypeError, "checkpoint must be the path of a file, got 3"),
        ({"checkpoint": "."}, ValueError, "'.' is a folder"),
        ({"checkpoint": "/nowhere/run.npz"}, ValueError, "no folder '/nowhere' that can be written to"),
        ({"checkpoint": "x", "checkpoint_every": -1}, ValueError, "number of seconds from 0 on, got -1"),
        ({"checkpoint": "x", "checkpoint_every": float("nan")}, ValueError, "from 0 on, got nan"),
        ({"checkpoint": "x", "checkpoint_every": "60"}, ValueError, "from 0 on, got '60'"),
    ],
)
def test_what_is_no_checkpoint_is_refused(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        simulate(**settings)


def test_a_write_that_fails_warns_and_leaves_the_last(small: None, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(4, path, checkpoint_every=0)
    before = path.read_bytes()

    def full(*arrays: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", full)
        with pytest.warns(UserWarning, match="could not be written .*No space left on device.*; the run goes on"):
            stopped(4, path, checkpoint_every=0)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before
    assert same_result(simulate(checkpoint=path), simulate())


def test_what_a_killed_write_left_goes_with_the_file(small: None, path: Path) -> None:
    stopped(4, path)
    (path.parent / ".run.npz.abcdef").write_bytes(b"half")
    simulate(checkpoint=path)
    assert list(path.parent.iterdir()) == []


def test_it_is_written_no_more_often_than_asked(small: None, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    monkeypatch.setattr(checkpoint.Checkpoint, "write", lambda self, journal: written.append(journal))
    simulate(checkpoint=path, checkpoint_every=3600)
    assert written == []
    # Calls of the engine, none of which only copies the records at step 0.
    simulate(checkpoint=path, checkpoint_every=0, record=[13], lags=None)
    assert len(written) == len(counted(record=[13], lags=None)[1])


def test_the_memory_estimate_counts_it(small: None, path: Path) -> None:
    limits = {"memory_limit": 1}
    figures = []
    for kept in ({}, {"checkpoint": path}):
        with pytest.raises(ValueError, match="GB of memory") as refused:
            simulate(**limits, **kept)
        figures.append(float(str(refused.value).split("about ")[1].split()[0]))
    assert figures[1] > figures[0]
    simulate()
    tracemalloc.start()
    simulate(checkpoint=path, checkpoint_every=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / 1e9 <= figures[1]
