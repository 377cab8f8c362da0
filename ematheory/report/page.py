"""`index.html`: a self-contained page of a recorded validation, with no script and nothing to load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from .figures import embedded
from .numbers import interval, number
from .record import Record, contradictions, counts

VERDICT_COLUMNS = ("claim", "level", "verdict", "expected", "residual", "bound", "n", "interval", "test", "seconds")
COMPARISON_COLUMNS = ("comparison", "rule", "verdict", "residual", "bound", "n")
# How many comparisons of a level are shown without being asked for.
SHORT = 8
NUMERIC = ("residual", "bound", "n", "interval", "seconds")


def page(recorded: Record) -> str:
    """The whole page as HTML text."""
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    body = [
        "<h1>ematheory: claims and verdicts</h1>",
        meta(recorded),
        summary(recorded),
        verdict_table(recorded["verdicts"]),
        note(),
        *(section(claim, recorded["verdicts"]) for claim in recorded["claims"]),
        installed(recorded),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>ematheory: claims and verdicts</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def meta(recorded: Record) -> str:
    isas = ", ".join(recorded["isas"]) or "NumPy reference only"
    text = (
        f"Tier {recorded['tier']} · seed set {recorded['seed_set']} · {recorded['date']} · "
        f"{recorded['seconds']:.0f} s · {recorded['machine']}, instruction sets: {isas}"
    )
    resumed = sum(row["resumed"] for row in recorded["verdicts"])
    text += f" · {resumed} levels resumed from an earlier run, with its seconds" if resumed else ""
    return f'<p class="meta">{escape(text)}</p>'


def summary(recorded: Record) -> str:
    """How many levels came to each verdict, and what contradicts expectation."""
    total = counts(recorded["verdicts"])
    badges = "".join(badge(word, f"{count} {word}") for word, count in total.items())
    wrong = contradictions(recorded)
    alarm = "".join(f"<br>{escape(line)}" for line in wrong)
    return f'<div class="summary">{badges}</div>' + (
        f'<div class="alarm"><strong>Other than expected</strong>{alarm}</div>' if wrong else ""
    )


def badge(verdict: str, text: str = "", contradicts: bool = False) -> str:
    classes = " ".join(["badge", verdict.replace(" ", "-"), *(["contradicts"] if contradicts else [])])
    return f'<span class="{classes}">{escape(text or verdict)}</span>'


def verdict_table(rows: Sequence[Record]) -> str:
    return table(VERDICT_COLUMNS, ([cell(row, column) for column in VERDICT_COLUMNS] for row in rows))


def cell(row: Record, column: str) -> str:
    """One cell of the verdict table, as HTML."""
    if column == "claim":
        return f'<a href="#{escape(row["claim"])}">{escape(row["claim"])}</a>'
    if column == "verdict":
        why = f'<br><span class="note">{escape(row["why"])}</span>' if row["why"] else ""
        return badge(row["verdict"], contradicts=row["contradicts"]) + why
    if column == "interval":
        return interval(row["interval"], row["confidence"])
    if column == "test":
        return escape(row["test"] or "")
    if column == "seconds":
        return f"{row[column]:.1f}" if row["verdict"] != "not run" else ""
    if column in NUMERIC:
        return number(row[column]) if row["verdict"] != "not run" else ""
    return escape(str(row[column]))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table of cells that are HTML already."""
    classes = ['class="number"' if column in NUMERIC else "" for column in columns]
    head = "".join(f"<th {kind}>{escape(column)}</th>" for column, kind in zip(columns, classes, strict=True))
    lines = ("".join(f"<td {kind}>{text}</td>" for text, kind in zip(row, classes, strict=True)) for row in rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def note() -> str:
    return (
        '<p class="note">Each row shows the comparison that decided it: its residual and the bound that it was held '
        "against (rounding for an equation, a number of standard errors for an interval, zero failed checks for a "
        "proof; a control has to exceed its bound), the sample size and, where it is statistical, the interval of "
        "measured − predicted at the stated level, with its test: t(f), k comparisons is Student's t with f degrees of "
        "freedom, two-sided, Šidák-corrected for the level's k comparisons; exact binomial is the interval of Clopper "
        "and Pearson for a share of replicas.</p>"
    )


def section(claim: Record, rows: Sequence[Record]) -> str:
    """A claim: statement, source, assumptions, and for each level its evidence."""
    assumptions = "".join(f"<li>{escape(text)}</li>" for text in claim["assumptions"])
    own = [row for row in rows if row["claim"] == claim["id"]]
    parts = [
        f'<h2 id="{escape(claim["id"])}"><span class="id">{escape(claim["id"])}</span>{escape(claim["paper"])}</h2>',
        f'<p class="statement">{escape(claim["statement"])}</p>',
        f'<p class="source">{escape(claim["source"])} · kind: {escape(", ".join(claim["kinds"]))}</p>',
        f'<ul class="assumptions">{assumptions}</ul>',
        *(level(row) for row in own),
    ]
    return "\n".join(parts)


def level(row: Record) -> str:
    """What one level found: every comparison, its figures, and the trace of an error."""
    seeds = f" · seeds {', '.join(map(str, row['seeds']))}" if row["seeds"] else ""
    isa = f" · {row['isa']}" if row["isa"] else ""
    resumed = f" · resumed: judged {row['date']}" if row["resumed"] else ""
    detail = escape(row["why"] or f"expected {row['expected']} · {row['seconds']:.1f} s{seeds}{isa}{resumed}")
    heading = f"<h3>{escape(row['level'])} {badge(row['verdict'], contradicts=row['contradicts'])} "
    comparisons = folded(row["comparisons"]) if row["comparisons"] else ""
    figures = "".join(
        f'<figure><img src="{embedded(figure)}" alt="{escape(figure["title"])}"></figure>' for figure in row["figures"]
    )
    trace = f"<pre>{escape(row['trace'])}</pre>" if row["trace"] else ""
    return f'{heading}<span class="meta">{detail}</span></h3>{comparisons}{figures}{trace}'


def folded(comparisons: Sequence[Record]) -> str:
    """The comparisons as a table; a long one opens when clicked, and is open already where one of them is in doubt."""
    whole = comparison_table(comparisons)
    if len(comparisons) <= SHORT:
        return whole
    total = counts(comparisons)
    came_to = ", ".join(f"{count} {word}" for word, count in total.items())
    state = "" if set(total) == {"confirmed"} else " open"
    return f"<details{state}><summary>{len(comparisons)} comparisons: {escape(came_to)}</summary>{whole}</details>"


def comparison_table(comparisons: Sequence[Record]) -> str:
    """One line per comparison; intervals and tests have columns where there are any."""
    statistical = any(each["interval"] is not None for each in comparisons)
    columns = [*COMPARISON_COLUMNS, *(["interval", "test"] if statistical else []), "because"]
    return table(columns, (comparison_cells(each, statistical) for each in comparisons))


def comparison_cells(each: Record, statistical: bool) -> list[str]:
    numbers = [number(each[name]) for name in ("residual", "bound", "n")]
    words = [escape(each["what"]), escape(each["rule"]), badge(each["verdict"])]
    ends = [interval(each["interval"], each["confidence"]), escape(each["test"] or "")] if statistical else []
    return [*words, *numbers, *ends, escape(each["says"])]


def installed(recorded: dict[str, Any] | Record) -> str:
    text = " · ".join(f"{name} {version}" for name, version in recorded["versions"].items())
    return f'<h2>Versions</h2><p class="meta">{escape(text)}</p>'
