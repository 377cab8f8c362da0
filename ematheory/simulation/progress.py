"""How far a simulation is: calls back, or keeps one line on a terminal's stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Progress:
    """Counts particle-steps (one coordinate of one replica at one point, one step).

    `wanted` is None or False (silent), True (a line on stderr where that is a terminal), or a function that is called
    with (done, total) after every call of the engine. A run that goes on from a checkpoint starts with some `done`.
    """

    def __init__(self, wanted: bool | Callable[[int, int], Any] | None, total: int, done: int = 0) -> None:
        if not (wanted is None or isinstance(wanted, bool) or callable(wanted)):
            raise TypeError(f"progress must be True, None or a function of (done, total), got {wanted!r}")
        self.call = wanted if callable(wanted) else None
        self.total, self.done, self.before = total, done, done
        self.start = time.monotonic()
        self.line: Any = None
        if wanted is True and sys.stderr.isatty():
            from rich.console import Console
            from rich.status import Status

            self.line = Status("starting", console=Console(stderr=True))

    def __enter__(self) -> Progress:
        if self.line is not None:
            self.line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.line is not None:
            self.line.stop()

    def advance(self, work: int) -> None:
        self.done += work
        if self.call is not None:
            self.call(self.done, self.total)
        if self.line is not None:
            self.line.update(self.words(time.monotonic() - self.start))

    def words(self, seconds: float) -> str:
        """The line after so many seconds."""
        rate = (self.done - self.before) / max(seconds, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        return f"{self.done / self.total:4.0%} at {rate:.3g} particle-steps/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """A time to two places: 42 s, 3 min 20 s, 5 h 10 min, 2 d 3 h.

    >>> duration(200.4)
    '3 min 20 s'
    """
    whole = round(seconds)
    for large, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            return f"{whole // size} {large} {whole % size // part} {small}"
    return f"{whole} s"
