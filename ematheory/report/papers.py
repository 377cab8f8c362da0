"""A paper's folder: its recorded verdicts, their figures, and the tables of both in its README.

The quick record lies in the folder itself; that of the full tier, which takes hours, beside it in `full/`. A smoke run
is no record: it goes to `smoke/`, which git ignores, and into no table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..claims.claim import LEVELS
from .figures import svg
from .numbers import interval, number
from .record import Record, as_json, write_text

HEADINGS = ("claim", "level", "verdict", "expected", "residual", "bound", "n", "interval", "test")
# What can move a verdict of training: named beside the full table, all others are in its record.
NAMED = ("ematheory", "torch", "numpy")


def cells(row: Record) -> list[str]:
    """A verdict as the cells of its line."""
    numbers = [number(row[name]) for name in ("residual", "bound", "n")]
    words = [row["claim"], row["level"], row["verdict"], row["expected"]]
    return [*words, *numbers, interval(row["interval"], row["confidence"]) or "–", row["test"] or "–"]


def table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    drawn = [f"| {' | '.join(line)} |" for line in (headings, *lines)]
    return "\n".join((drawn[0], "|" + " --- |" * len(headings), *drawn[1:])) + "\n"


def quick_table(recorded: Record) -> str:
    """The verdicts, one line per level."""
    return table(HEADINGS, [cells(row) for row in recorded["verdicts"]])


def full_table(recorded: Record) -> str:
    """When and by what the verdicts were recorded, and one line per level with its seeds, time and figures."""
    named = ", ".join(f"{package} {recorded['versions'][package]}" for package in NAMED)
    lines = [
        [*cells(row), spans(row["seeds"]), f"{row['seconds']:.0f}", links(row["figures"])]
        for row in recorded["verdicts"]
    ]
    device = recorded["device"]
    trained = "" if device == "cpu" else f", networks on {device}"
    says = (
        f"Tier {recorded['tier']}, recorded on {recorded['date'][:10]} with {named} on {recorded['machine']}{trained}. "
        "Every comparison with its interval, and all versions, are in [full/verdicts.json](full/verdicts.json).\n\n"
    )
    return says + table((*HEADINGS, "seeds", "seconds", "figures"), lines)


def spans(seeds: Sequence[int]) -> str:
    """Seeds in words short enough for a table.

    >>> spans([14, 1400, 1401, 1402]), spans([])
    ('14, 1400–1402', '–')
    """
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "–"


def links(figures: Sequence[str]) -> str:
    return ", ".join(f"[{number}](full/{path})" for number, path in enumerate(figures, 1)) or "–"


@dataclass(frozen=True)
class Place:
    """Where a tier's record is kept in a paper's folder, and between which lines of its README its table stands.

    Without `table` it has none.
    """

    within: str
    start: str = ""
    end: str = ""
    table: Callable[[Record], str] | None = None

    def check(self, readme: str) -> None:
        """Raise `ValueError` where the README lacks the table's two lines."""
        if self.table is not None and (self.start not in readme or self.end not in readme):
            raise ValueError(f"the README needs the lines {self.start!r} and {self.end!r} around its verdict table")

    def with_table(self, readme: str, recorded: Record) -> str:
        """The README's text with this table renewed, or as it is where there is none."""
        self.check(readme)
        if self.table is None:
            return readme
        before, rest = readme.split(self.start, 1)
        return f"{before}{self.start}\n{self.table(recorded)}{self.end}{rest.split(self.end, 1)[1]}"


SMOKE = Place("smoke")
QUICK = Place("", "<!-- verdicts: written by reproduce.py -->", "<!-- end of verdicts -->", quick_table)
FULL = Place("full", "<!-- full tier: written by reproduce.py -->", "<!-- end of the full tier -->", full_table)
PLACES = {"smoke": SMOKE, "quick": QUICK, "full": FULL}
# The names that `figures_of` gives.
FIGURE = re.compile(rf"\w+-({'|'.join(LEVELS)})-\d+\.svg")


def write_paper(recorded: Record, folder: Path, place: Place = QUICK) -> None:
    """Renew `verdicts.json` and `figures/*.svg` of a place in a paper's folder, and their table in the README.

    Figures of levels that an earlier record drew and this one does not are removed; other files there stay.
    """
    inside = folder / place.within
    rows = []
    for row in recorded["verdicts"]:
        drawn = dict(figures_of(row))
        for path, figure in drawn.items():
            write_text(inside / path, svg(figure))
        rows.append({**{name: value for name, value in row.items() if name != "trace"}, "figures": list(drawn)})
    bare = {**recorded, "verdicts": rows}
    write_text(inside / "verdicts.json", as_json(bare))
    readme = folder / "README.md"
    before = readme.read_text(encoding="utf-8")
    if (after := place.with_table(before, bare)) != before:
        write_text(readme, after)
    remove_others(inside, (path for row in rows for path in row["figures"]))


def remove_others(inside: Path, named: Iterable[str]) -> None:
    """Remove a place's figures of levels that are not among those named, by their paths within it."""
    kept = {inside / path for path in named}
    for path in (inside / "figures").glob("*.svg"):
        if FIGURE.fullmatch(path.name) and path not in kept:
            path.unlink()


def figures_of(row: Record) -> Iterator[tuple[str, Record]]:
    """A level's figures, each by its path within the place."""
    for position, figure in enumerate(row["figures"], 1):
        yield f"figures/{row['claim']}-{row['level']}-{position}.svg", figure
