"""How a recorded number is written in a table."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(value: float | None) -> str:
    """Three significant digits; counts in full; a dash for none.

    >>> number(0.00012345), number(1200), number(None)
    ('0.000123', '1200', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def interval(ends: Sequence[float] | None, confidence: float | None = None) -> str:
    """Both ends, and the level where it is given.

    >>> interval((-0.01, 0.02), 0.999)
    '[-0.01, 0.02] at 99.9 %'
    """
    if ends is None:
        return ""
    level = f" at {100 * confidence:g} %" if confidence else ""
    return f"[{number(ends[0])}, {number(ends[1])}]{level}"
