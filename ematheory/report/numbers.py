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


def interval(ends: Sequence[float | None] | None, confidence: float | None = None) -> str:
    """Both ends, and the level where it is given; in a word where an error is not known, which JSON has as null.

    >>> interval((-0.01, 0.02), 0.999), interval((None, None))
    ('[-0.01, 0.02] at 99.9 %', 'unbounded')
    """
    if ends is None:
        return ""
    if any(end is None or not math.isfinite(end) for end in ends):
        return "unbounded"
    level = f" at {100 * confidence:g} %" if confidence else ""
    return f"[{number(ends[0])}, {number(ends[1])}]{level}"
