"""A paper's folder: its recorded verdicts, its figures, and the verdict table in its README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .figures import svg
from .numbers import number
from .record import Record, as_json, write_text

START, END = "<!-- verdicts: written by reproduce.py -->", "<!-- end of verdicts -->"
HEADINGS = ("claim", "level", "verdict", "expected", "residual", "bound", "n")


def markdown_table(rows: Sequence[Record]) -> str:
    """The verdicts as a Markdown table, one line per level."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|" + " --- |" * len(HEADINGS)]
    for row in rows:
        words = [row["claim"], row["level"], row["verdict"], row["expected"]]
        numbers = [number(row[name]) for name in ("residual", "bound", "n")]
        lines.append(f"| {' | '.join((*words, *numbers))} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str, rows: Sequence[Record]) -> str:
    """The README's text with the table between its two markers renewed. Raises `ValueError` where they are missing."""
    if START not in readme or END not in readme:
        raise ValueError(f"the README needs the lines {START!r} and {END!r} around its verdict table")
    before, rest = readme.split(START, 1)
    return f"{before}{START}\n{markdown_table(rows)}{END}{rest.split(END, 1)[1]}"


def write_paper(recorded: Record, folder: Path) -> None:
    """Renew `verdicts.json`, `figures/*.svg` and the README's verdict table in a paper's folder."""
    rows = recorded["verdicts"]
    for row in rows:
        for place, figure in enumerate(row["figures"], 1):
            write_text(folder / "figures" / f"{row['claim']}-{row['level']}-{place}.svg", svg(figure))
    bare = [{name: value for name, value in row.items() if name not in ("figures", "trace")} for row in rows]
    write_text(folder / "verdicts.json", as_json({**recorded, "verdicts": bare}))
    readme = folder / "README.md"
    write_text(readme, with_table(readme.read_text(encoding="utf-8"), bare))
