"""JSON lines: one object per record, flushed; a restart appends, and what a kill tore off is dropped."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

Line = dict[str, Any]

# What each kind of record has at least.
MEMBERS = {
    "start": {"optimizer", "step"}, "step": {"optimizer", "step", "groups", "parameters"},
    "warning": {"optimizer", "step", "text"},
}  # fmt: skip


def text(line: Line) -> str:
    """A record as one line; null for what JSON lacks.

    >>> text({"record": "step", "rotation": float("nan")})
    '{"record": "step", "rotation": null}'
    """
    return json.dumps(without_undefined(line), ensure_ascii=False, allow_nan=False)


def without_undefined(value: Any) -> Any:
    """None for NaN, "inf" for an infinite timescale, in nested dictionaries and lists."""
    if isinstance(value, dict):
        return {name: without_undefined(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_undefined(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def number(value: Any) -> float:
    """The float that `without_undefined` wrote."""
    return math.nan if value is None else float(value)


class JsonLines:
    """Appends records to a file, which is opened with the first and flushed with each."""

    # Who began to record last, by file and optimizer's name.
    writers: ClassVar[dict[tuple[Path, str], JsonLines]] = {}

    def __init__(self, path: Path) -> None:
        if not path.parent.is_dir():
            raise ValueError(f"out={str(path)!r}: the folder {str(path.parent)!r} does not exist")
        if path.is_dir():
            raise ValueError(f"out={str(path)!r} is a folder; give a file such as {str(path / 'run.jsonl')!r}")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise ValueError(f"out={str(path)!r} cannot be written to; give a file where you may write")
        self.path, self.opened, self.told = path, False, False

    def __call__(self, line: Line) -> None:
        self.check_alone(line)
        if not self.opened:
            drop_torn_end(self.path)
            self.opened = True
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text(line) + "\n")

    def check_alone(self, line: Line) -> None:
        """Warn where a second optimizer of the same name writes here between this one's records."""
        key = (self.path.absolute(), line["optimizer"])
        if line["record"] == "start":
            self.writers[key] = self
        elif self.writers.get(key) is not self and not self.told:
            self.told = True
            warnings.warn(
                f"two optimizers write to {str(self.path)!r} as {line['optimizer']!r}, and their records cannot be "
                "told apart: give each its own track(…, name=…)",
                stacklevel=2,
            )


def drop_torn_end(path: Path) -> None:
    """Cut off what follows the last end of a line: a record that a kill left half written."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def read(path: str | Path) -> list[Line]:
    """The records of a file that `track(…, out=path)` wrote, in order; a torn last line is left out.

    Where a run was started again from an earlier step, the records after that step are those of the new start.

    Raises
    ------
    FileNotFoundError : no such file.
    ValueError : a line that is no record of a tracker, with its number; a file without any.
    """
    path = Path(path)
    content = path.read_bytes()
    rows = content.split(b"\n")
    kept: list[Line] = []
    for number_, row in enumerate(rows[:-1], 1):
        if row.strip():
            follow(kept, parsed(path, number_, row))
    if not kept:
        raise ValueError(f"{str(path)!r} has no whole record of a tracker")
    return kept


def is_record(found: Line) -> bool:
    members = MEMBERS.get(str(found.get("record")))
    return members is not None and members <= set(found)


def parsed(path: Path, line: int, row: bytes) -> Line:
    try:
        found = json.loads(row)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not is_record(found):
        raise ValueError(
            f"line {line} of {str(path)!r} is no record of a tracker: {row[:60].decode('utf-8', 'replace')!r}"
        )
    return found


def follow(kept: list[Line], line: Line) -> None:
    """Append a record; a start drops what the same optimizer's earlier runs recorded after its step."""
    if line["record"] == "start":
        kept[:] = [old for old in kept if old["optimizer"] != line["optimizer"] or precedes(old, line["step"])]
    kept.append(line)


def precedes(old: Line, step: int) -> bool:
    """Whether an older record is still of the run that starts again at `step`."""
    return step > 0 and (old["record"] == "start" or old["step"] <= step)


def of_optimizer(lines: Iterable[Line], name: str | None = None) -> list[Line]:
    """The records of one optimizer: the one named, or the only one. Raises `ValueError` listing several."""
    lines = list(lines)
    names = list(dict.fromkeys(line["optimizer"] for line in lines))
    if name is None and len(names) == 1:
        return lines
    if name not in names:
        raise ValueError(f"the records are of {', '.join(map(repr, names))}: choose one of them, got {name!r}")
    return [line for line in lines if line["optimizer"] == name]


def steps_of(lines: Iterable[Line]) -> Iterator[Line]:
    return (line for line in lines if line["record"] == "step")


def warnings_of(lines: Iterable[Line]) -> list[str]:
    """What was warned of, each once."""
    return list(dict.fromkeys(line["text"] for line in lines if line["record"] == "warning"))
