"""A claim: what a paper states, under which assumptions, and how each level examines it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..records import check_choice
from .evidence import Evidence

KINDS = ("exact", "asymptotic", "bound", "empirical")
# Real training is of the claim's own model and, where that is another verdict, of networks.
LEVELS = ("symbolic", "numeric", "simulated", "trained", "networks")
TIERS = ("smoke", "quick", "full")
VERDICTS = ("confirmed", "refuted", "inconclusive", "vacuous")


def asked(level: str, names: Sequence[str]) -> bool:
    """Whether the names of levels ask for this one: "trained" does for networks, too.

    >>> asked("networks", ["numeric", "trained"]), asked("trained", ["networks"])
    (True, False)
    """
    return level in names or (level == "networks" and "trained" in names)


@dataclass(frozen=True)
class Level:
    """One way to examine a claim.

    run : from a tier, which sets how much work is done, to the evidence.
    expected : the verdict that theory leads one to expect.
    tiers : the tiers in which it runs.
    needs : modules of optional extras without which it cannot run.
    """

    run: Callable[[str], Evidence]
    expected: str = "confirmed"
    tiers: tuple[str, ...] = TIERS
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice("expected", self.expected, VERDICTS)
        for tier in self.tiers:
            check_choice("tier", tier, TIERS)


@dataclass(frozen=True)
class Claim:
    """A statement with its source, its assumptions and up to five levels.

    id : exactly as in the table of claims, ``"C01"``.
    paper : the key of the paper that it is judged under, ``"wang2025"``.
    statement : in one or two sentences, in this project's notation.
    source : where it is stated: paper and theorem, equation or figure.
    assumptions : each in words.
    kinds : of its comparisons: exact, asymptotic, bound, empirical.

    Raises `ValueError` for an unknown kind or level, or a claim without levels.
    """

    id: str
    paper: str
    statement: str
    source: str
    assumptions: tuple[str, ...]
    kinds: tuple[str, ...]
    levels: Mapping[str, Level]

    def __post_init__(self) -> None:
        if not self.levels or not self.kinds:
            raise ValueError(f"claim {self.id} needs at least one kind and one level")
        for kind in self.kinds:
            check_choice(f"kind of {self.id}", kind, KINDS)
        for level in self.levels:
            check_choice(f"level of {self.id}", level, LEVELS)
