"""The runs of a request, one after another or in several processes, each run on one thread and with the same bits."""

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
from .progress import Progress
from .request import Job, Observed, Request, Tick, observe


def completed(
    request: Request, jobs: Sequence[Job], progress: Progress, cache: Cache | None = None, workers: int = 1
) -> list[Observed]:
    """Every job's run, in order: those that the cache has are not done again, and each is stored when it ends."""
    found: dict[int, Observed] = {}
    for place, job in enumerate(jobs):
        stored = cache.find(job) if cache else None
        if stored is not None:
            found[place] = stored
            progress.advance(request.steps // request.per_epoch, fresh=False)
    waiting = [place for place in range(len(jobs)) if place not in found]
    if min(workers, len(waiting)) > 1:
        found.update(shared_out(request, jobs, waiting, progress, cache, min(workers, len(waiting))))
    else:
        found.update({place: finished(request, jobs[place], progress.advance, cache) for place in waiting})
    return [found[place] for place in range(len(jobs))]


def finished(request: Request, job: Job, tick: Tick, cache: Cache | None) -> Observed:
    """One run, stored where there is a cache."""
    observed = observe(request, job, tick, cache.keeper(job) if cache else None)
    if cache:
        cache.store(job, observed)
    return observed


def shared_out(
    request: Request,
    jobs: Sequence[Job],
    waiting: Sequence[int],
    progress: Progress,
    cache: Cache | None,
    workers: int,
) -> dict[int, Observed]:
    """The waiting jobs' runs by so many processes. However this ends, with an error or by Ctrl-C, so do they.

    Raises what a run raised, or `RuntimeError` where a process died.
    """
    check_portable(request, jobs)
    context = get_context("spawn")
    processes: dict[Any, BaseProcess] = {}
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=work, args=(theirs, request, cache), daemon=True)
            process.start()
            theirs.close()
            processes[ours] = process
        return collected(processes, jobs, waiting, progress)
    finally:
        for process in processes.values():
            process.terminate()
        for ours, process in processes.items():
            process.join()
            ours.close()


def collected(
    processes: dict[Any, BaseProcess], jobs: Sequence[Job], waiting: Sequence[int], progress: Progress
) -> dict[int, Observed]:
    """Hand out the jobs, one to each process at a time, until all are done."""
    ahead, found = list(waiting), dict[int, Observed]()
    for ours in processes:
        hand_out(ours, ahead, jobs)
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
                hand_out(ours, ahead, jobs)
    return found


def hand_out(ours: Any, ahead: list[int], jobs: Sequence[Job]) -> None:
    if ahead:
        place = ahead.pop(0)
        ours.send((place, jobs[place]))


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


def check_portable(request: Request, jobs: Sequence[Job]) -> None:
    """Raise `TypeError` for what other processes cannot be given."""
    try:
        pickle.dumps((request, jobs))
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
        place, job = theirs.recv()
        try:
            message: tuple[Any, ...] = ("done", place, finished(request, job, partial(told, theirs), cache))
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
