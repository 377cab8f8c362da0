"""The runs of a request, one after another, together, or in several processes, each process on one thread."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Sequence
from functools import partial
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any

from .cache import Cache
from .ensemble import observe_together
from .progress import Progress
from .request import Job, Observed, Request, Tick, observe

Unit = Sequence[Job]


def completed(
    request: Request,
    jobs: Sequence[Job],
    progress: Progress,
    cache: Cache | None = None,
    *,
    workers: int = 1,
    ensemble: int = 1,
) -> list[Observed]:
    """Every job's run, in order: those that the cache has are not done again, and each is stored when it ends.

    `ensemble` jobs make a unit, which is advanced together and found in the cache as a whole.
    """
    units = [jobs[at : at + ensemble] for at in range(0, len(jobs), ensemble)]
    found: dict[int, list[Observed]] = {}
    for place, unit in enumerate(units):
        stored = stored_unit(cache, unit) if cache else None
        if stored is not None:
            found[place] = stored
            progress.advance(len(unit) * (request.steps // request.per_epoch), fresh=False)
    waiting = [place for place in range(len(units)) if place not in found]
    if min(workers, len(waiting)) > 1:
        found.update(shared_out(request, units, waiting, progress, cache, min(workers, len(waiting))))
    else:
        found.update({place: finished(request, units[place], progress.advance, cache) for place in waiting})
    return [observed for place in range(len(units)) for observed in found[place]]


def stored_unit(cache: Cache, unit: Unit) -> list[Observed] | None:
    """A unit's finished runs, None where one is missing."""
    runs = [cache.find(job, unit) for job in unit]
    there = [run for run in runs if run is not None]
    return there if len(there) == len(runs) else None


def finished(request: Request, unit: Unit, tick: Tick, cache: Cache | None) -> list[Observed]:
    """A unit's runs, stored where there is a cache."""
    if len(unit) > 1:
        runs = observe_together(request, unit, tick)
    else:
        runs = [observe(request, unit[0], tick, cache.keeper(unit[0]) if cache else None)]
    for job, observed in zip(unit, runs, strict=True):
        if cache:
            cache.store(job, observed, unit)
    return runs


def shared_out(
    request: Request,
    units: Sequence[Unit],
    waiting: Sequence[int],
    progress: Progress,
    cache: Cache | None,
    workers: int,
) -> dict[int, list[Observed]]:
    """The waiting units' runs by so many processes. However this ends, with an error or by Ctrl-C, so do they.

    Raises what a run raised, or `RuntimeError` where a process died.
    """
    check_portable(request, units)
    context = get_context("spawn")
    processes: dict[Any, BaseProcess] = {}
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=work, args=(theirs, request, cache), daemon=True)
            process.start()
            theirs.close()
            processes[ours] = process
        return collected(processes, units, waiting, progress)
    finally:
        for process in processes.values():
            process.terminate()
        for ours, process in processes.items():
            process.join()
            ours.close()


def collected(
    processes: dict[Any, BaseProcess], units: Sequence[Unit], waiting: Sequence[int], progress: Progress
) -> dict[int, list[Observed]]:
    """Hand out the units, one to each process at a time, until all are done."""
    ahead, found = list(waiting), dict[int, list[Observed]]()
    for ours in processes:
        hand_out(ours, ahead, units)
    while len(found) < len(waiting):
        ready = connection.wait(list(processes))
        for ours in (each for each in processes if each in ready):
            kind, *rest = received(ours, processes[ours])
            if kind == "failed":
                raise rest[0]
            if kind == "tick":
                progress.advance(rest[0], fresh=rest[1])
            else:
                found[rest[0]] = rest[1]
                hand_out(ours, ahead, units)
    return found


def hand_out(ours: Any, ahead: list[int], units: Sequence[Unit]) -> None:
    if ahead:
        place = ahead.pop(0)
        ours.send((place, units[place]))


def received(ours: Any, process: BaseProcess) -> tuple[Any, ...]:
    try:
        message: tuple[Any, ...] = ours.recv()
    except (EOFError, OSError):
        process.join(1)
        raise RuntimeError(
            f"a training process ended by itself (exit code {process.exitcode}): out of memory, killed, or the script "
            "that calls train(workers=…) lacks `if __name__ == '__main__':` around the call"
        ) from None
    return message


def check_portable(request: Request, units: Sequence[Unit]) -> None:
    """Raise `TypeError` for what other processes cannot be given."""
    try:
        pickle.dumps((request, units))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"workers > 1 needs a task and an optimizer that other processes can import ({error}): define them in a "
            "module, or use workers=1"
        ) from error


def work(theirs: Any, request: Request, cache: Cache | None) -> None:
    """A process: runs what it is sent, and tells how far it is, until it is ended."""
    # Ctrl-C reaches the whole group; the parent decides, and ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    while True:
        place, unit = theirs.recv()
        try:
            message: tuple[Any, ...] = ("done", place, finished(request, unit, partial(told, theirs), cache))
        except Exception as error:
            message = ("failed", portable(error))
        theirs.send(message)


def told(theirs: Any, epochs: int, fresh: bool = True) -> None:
    theirs.send(("tick", epochs, fresh))


def portable(error: Exception) -> Exception:
    """The error, or its words where it cannot travel."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, even by SIGKILL."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
