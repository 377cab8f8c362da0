"""The record of a benchmark as Markdown: the contenders, the goals, what bounds each part, and the fits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from contenders import CONTENDERS
from goals import ENGINE

START, END = "<!-- benchmark: written by make bench -->", "<!-- end of benchmark -->"


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def contenders(found: dict[str, Any]) -> str:
    ours = found["contenders"][ENGINE]["rate"]
    rows = []
    for name, one in found["contenders"].items():
        waiting = f", {one['policy']}" if one["policy"] else ""
        how = (CONTENDERS[name].dtype, str(one["replicas"]), f"{one['threads']}{waiting}")
        rows.append((name, *how, f"{one['rate']:.3g}", f"{ours / one['rate']:.1f} ×"))
    headings = ("", "dtype", "replicas", "threads", "particle-steps/s", "the float32 engine is")
    return markdown(headings, rows)


def judged(found: dict[str, Any]) -> str:
    rows = []
    for goal in found["goals"]:
        wanted = f"≥ {goal['at_least']:g}" if "at_least" in goal else f"≤ {goal['at_most']:g}"
        verdict = "met" if goal["is_met"] else "**not met**"
        if math.isnan(goal["measured"]):
            verdict = "not measured"
        rows.append((goal["goal"], f"{goal['measured']:.3g}", wanted, verdict))
    return markdown(("goal", "measured", "wanted", ""), rows)


def parts(limits: dict[str, Any]) -> str:
    alone = [
        f"On one thread: the update alone {limits['update']:.3g}, the noise alone {limits['noise']:.3g}, one after the "
        f"other {limits['one_after_another']:.3g}, the whole {limits['whole']:.3g} particle-steps/s "
        f"({limits['share']:.0%})."
    ]
    for part in limits.get("parts", []):
        counted, bound = part["instructions_per_vector"], part["bound_by"]
        most = ", ".join(f"{count:g} {name}" for name, count in list(counted.items())[:6])
        alone.append(
            f"The {part['part']} is bound by the {bound}, which would allow {part['bounds'][bound]:.3g}: it reaches "
            f"{part['share_of_bound']:.0%}. It has {sum(counted.values()):.3g} vector instructions a vector: {most}, …."
        )
    return "\n".join(f"* {line}" for line in alone)


def few_cells(found: dict[str, dict[str, float]]) -> str:
    cells = list(next(iter(found.values())))
    rows = [(axis, *(f"{rate:.2g}" for rate in row.values())) for axis, row in found.items()]
    return markdown(("one thread, cells along", *cells), rows)


def fits(found: dict[str, Any]) -> str:
    rows = []
    for axis, fit in found.items():
        line = f"{fit['start'] * 1e3:.2g} ms + {fit['per_unit'] * 1e6:.3g} µs·n"
        rows.append((axis, f"{fit['sizes'][0]} … {fit['sizes'][-1]}", line, f"{fit['largest_deviation']:.0%}"))
    return markdown(("n", "from … to", "seconds of `simulate`", "largest deviation"), rows)


def machine(found: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"{found['date'][:10]}, {found['processor']}, {found['cpus']} CPUs ({found['isa']}), others took "
        f"{found['busy_before']:.0%} of them before and {found['busy_after']:.0%} after; {versions}."
    )


def in_readme(readme: str, found: dict[str, Any]) -> str:
    """The README with what stands between its two markers renewed."""
    before, rest = readme.split(START, 1)
    shown = "\n\n".join((machine(found), contenders(found), judged(found), parts(found["limits"])))
    return f"{before}{START}\n{shown}\n{END}{rest.split(END, 1)[1]}"


def page(found: dict[str, Any]) -> str:
    coupled = ", ".join(f"{name} {rate:.3g}" for name, rate in found["coupled"]["rates"].items())
    threads = ", ".join(f"{count}: {rate:.3g}" for count, rate in found["threads"]["rates"].items())
    return "\n\n".join(
        (
            machine(found), contenders(found), judged(found), parts(found["limits"]), f"* Threads: {threads}.",
            f"* `simulate`, vectors of 1024: {coupled}.", few_cells(found["few_cells"]), fits(found["linear_cost"]), "",
        )
    )  # fmt: skip
