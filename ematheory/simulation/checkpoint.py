"""A run's journal in a file, from which the same run goes on to the same bits.

An npz file without pickle: arrays by number, and `header`, JSON in which such numbers stand for arrays. The zip
format's checksums tell a damaged file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..files import neighbour, written_whole
from ..records import Record
from ..results import opened, text
from .blocks import Layout
from .journal import Journal, Midway, end_to_end, side_by_side
from .nodes import Counts, Node, Statistics, Values
from .options import StepOptions
from .reductions import Moments
from .specification import Specification

FORMAT = 2
# A copy of a block in mid-run is taken at most so often, in seconds, and writing takes at most this share of the time.
BETWEEN_COPIES = 1.0
SHARE = 0.05
# A setting with a longer text than this is compared by its hash.
LONGEST = 120
DAMAGED = (ValueError, KeyError, IndexError, TypeError, OSError, EOFError, zipfile.BadZipFile)

Arrays = list[np.ndarray[Any, Any]]


class Checkpoint:
    """The file of one request, written at most every `seconds`.

    Raises `TypeError` and `ValueError` for a path or a time that cannot be one.
    """

    def __init__(self, path: str | os.PathLike[str], seconds: float, asked: Specification) -> None:
        self.path, self.seconds = checked_path(path), checked_seconds(seconds)
        self.request, self.replicas = request_of(asked), asked.replicas
        self.next_write = time.monotonic() + self.seconds
        self.next_copy = time.monotonic() + min(self.seconds, BETWEEN_COPIES)

    def read(self) -> Journal | None:
        """The journal to go on from; None where there is no file.

        Raises `ValueError` for a file that is damaged, of another version, or of another request: it says in what.
        """
        if not self.path.exists():
            return None
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                header = json.loads(stored["header"].tobytes())
                # Of another format only its number and its request are known to be there.
                found = header["request"]
                arrays = [stored[str(place)] for place in range(header["arrays"])] if found == self.request else []
        except DAMAGED as error:
            raise ValueError(
                f"checkpoint {self.path} cannot be read ({type(error).__name__}: {error}): it is damaged, or no file "
                "of simulate's; give another path, or delete it to start anew"
            ) from error
        self.check_same(found)
        return unpacked(header, arrays)

    def check_same(self, found: Mapping[str, str]) -> None:
        names = [name for name in {**found, **self.request} if found.get(name) != self.request.get(name)]
        if names:
            what = "; ".join(f"{name} was {found.get(name)} and is {self.request.get(name)}" for name in names)
            raise ValueError(
                f"checkpoint {self.path} is of another request: {what}; ask for the same, give another path, or delete "
                "it to start anew"
            )

    def keep(self, journal: Journal, midway: Midway) -> None:
        """After a call of the engine: copy where the run is, and write it, when it is time."""
        now = time.monotonic()
        if now >= self.next_copy:
            journal.midway = midway.copy()
            self.next_copy = now + min(self.seconds, BETWEEN_COPIES)
        if now >= self.next_write:
            self.write(journal)
            took = time.monotonic() - now
            self.next_write = now + max(self.seconds, took / SHARE)

    def write(self, journal: Journal) -> None:
        """Write what there is. A full disk is no reason to lose a run: it warns, and the last file stays."""
        if not (journal.done or journal.subtrees or journal.midway):
            return
        header, arrays = packed(journal, self.replicas)
        header["request"] = self.request
        members: dict[str, Any] = {str(place): array for place, array in enumerate(arrays)}
        members["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        try:
            with written_whole(self.path) as file:
                np.savez(file, **members)
        except OSError as error:
            warnings.warn(f"checkpoint {self.path} could not be written ({error}); the run goes on", stacklevel=2)

    def remove(self) -> None:
        """Remove the file, and what a write that was killed left beside it."""
        for path in (self.path, *self.path.parent.glob(f"{neighbour(self.path)}*")):
            path.unlink(missing_ok=True)


def checked_path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"checkpoint must be the path of a file, got {path!r}")
    found = Path(path)
    if found.is_dir() or not found.name:
        raise ValueError(f"checkpoint must be the path of a file, but {str(path)!r} is a folder")
    if not os.access(found.parent, os.W_OK):
        raise ValueError(f"checkpoint {str(path)!r}: there is no folder {str(found.parent)!r} that can be written to")
    return found


def checked_seconds(seconds: Any) -> float:
    is_number = isinstance(seconds, int | float | np.number) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds < math.inf:
        raise ValueError(f"checkpoint_every must be a number of seconds from 0 on, got {seconds!r}")
    return float(seconds)


def request_of(asked: Specification) -> dict[str, str]:
    """Everything that a run's numbers depend on, by name: every setting, a record's field by field, and the version."""
    found = {"format": str(FORMAT), "ematheory": __version__}
    for field in fields(asked):
        value = getattr(asked, field.name)
        if isinstance(value, StepOptions):
            found.update((name, described(part)) for name, part in value.attributes.items() if part is not None)
        elif isinstance(value, Record):
            found.update((f"{field.name}.{name}", described(part)) for name, part in opened(value).items())
        elif field.name != "grid":
            # The grid follows from the records.
            found[field.name] = described(value)
    return found


def described(value: Any) -> str:
    """A value as text, its hash where that is long."""
    words = repr(value) if isinstance(value, range) else text(value)
    if len(words) <= LONGEST:
        return words
    return f"{words[: LONGEST // 2]}… (SHA-256 {hashlib.sha256(words.encode()).hexdigest()})"


def packed(journal: Journal, replicas: range) -> tuple[dict[str, Any], Arrays]:
    """The header and the arrays of the journal of a run over `replicas`; blocks of points that are done become one."""
    arrays: Arrays = []
    midway = journal.going_on(replicas)
    done = [side_by_side(list(journal.done.values()))] if journal.done else []
    subtrees = {points: nodes for points, nodes in journal.subtrees.items() if points not in journal.done}
    header: dict[str, Any] = {
        "layout": [journal.layout.points, journal.layout.level],
        "done": [[journal.points_done, put_statistics(whole, arrays)] for whole in done],
        "subtrees": [
            [points.start, points.stop, level, index, put_statistics(node, arrays)]
            for points, nodes in subtrees.items()
            for (level, index), node in nodes.items()
        ],
        "midway": None if midway is None else put_midway(midway, arrays),
    }
    return {**header, "arrays": len(arrays)}, arrays


def unpacked(header: Mapping[str, Any], arrays: Arrays) -> Journal:
    journal = Journal(Layout(*header["layout"]))
    for stop, whole in header["done"]:
        journal.done[range(stop)] = take_statistics(whole, arrays)
    for start, stop, level, index, node in header["subtrees"]:
        journal.subtrees.setdefault(range(start, stop), {})[level, index] = take_statistics(node, arrays)
    if header["midway"] is not None:
        journal.midway = take_midway(header["midway"], arrays)
    return journal


def put(array: np.ndarray[Any, Any], arrays: Arrays) -> int:
    arrays.append(array)
    return len(arrays) - 1


def put_statistics(found: Statistics, arrays: Arrays) -> dict[str, list[int]]:
    """Each node as the places of its arrays: [values], [counts, 0], or [replicas, mean, sums]."""
    return {name: put_node(node, arrays) for name, node in found.items()}


def put_node(node: Node, arrays: Arrays) -> list[int]:
    if isinstance(node, Values):
        return [put(node.values, arrays)]
    if isinstance(node, Counts):
        return [put(node.counts, arrays), 0]
    return [node.replicas, put(node.mean, arrays), put(node.sums, arrays)]


def take_statistics(found: Mapping[str, list[int]], arrays: Arrays) -> dict[str, Node]:
    return {name: take_node(node, arrays) for name, node in found.items()}


def take_node(node: list[int], arrays: Arrays) -> Node:
    if len(node) == 3:
        return Moments(node[0], arrays[node[1]], arrays[node[2]])
    return Values(arrays[node[0]]) if len(node) == 1 else Counts(arrays[node[0]])


def put_midway(here: Midway, arrays: Arrays) -> dict[str, Any]:
    return {
        "points": [here.points.start, here.points.stop],
        "replicas": [here.replicas.start, here.replicas.stop],
        "updates": here.updates,
        "state": put(here.state, arrays),
        "found": [put_statistics(end_to_end(here.found), arrays)] if here.found else [],
        "arrival": {name: put(first, arrays) for name, first in here.arrival.items()},
        "lagged": [[step, put(weights, arrays)] for step, weights in here.lagged.items()],
        "powers": [
            [step, put(np.frombuffer(base), arrays), put(power, arrays)]
            for base, (step, power) in here.powers.items()
        ],
    }  # fmt: skip


def take_midway(header: Mapping[str, Any], arrays: Arrays) -> Midway:
    return Midway(
        points=range(*header["points"]),
        replicas=range(*header["replicas"]),
        updates=header["updates"],
        state=arrays[header["state"]],
        found=[take_statistics(part, arrays) for part in header["found"]],
        arrival={name: arrays[place] for name, place in header["arrival"].items()},
        lagged={step: arrays[place] for step, place in header["lagged"]},
        powers={arrays[base].tobytes(): (step, arrays[power]) for step, base, power in header["powers"]},
    )
