"""How far a sweep of training runs is: calls back once an epoch, or keeps one line on a terminal's stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from ..simulation.progress import duration


class Progress:
    """Counts epochs over all runs; `wanted` as for `train`. Epochs that were done before are no measure of speed.

    Raises `TypeError` for a `wanted` that is none of True, False, None and a function.
    """

    def __init__(self, wanted: bool | Callable[[int, int], Any] | None, total: int) -> None:
        if not (wanted is None or isinstance(wanted, bool) or callable(wanted)):
            raise TypeError(f"progress must be True, None or a function of (done, total), got {wanted!r}")
        self.total, self.done, self.before, self.start = total, 0, 0, time.monotonic()
        self.call = wanted if callable(wanted) else None
        self.line = wanted is True and sys.stderr.isatty()

    def advance(self, epochs: int = 1, fresh: bool = True) -> None:
        """So many more epochs are done; those that are not `fresh` are from the cache."""
        self.done += epochs
        self.before += 0 if fresh else epochs
        if epochs and self.call is not None:
            self.call(self.done, self.total)
        if epochs and self.line:
            print(f"\r{self.words(time.monotonic() - self.start)}\x1b[K", end="", file=sys.stderr, flush=True)

    def words(self, seconds: float) -> str:
        """The line after so many seconds."""
        counted = f"training: epoch {self.done} of {self.total}"
        fresh = self.done - self.before
        if fresh <= 0 or self.done >= self.total:
            return counted
        return f"{counted}, {duration((self.total - self.done) * seconds / fresh)} left"

    def close(self) -> None:
        if self.line:
            print(file=sys.stderr)
