"""The verdict table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..claims.verdict import CONFIDENCE
from .numbers import interval, number
from .record import Record

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {
    "confirmed": "green",
    "refuted": "red",
    "error": "bold red",
    "inconclusive": "yellow",
    "vacuous": "magenta",
    "not run": "dim",
}


# Of the columns that are not plain.
CAPTION = (
    f"interval, test: of the comparison that decided; at {100 * CONFIDENCE:g} % for all k comparisons of the level "
    "together (Šidák),\ntwo-sided by Student's t with f degrees of freedom: t(f), k comparisons; of a share by Clopper "
    "and Pearson: exact binomial."
)


def verdict_table(rows: Sequence[Record]) -> Table:
    """One line per level; a verdict other than expected is marked."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=CAPTION, caption_justify="left")
    for heading in ("claim", "paper", "level", "verdict", "expected"):
        table.add_column(heading, no_wrap=True)
    for heading in ("residual", "bound", "n", "interval", "test", "seconds"):
        table.add_column(heading, justify="right", no_wrap=heading not in ("interval", "test"))
    for row in rows:
        table.add_row(*cells(row))
    return table


def cells(row: Record) -> list[str]:
    from rich.markup import escape

    colour = COLOURS[row["verdict"]]
    mark = " ≠" if row["contradicts"] else ""
    words = [row["claim"], row["paper"], row["level"], f"[{colour}]{row['verdict']}{mark}[/]", row["expected"]]
    if row["verdict"] in ("not run", "error"):
        seconds = "" if row["verdict"] == "not run" else f"{row['seconds']:.1f}"
        return [*words, "", "", "", escape(row["why"]), "", seconds]
    numbers = [number(row[name]) for name in ("residual", "bound", "n")]
    return [*words, *numbers, interval(row["interval"]), row["test"] or "", f"{row['seconds']:.1f}"]
