"""Examining claims: their levels run one after another, and each gives a judgement that records can be made of."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.util import find_spec

from ..records import check_choice
from .claim import LEVELS, TIERS, Claim, Level, asked
from .devices import check_training_device, training_on
from .evidence import Evidence
from .seeds import check_chosen, check_seed_set, drawing_from
from .verdict import Outcome, deciding, judge

NOT_RUN, ERROR = "not run", "error"
DECIDED = ("confirmed", "refuted", "vacuous")


@dataclass(frozen=True)
class Judgement:
    """One level of one claim: its verdict (or ``"not run"``, ``"error"``, and why) beside the expected one.

    date : when it finished, in ISO 8601, universal time; empty where it did not run.
    resumed : whether an earlier run judged it; `date` and `seconds` are then that run's.
    """

    claim: Claim
    level: str
    verdict: str
    why: str = ""
    outcomes: tuple[Outcome, ...] = ()
    evidence: Evidence = Evidence(())
    seconds: float = 0.0
    trace: str = ""
    date: str = ""
    resumed: bool = False

    @property
    def expected(self) -> str:
        return self.claim.levels[self.level].expected

    @property
    def contradicts(self) -> bool:
        """Whether the level came to another decision than expected, or to an error; undecided is no contradiction."""
        return self.verdict == ERROR or (self.verdict in DECIDED and self.verdict != self.expected)

    @property
    def deciding(self) -> Outcome | None:
        return deciding(self.verdict, self.outcomes)


@dataclass(frozen=True)
class Started:
    """What `progress` is told before a level runs: `position` of `total`."""

    claim: Claim
    level: str
    position: int
    total: int


Progress = Callable[["Started | Judgement"], None]
# From a claim and a level to the judgement of an earlier run, or None where the level has to run.
Earlier = Callable[[Claim, str], Judgement | None]


def examine(
    claims: Iterable[Claim],
    levels: Sequence[str] | None = None,
    tier: str = "quick",
    progress: Progress | None = None,
    earlier: Earlier | None = None,
    seed_set: int = 0,
    device: str = "cpu",
) -> tuple[Judgement, ...]:
    """Run the claims' levels and judge them.

    Parameters
    ----------
    levels : of symbolic, numeric, simulated, trained (networks included), networks; None for all that a claim has.
    tier : smoke (seconds per level), quick (at most 15 minutes) or full.
    progress : called with a `Started` before and a `Judgement` after each level that runs.
    earlier : asked before each level runs for a judgement to take in its place.
    seed_set : the set of seeds to draw from, 0 for those recorded; a level that draws nothing is the same in each.
    device : torch's name of where networks are trained; all else runs on the CPU.

    Raises `ValueError` for an unknown level or tier, no set of seeds or a device that torch lacks. An exception inside
    a level is a judgement of its own, "error".
    """
    check_choice("tier", tier, TIERS)
    check_seed_set(seed_set)
    device = check_training_device(device)
    for level in levels or ():
        check_choice("level", level, LEVELS)
    tell = progress or (lambda event: None)
    plan = [(claim, level) for claim in claims for level in LEVELS if level in claim.levels]
    reasons = [reason_not_to_run(claim.levels[level], level, levels, tier) for claim, level in plan]
    position, judgements = 0, []
    for (claim, level), reason in zip(plan, reasons, strict=True):
        if reason:
            judgements.append(Judgement(claim, level, NOT_RUN, why=reason))
            continue
        position += 1
        tell(Started(claim, level, position, reasons.count("")))
        judgements.append((earlier and earlier(claim, level)) or examined(claim, level, tier, seed_set, device))
        tell(judgements[-1])
    return tuple(judgements)


def reason_not_to_run(level: Level, name: str, levels: Sequence[str] | None, tier: str) -> str:
    """Why a level is left out, empty when it runs."""
    if levels is not None and not asked(name, levels):
        return "level not chosen"
    if tier not in level.tiers:
        return f"runs in tier {' and '.join(level.tiers)}, this is {tier}"
    missing = [module for module in level.needs if find_spec(module) is None]
    return f"needs {', '.join(missing)}: pip install 'ematheory[torch]'" if missing else ""


def examined(claim: Claim, level: str, tier: str, seed_set: int, device: str) -> Judgement:
    """Run one level on one set of seeds and judge what it found."""
    start = time.perf_counter()
    try:
        with drawing_from(seed_set), training_on(device):
            evidence = claim.levels[level].run(tier)
            check_chosen(evidence.seeds)
        verdict, outcomes = judge(evidence)
    # A level may fail in any way at all; whichever it is, the run goes on and the error is reported as one.
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        return Judgement(claim, level, ERROR, why, seconds=seconds, trace=traceback.format_exc(), date=now())
    return Judgement(claim, level, verdict, "", outcomes, evidence, time.perf_counter() - start, date=now())


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
