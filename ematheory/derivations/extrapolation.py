"""Brute force of a limit: values at a few small steps, extrapolated to step 0."""

from __future__ import annotations

from collections.abc import Sequence

from .evaluation import Number


def extrapolated(known: Sequence[tuple[Number, Number]]) -> Number:
    """At 0 the polynomial through the points (step, value), by Neville's scheme.

    >>> extrapolated([(1, 6), (2, 11), (3, 18)])
    3.0
    """
    steps, row = [step for step, _ in known], [value for _, value in known]
    for order in range(1, len(row)):
        row = [
            (steps[n + order] * row[n] - steps[n] * row[n + 1]) / (steps[n + order] - steps[n])
            for n in range(len(row) - 1)
        ]
    return row[0]
