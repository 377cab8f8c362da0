"""The symbolic level of a claim: derivations with every step checked and every result run against brute force."""

from __future__ import annotations

from collections.abc import Callable

from .evidence import Evidence, Proved

# Points at which each result is evaluated against brute force.
POINTS = {"smoke": 3, "quick": 10, "full": 40}


def proof(*names: str) -> Callable[[str], Evidence]:
    """A level that verifies the derivations named."""
    return lambda tier: Evidence(tuple(proved(name, POINTS[tier]) for name in names))


def proved(name: str, points: int) -> Proved:
    """The derivation's checks, run now; `samples` are the points at which its results met brute force."""
    from ..derivations import derive

    found = derive(name).verify(points)
    samples = min((result.points for result in found.results), default=0)
    return Proved(name, len(found.steps), tuple(found.problems()), samples)
