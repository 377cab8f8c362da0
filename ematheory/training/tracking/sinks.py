"""Where a tracker's records go besides its own memory: JSON lines, TensorBoard, or a function of the record."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .lines import JsonLines, Line, without_undefined

Sink = Callable[[Line], Any]


class Board:
    """Each number of a record as a scalar `group 0/rotation` of a TensorBoard writer, and warnings as text."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def __call__(self, line: Line) -> None:
        if line["record"] == "warning":
            self.writer.add_text(f"{line['optimizer']}/warnings", line["text"], line["step"])
        for kind in ("groups", "parameters"):
            for name, row in line.get(kind, {}).items():
                self.add(f"{line['optimizer']}/{name}", row, line["step"])
        self.writer.flush()

    def add(self, name: str, row: Line, step: int) -> None:
        for quantity, value in without_undefined(row).items():
            if isinstance(value, int | float):
                self.writer.add_scalar(f"{name}/{quantity}", value, step)


def tensorboard(folder: str | Path) -> Board:
    """A sink that writes to a TensorBoard folder: `track(optimizer, out=tracking.tensorboard("runs/1"))`.

    Raises `ModuleNotFoundError` naming the extra to install where TensorBoard is not there.
    """
    if find_spec("tensorboard") is None:
        raise ModuleNotFoundError(
            "writing to TensorBoard needs tensorboard, which is not installed: pip install 'ematheory[tensorboard]'",
            name="tensorboard",
        )
    from torch.utils.tensorboard.writer import SummaryWriter

    return Board(SummaryWriter(str(folder)))


def sinks(out: Any) -> list[Sink]:
    """The sinks that `out` names: a path, a function, a TensorBoard writer, or a list of these.

    Raises `TypeError` for anything else, and `ValueError` for a path that cannot be written to.
    """
    if out is None:
        return []
    if isinstance(out, list | tuple):
        return [sink for each in out for sink in sinks(each)]
    if isinstance(out, str | Path):
        return [JsonLines(Path(out))]
    if hasattr(out, "add_scalar"):
        return [Board(out)]
    if callable(out):
        return [out]
    raise TypeError(
        "out must be the path of a file of JSON lines, a function of a record, a TensorBoard SummaryWriter, or a list "
        f"of these, got {out!r}"
    )
