"""Verdicts of the same levels on several sets of seeds, side by side: which of them rest on the draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .numbers import interval, number
from .record import Record

# Of a verdict, what the sets share, and what may differ from one to another.
SHARED = ("claim", "paper", "level", "expected")
OWN = (
    "verdict", "decided_by", "residual", "bound", "n", "interval", "confidence", "test", "seeds", "seconds", "date",
    "why",
)  # fmt: skip
Rows = list[dict[str, Any]]


def by_level(records: Iterable[Record]) -> Rows:
    """One row per claim and level that ran: what each set of seeds came to, under the set's number, and `changes`."""
    rows: Rows = []
    for recorded in records:
        for row in recorded["verdicts"]:
            if row["verdict"] != "not run":
                # A record of an earlier version names neither the comparison nor its test.
                own = {str(recorded["seed_set"]): {name: row.get(name) for name in OWN}}
                rows = joined(rows, [{**{name: row[name] for name in SHARED}, "sets": own}])
    return rows


def joined(rows: Iterable[Record], others: Iterable[Record]) -> Rows:
    """The rows with those of another run, whose sets of seeds take the place of the same ones."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (*rows, *others):
        known = found.get((row["claim"], row["level"]), {"sets": {}})
        sets = dict(sorted({**known["sets"], **row["sets"]}.items(), key=lambda item: int(item[0])))
        changing = changes([each["verdict"] for each in sets.values()])
        found[row["claim"], row["level"]] = {**known, **row, "sets": sets, "changes": changing}
    return [found[name] for name in sorted(found)]


def changes(verdicts: Sequence[str]) -> bool:
    """Whether sets of seeds come to different decisions, or any to an error; undecided agrees with all.

    >>> changes(["refuted", "inconclusive", "refuted"]), changes(["refuted", "confirmed"])
    (False, True)
    """
    decided = set(verdicts) - {"inconclusive"}
    return len(decided) > 1 or "error" in decided


def markdown(rows: Sequence[Record]) -> str:
    """A table of the rows: the verdict of each set with its interval, and n and test, which sets mostly share."""
    sets = sorted({int(each) for row in rows for each in row["sets"]})
    heads = ["claim", "level", *(f"set {each}" for each in sets), "n", "test"]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for row in rows:
        found = [row["sets"].get(str(each)) for each in sets]
        shared = ["; ".join(distinct(each[name] for each in found if each)) for name in ("n", "test")]
        lines.append(f"| {' | '.join([row['claim'], row['level'], *map(cell, found), *shared])} |")
    return "\n".join(lines) + "\n"


def distinct(values: Iterable[Any]) -> list[str]:
    """Each different one once, as it is written in a table; none for null."""
    words = (value if isinstance(value, str) else number(value) for value in values if value is not None)
    return list(dict.fromkeys(words))


def cell(found: Mapping[str, Any] | None) -> str:
    """A set's verdict with the interval of the comparison that decided it; a dash for a set that was not judged."""
    if found is None:
        return "–"
    return f"{found['verdict']} {interval(found['interval'])}".strip()
