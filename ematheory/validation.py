"""`validate`: run the claims, judge them, and record it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import report
from .claims import find
from .claims.devices import check_training_device
from .claims.judging import Judgement, Progress, Started, examine


@dataclass(frozen=True)
class Validation:
    """What `validate` returns: a judgement for every level, and the record that reports are made of.

    `contradictions` holds a sentence for each level that came out other than expected.
    """

    judgements: tuple[Judgement, ...]
    record: dict[str, Any]

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """One dict per level: claim, paper, level, verdict, expected, residual, n, interval, seconds, seeds, …"""
        rows: list[dict[str, Any]] = self.record["verdicts"]
        return rows

    @property
    def contradictions(self) -> list[str]:
        return report.contradictions(self.record)


def validate(
    *names: str,
    levels: Sequence[str] | str | None = None,
    tier: str = "quick",
    out: Path | str | None = None,
    progress: Progress | None = None,
    resume: bool = False,
    seed_set: int = 0,
    device: str = "cpu",
) -> Validation:
    """Judge the claims of papers (``"wang2025"``) or single claims (``"C01"``); all without names.

    Parameters
    ----------
    levels : of symbolic, numeric, simulated, trained, networks (one word, or several); None for all that a claim has.
        "trained" is real training, of the claim's model and of networks; where both are, networks are a level of their
        own. A level that is not run says so.
    tier : smoke (seconds per level), quick (at most 15 minutes per level) or full.
    out : a folder for `report.json` and `index.html`, written at the end, and for `levels/`, where each level is kept
        as soon as it is judged; None writes nothing.
    progress : called with a `claims.Started` before and a `claims.Judgement` after each level.
    resume : take from `out` the levels that a run of the same tier, seeds, device, code, versions and instruction sets
        has judged, and run the rest. A level that ended in an error runs again. What is taken keeps its own date and
        seconds.
    seed_set : 0 for the seeds that claims name; k for others, 10⁶·k further on, which no other set has. What draws
        nothing is the same in every set.
    device : torch's name of where networks are trained, such as "cuda"; the claims' models are the CPU's, as
        all is that papers/ came with.

    Raises
    ------
    ValueError : an unknown claim, paper, level or tier (listing the known ones); a set below 0; a device that torch
        lacks; `resume` without `out`.

    Example
    -------
    >>> validate("C01", levels=["symbolic"], tier="smoke").verdicts[0]["verdict"]
    'confirmed'
    """
    if resume and out is None:
        raise ValueError("resume needs out, the folder in which an earlier run kept its levels")
    isas, device = instruction_sets(), check_training_device(device)
    kept = None if out is None else report.Levels(Path(out) / "levels", report.key(tier, isas, seed_set, device))
    tell = progress or (lambda event: None)
    earlier = kept.find if kept is not None and resume else None
    levels = (levels,) if isinstance(levels, str) else levels
    tell = tell if kept is None else keeping(kept, tell)
    judgements = examine(find(*names), levels, tier, tell, earlier, seed_set, device)
    recorded = report.record(judgements, tier, isas, seed_set, device)
    if out is not None:
        report.write(recorded, out)
    return Validation(judgements, recorded)


def keeping(kept: report.Levels, tell: Progress) -> Progress:
    """What tells of levels and, first, keeps those just judged."""

    def keep(event: Started | Judgement) -> None:
        if isinstance(event, Judgement) and not event.resumed:
            kept.keep(event)
        tell(event)

    return keep


def instruction_sets() -> tuple[str, ...]:
    """What this CPU can run of the native engine."""
    from .native import isas

    return tuple(isas())
