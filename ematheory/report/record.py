"""The record of a validation, `report.json`: plain data from which every table and page is made."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .. import __version__
from ..claims import Judgement
from ..files import written_whole
from ..results import plain

Record: TypeAlias = Mapping[str, Any]
# What can move a number in the last place, beside the code itself.
PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "xarray", "torch", "scikit-learn")


def record(
    judgements: Sequence[Judgement], tier: str, isas: Sequence[str], seed_set: int = 0, device: str = "cpu"
) -> dict[str, Any]:
    """Everything about a validation, as JSON: `verdicts`, one per level; `claims`; tier, seeds, versions, date."""
    claims = {judgement.claim.id: judgement.claim for judgement in judgements}
    return {
        "verdicts": [verdict(judgement) for judgement in judgements],
        "claims": [
            {**{name: getattr(claim, name) for name in CLAIM_FIELDS}, "levels": list(claim.levels)}
            for claim in claims.values()
        ],
        "tier": tier,
        "seed_set": seed_set,
        "seconds": sum(judgement.seconds for judgement in judgements),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "device": device,
        "isas": list(isas),
        "versions": versions(),
    }


CLAIM_FIELDS = ("id", "paper", "statement", "source", "assumptions", "kinds")


def verdict(judgement: Judgement) -> dict[str, Any]:
    """One row: the verdict with the residual, sample size and interval of the comparison that decided it."""
    decided = judgement.deciding
    return {
        "claim": judgement.claim.id,
        "paper": judgement.claim.paper,
        "level": judgement.level,
        "verdict": judgement.verdict,
        "expected": judgement.expected,
        "contradicts": judgement.contradicts,
        "why": judgement.why,
        "decided_by": decided.what if decided else None,
        "rule": decided.rule if decided else None,
        "residual": decided.residual if decided else None,
        "bound": decided.bound if decided else None,
        "n": decided.n if decided else None,
        "interval": decided.interval if decided else None,
        "confidence": decided.confidence if decided else None,
        "test": decided.test if decided else None,
        "seconds": judgement.seconds,
        "date": judgement.date,
        "resumed": judgement.resumed,
        "seeds": list(judgement.evidence.seeds),
        "isa": judgement.evidence.isa,
        "comparisons": [asdict(outcome) for outcome in judgement.outcomes],
        "figures": [asdict(figure) for figure in judgement.evidence.figures],
        "trace": judgement.trace,
    }


def versions() -> dict[str, str]:
    """The installed versions of what takes part, by package."""
    found = {"ematheory": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def as_json(recorded: Record) -> str:
    """Strict JSON: numbers that JSON lacks (NaN, infinities) become null."""
    return json.dumps(finite(plain(recorded)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, in a folder that is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        file.write(text.encode())


def contradictions(recorded: Record) -> list[str]:
    """A sentence for each level that came out other than expected, or with an error."""
    return [sentence(row) for row in recorded["verdicts"] if row["contradicts"]]


def sentence(row: Record) -> str:
    detail = f": {row['why']}" if row["why"] else ""
    return f"{row['claim']} {row['level']} is {row['verdict']}, expected {row['expected']}{detail}"


def counts(rows: Iterable[Record]) -> dict[str, int]:
    """How many rows came to each verdict."""
    words = [row["verdict"] for row in rows]
    return {word: words.count(word) for word in dict.fromkeys(words)}


def array(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Recorded numbers as an array, null as NaN."""
    return np.array(values, dtype=np.float64)
