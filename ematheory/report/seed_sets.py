"""Verdicts of the same levels on several sets of seeds, side by side: which of them rest on the draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .numbers import interval, number
from .record import Record

# Of a verdict's row, what may differ from one set to another.
KEPT = (
    "verdict", "decided_by", "residual", "bound", "n", "interval", "confidence", "test", "seeds", "seconds",
    "date", "why",
)  # fmt: skip


def by_level(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One row per claim and level that ran: what each set of seeds came to, under the set's number, and `changes`."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for recorded in records:
        for row in recorded["verdicts"]:
            if row["verdict"] == "not run":
                continue
            named = {name: row[name] for name in ("claim", "paper", "level", "expected")}
            found = rows.setdefault((row["claim"], row["level"]), {**named, "sets": {}})
            found["sets"][str(recorded["seed_set"])] = {name: row[name] for name in KEPT}
    for found in rows.values():
        found["sets"] = dict(sorted(found["sets"].items(), key=lambda item: int(item[0])))
        found["changes"] = changes([each["verdict"] for each in found["sets"].values()])
    return sorted(rows.values(), key=lambda row: (row["claim"], row["level"]))


def changes(verdicts: Sequence[str]) -> bool:
    """Whether sets of seeds come to different decisions, or any to an error; undecided agrees with all.

    >>> changes(["refuted", "inconclusive", "refuted"]), changes(["refuted", "confirmed"])
    (False, True)
    """
    decided = set(verdicts) - {"inconclusive"}
    return len(decided) > 1 or "error" in decided


def markdown(rows: Sequence[Record], sets: Sequence[int]) -> str:
    """A table of the rows: the verdict of each set with its interval, and n and test, which the sets share."""
    heads = ["claim", "level", *(f"set {each}" for each in sets), "n", "test"]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for row in rows:
        found = [row["sets"].get(str(each)) for each in sets]
        shared = [", ".join(distinct(each[name] for each in found if each)) for name in ("n", "test")]
        lines.append(f"| {' | '.join([row['claim'], row['level'], *map(cell, found), *shared])} |")
    return "\n".join(lines) + "\n"


def distinct(values: Iterable[Any]) -> list[str]:
    """Each different one once, as it is written in a table."""
    return list(dict.fromkeys(value if isinstance(value, str) else number(value) for value in values))


def cell(found: Mapping[str, Any] | None) -> str:
    """A set's verdict with the interval of the comparison that decided it; a dash for a set that was not judged."""
    if found is None:
        return "–"
    return f"{found['verdict']} {interval(found['interval'])}".strip()
