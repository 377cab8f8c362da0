"""A folder of finished runs, each under the hash of everything that can change its numbers, and of runs under way.

A finished run is `<hash>.npz`, without pickle: its observables, and a header that lists what was hashed. A run under
way is `<hash>.part`, from which it goes on to the same bits. Both are written whole or not at all.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..files import neighbour, written_whole
from ..results import opened, text
from ..simulation.checkpoint import DAMAGED, SHARE, checked_seconds
from .request import Job, Observed, Request
from .run import Run
from .stacked_update import is_native
from .tasks import Task

FORMAT = 1
PACKAGE = Path(__file__).parent.parent
# The parts of the package whose code decides a run's numbers, and those of training's that do not.
CODE = ("training", "optimizers")
# What training takes from beside them: coefficients' functions, effective learning rates, what L2 leaves of weights.
BORROWED = (
    "simulation/arrays.py", "simulation/observables.py", "simulation/specification.py", "derivations/effective_lr.py",
    "derivations/momentum_l2.py", "derivations/momentum_nesterov.py", "training/tracking/forecast.py",
    "training/tracking/history.py", "training/tracking/meaning.py",
)  # fmt: skip
BESIDE = ("crosschecks", "tracking", "cache.py", "progress.py", "workers.py", "loop.py")
# So many numbers of an array are hashed at a time: one mapped from a file is never whole in memory.
HASHED = 2**22


class Cache:
    """Finished runs and runs under way of one request, in a folder that many requests may share.

    Raises `TypeError` and `ValueError` for a folder or a number of seconds that cannot be one.
    """

    def __init__(self, folder: str | os.PathLike[str], seconds: float, request: Request) -> None:
        self.folder, self.seconds = checked_folder(folder), checked_seconds(seconds)
        self.shared, self.device = settings_of(request), request.device

    def settings(self, job: Job, unit: Sequence[Job] = ()) -> dict[str, str]:
        """Everything that can change the run's numbers, by name; `unit` are the jobs that it is advanced with, if any.

        How many matrices are multiplied at once can change how their products round; whose update it is, how roots do.
        """
        own = {"optimizer": text(job.record), "optimizer_code": code_of(job.record), "seed": str(job.seed)}
        return {**self.shared, **own, "ensemble": self.together(unit) if len(unit) > 1 else ""}

    def together(self, unit: Sequence[Job]) -> str:
        update = "native" if is_native(unit[0].record, self.device) else "tensors"
        return hashed([update.encode(), *(f"{text(each.record)} {each.seed}".encode() for each in unit)])

    def path(self, job: Job, unit: Sequence[Job] = ()) -> Path:
        words = json.dumps(self.settings(job, unit), sort_keys=True)
        return self.folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.npz"

    def find(self, job: Job, unit: Sequence[Job] = ()) -> Observed | None:
        """The finished run, None where there is none. Raises `ValueError` for a damaged file."""
        path = self.path(job, unit)
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                header = json.loads(stored["header"].tobytes())
                values = {name: stored[name] for name in header["observables"]}
        except DAMAGED as error:
            raise damaged(path, error) from error
        return Observed(values, header["parameters"], header["groups"])

    def store(self, job: Job, observed: Observed, unit: Sequence[Job] = ()) -> None:
        """Write a finished run, and remove what was kept of it under way, its own and of writes that were killed."""
        path, header = self.path(job, unit), {
            "observables": list(observed.values), "parameters": observed.parameters, "groups": observed.groups,
            "settings": self.settings(job, unit),
        }  # fmt: skip
        members: dict[str, Any] = dict(observed.values)
        members["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        with written_whole(path) as file:
            np.savez(file, **members)
        Keeping(path, self.seconds).remove()

    def keeper(self, job: Job) -> Keeping:
        return Keeping(self.path(job), self.seconds)


class Keeping:
    """The file of one run under way, written at most every `seconds`."""

    def __init__(self, finished: Path, seconds: float) -> None:
        self.finished, self.path, self.seconds = finished, finished.with_suffix(".part"), seconds
        self.next_write = time.monotonic() + seconds

    def read(self) -> dict[str, Any] | None:
        """Where the run was and what it had observed. Raises `ValueError` for a damaged file."""
        if not self.path.exists():
            return None
        try:
            kept: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            if not {"run", "rows"} <= set(kept):
                raise KeyError("run")
        except Exception as error:
            raise damaged(self.path, error) from error
        return kept

    def keep(self, run: Run, rows: dict[str, list[Any]]) -> None:
        """Write when it is time. A full disk is no reason to lose a run: it warns, and the last file stays."""
        now = time.monotonic()
        if now < self.next_write:
            return
        try:
            with written_whole(self.path) as file:
                torch.save({"run": run.state(), "rows": rows}, file)
        except OSError as error:
            warnings.warn(f"{self.path} could not be written ({error}); the run goes on", stacklevel=2)
        took = time.monotonic() - now
        self.next_write = now + max(self.seconds, took / SHARE)

    def remove(self) -> None:
        left = [each for path in (self.path, self.finished) for each in path.parent.glob(f"{neighbour(path)}*")]
        for path in (self.path, *left):
            path.unlink(missing_ok=True)


def damaged(path: Path, error: Exception) -> ValueError:
    # torch's own advice, on further lines, is about files that one trusts.
    reason = (str(error).splitlines() or [""])[0].split(". ")[0]
    return ValueError(
        f"{path} cannot be read ({type(error).__name__}: {reason}): it is damaged, or no file of train's; delete it "
        "and the run is done again"
    )


def checked_folder(folder: Any) -> Path:
    """The folder, made where its parent is there; it is written to once, before hours of training go into it."""
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"cache must be the path of a folder, got {folder!r}")
    if not os.fspath(folder):
        raise ValueError("cache must be the path of a folder, got an empty one; '.' is the present folder")
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise ValueError(f"cache must be the path of a folder, but {str(folder)!r} is a file")
    if not path.parent.is_dir():
        raise ValueError(f"cache {str(folder)!r}: there is no folder {str(path.parent)!r} to make it in")
    try:
        path.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise ValueError(
            f"cache {str(folder)!r} cannot be written to ({error.strerror}); give another folder"
        ) from None


def settings_of(request: Request) -> dict[str, str]:
    """What can change the numbers of every run of the request, by name."""
    task = request.task
    return {
        "format": str(FORMAT),
        "ematheory": __version__,
        "code": package_code(),
        "torch": torch.__version__,
        "threads": "1",
        "device": kind_of(request.device),
        "task": text({name: value for name, value in opened(task).items() if name not in task.places}),
        "task_code": code_of(task),
        "data": digest_of(task),
        "batch_size": str(request.batch_size),
        "schedule": digest([request.schedule]),
        "decay_schedule": digest([request.decay_schedule]),
        "recorded": digest([np.array(sorted(request.recorded))]),
        "observables": text(list(request.observables)),
        "dtype": request.dtype,
        "foreach": text(request.foreach),
        "accumulate": str(request.accumulate),
        "clip_norm": text(request.clip_norm),
        "groups": text(list(request.groups)),
        "evaluate": text(request.evaluate),
    }


def kind_of(device: str) -> str:
    """What of a device decides how torch rounds on it: the model of a GPU, the instruction set of a CPU."""
    found = torch.device(device)
    if found.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(found)} {torch.version.cuda}"
    return f"cpu {torch.backends.cpu.get_cpu_capability()}" if found.type == "cpu" else found.type


@lru_cache(maxsize=1)
def package_code() -> str:
    """The hash of the code that trains."""
    files = (path for folder in CODE for path in sorted((PACKAGE / folder).rglob("*.py")))
    chosen = [path for path in files if not set(path.relative_to(PACKAGE).parts) & set(BESIDE)]
    chosen += [PACKAGE / name for name in BORROWED]
    return hashed(part for path in chosen for part in (str(path.relative_to(PACKAGE)).encode(), path.read_bytes()))


def code_of(value: Any) -> str:
    """The hash of the files that define a record's type, which may be a user's own, and the types that it extends."""
    kinds = [kind for kind in type(value).__mro__ if kind is not object]
    return hashed(part for kind in kinds for part in (f"{kind.__module__}.{kind.__qualname__}".encode(), source(kind)))


def source(kind: type) -> bytes:
    """The file that defines a type; of one typed in at a prompt or in a notebook, what its methods were compiled to."""
    try:
        return Path(inspect.getfile(kind)).read_bytes()
    except (TypeError, OSError):
        return repr([compiled(name, member) for name, member in sorted(vars(kind).items())]).encode()


def compiled(name: str, member: Any) -> Any:
    """A class's member as what decides what it does, the same in every process."""
    member = getattr(member, "__func__", getattr(member, "fget", member))
    code = getattr(member, "__code__", None)
    if code is not None:
        return name, of_code(code), repr(member.__defaults__), repr(member.__kwdefaults__)
    plain = not name.startswith("__") and isinstance(member, bool | int | float | str | bytes | tuple | None)
    return name, repr(member) if plain else ""


def of_code(code: CodeType) -> Any:
    return code.co_code.hex(), code.co_names, code.co_varnames, [constant(each) for each in code.co_consts]


def constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return of_code(value)
    # The order of a set of words differs between processes.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


@lru_cache(maxsize=16)
def digest_of(task: Task) -> str:
    """The hash of a task's examples."""
    return digest(task.data())


def digest(arrays: Iterable[Any]) -> str:
    return hashed(part for array in arrays for part in parts_of(array))


def parts_of(array: Any) -> Iterable[bytes]:
    """An array's kind and shape, and its rows some at a time."""
    yield f"{array.dtype.str} {array.shape}".encode()
    rows = max(1, HASHED // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows]).tobytes()


def hashed(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()
