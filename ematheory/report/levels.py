"""Judged levels kept on disk as they finish, one file each, and read back by a later run of the same code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..claims import Claim, Curve, Evidence, Figure, Judgement
from ..claims.judging import ERROR
from ..claims.verdict import Outcome
from ..results import plain
from .record import versions, write_text

PACKAGE = Path(__file__).parents[1]
# Neither takes part in judging: a repaired figure or table leaves every verdict as it was.
PRINTING = ("cli", "report")


def key(tier: str, isas: Sequence[str], seed_set: int = 0, device: str = "cpu") -> dict[str, Any]:
    """All that a verdict can depend on: tier, seeds, device, versions, instruction sets and the package's own files."""
    return {
        "tier": tier, "seed_set": seed_set, "device": device, "isas": list(isas), "versions": versions(),
        "source": source_hash(),
    }  # fmt: skip


def source_hash(package: Path = PACKAGE) -> str:
    """SHA-256 of the package's files, compiled engine included, with their names, less what only prints."""
    found = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        name = path.relative_to(package)
        if path.is_file() and "__pycache__" not in name.parts and name.parts[0] not in PRINTING:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found.update(f"{name.as_posix()}\n{content}\n".encode())
    return found.hexdigest()


@dataclass(frozen=True)
class Levels:
    """The folder of kept levels, `<claim>-<level>.json`, and the key under which they may be used again."""

    folder: Path
    key: dict[str, Any]

    def path(self, claim: Claim, level: str) -> Path:
        return self.folder / f"{claim.id}-{level}.json"

    def keep(self, judgement: Judgement) -> None:
        """Write a level whole, in the place of an earlier one; errors too, so that no older verdict outlives them."""
        kept = {name: getattr(judgement, name) for name in FIELDS}
        evidence = judgement.evidence
        content = {
            "key": self.key,
            **kept,
            "outcomes": [asdict(outcome) for outcome in judgement.outcomes],
            "evidence": {"seeds": evidence.seeds, "isa": evidence.isa, "figures": list(map(asdict, evidence.figures))},
        }
        # Python's JSON, which keeps NaN and infinities: what is read back has to be what was judged.
        write_text(self.path(judgement.claim, judgement.level), json.dumps(plain(content), indent=1) + "\n")

    def find(self, claim: Claim, level: str) -> Judgement | None:
        """The level as it was judged, less its raw findings; None where the key differs or it ended in an error."""
        try:
            kept = json.loads(self.path(claim, level).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(kept, dict) or kept.get("key") != self.key or kept["verdict"] == ERROR:
            return None
        return Judgement(
            claim,
            level,
            outcomes=tuple(outcome(each) for each in kept["outcomes"]),
            evidence=evidence(kept["evidence"]),
            resumed=True,
            **{name: kept[name] for name in FIELDS},
        )


FIELDS = ("verdict", "why", "seconds", "date", "trace")


def outcome(kept: dict[str, Any]) -> Outcome:
    interval = kept["interval"]
    return Outcome(**{**kept, "interval": None if interval is None else tuple(interval)})


def evidence(kept: dict[str, Any]) -> Evidence:
    return Evidence((), tuple(kept["seeds"]), tuple(map(figure, kept["figures"])), kept["isa"])


def figure(kept: dict[str, Any]) -> Figure:
    curves = tuple(Curve(**curve) for curve in kept["curves"])
    return Figure(**{**kept, "curves": curves, "places": tuple(kept["places"])})
