"""The options of `track` that are numbers or words, and which steps they have recorded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...records import POSITIVE, Interval, check_values, check_whole
from .meaning import chosen

# A record at every hundredth of the planned steps, but not more often than this; without a plan, every hundred steps.
LEAST_INTERVAL, DEFAULT_INTERVAL = 20, 100


@dataclass(frozen=True)
class Settings:
    """The options of `track` that are numbers or words."""

    steps: int | None
    steps_per_epoch: float | None
    tokens_per_step: float | None
    every: int | None
    sample: int
    decay: str | None

    def __post_init__(self) -> None:
        for field in ("steps", "every", "sample"):
            if getattr(self, field) is not None:
                check_whole(field, getattr(self, field), Interval(1))
        for field in ("steps_per_epoch", "tokens_per_step"):
            if getattr(self, field) is not None:
                check_values(field, getattr(self, field), POSITIVE)
        chosen(self.decay)

    @cached_property
    def interval(self) -> int:
        if self.every is not None:
            return self.every
        return DEFAULT_INTERVAL if self.steps is None else max(LEAST_INTERVAL, -(-self.steps // 100))

    def given(self) -> dict[str, Any]:
        """What was given, for the record, and the interval."""
        fields = ("steps", "steps_per_epoch", "tokens_per_step", "sample")
        found = {name: getattr(self, name) for name in fields if getattr(self, name) is not None}
        return {**found, "every": self.interval}

    def due(self, step: int) -> bool:
        """Whether this step is recorded."""
        return step % self.interval == 0 or step == self.steps
