"""Which seeds levels draw from: those that each claim names, or another set of as many, so that verdicts can be tried.

A verdict that rests on chance has to stand in draws that nobody looked at while the claim was written. Set 0 is the
recorded one. A claim names its seeds once, and takes them from here wherever it draws and wherever it tells of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..records import Interval, check_whole

# From a seed of one set to its like in the next: more than any seed that a claim names, so that sets share none.
APART = 10**6
# Seeds stay below 2⁶³, which is what torch and the datasets hold.
SETS = Interval(0, 2**63 // APART)
_chosen: ContextVar[int] = ContextVar("seed_set", default=0)


@contextmanager
def drawing_from(seed_set: int) -> Iterator[None]:
    """Have levels draw from that set of seeds, 0 being the recorded one.

    >>> with drawing_from(2):
    ...     print(chosen_seed(17), list(chosen_seeds(620, 3)))
    2000017 [2000620, 2000621, 2000622]
    """
    token = _chosen.set(check_seed_set(seed_set))
    try:
        yield
    finally:
        _chosen.reset(token)


def check_seed_set(seed_set: int) -> int:
    """The number of a set. Raises `TypeError` for no whole number, `ValueError` for one below 0 or far too large."""
    return check_whole("seed_set", seed_set, SETS)


def chosen_seed(recorded: int) -> int:
    """The chosen set's seed in the place of a recorded one, which is itself in set 0. Raises for one beyond `APART`."""
    return check_whole("a recorded seed", recorded, Interval(0, APART)) + APART * _chosen.get()


def chosen_seeds(first: int, count: int) -> range:
    """The chosen set's seeds in the place of `count` recorded ones from `first` on."""
    start = chosen_seed(first)
    return range(start, start + count)


def check_chosen(seeds: Iterable[int]) -> None:
    """Raise `ValueError` for a seed of another set: what a level tells of is then not what it was asked to draw."""
    other = [seed for seed in seeds if seed // APART != _chosen.get()]
    if other:
        raise ValueError(f"seeds {other} are not of seed set {_chosen.get()}: take them from chosen_seed")
