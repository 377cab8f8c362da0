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
    with (done, total) after every block.
    """

    def __init__(self, wanted: bool | Callable[[int, int], Any] | None, total: int) -> None:
        if not (wanted is None or isinstance(wanted, bool) or callable(wanted)):
            raise TypeError(f"progress must be True, None or a function of (done, total), got {wanted!r}")
        self.call = wanted if callable(wanted) else None
        self.total, self.done = total, 0
        self.start = time.monotonic()
        self.line: Any = None
        if wanted is True and sys.stderr.isatty():
            from rich.console import Console
            from rich.status import Status

            self.line = Status("", console=Console(stderr=True))

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
            rate = self.done / max(time.monotonic() - self.start, 1e-9)
            self.line.update(f"{self.done / self.total:4.0%} at {rate:.2g} particle-steps/s")
