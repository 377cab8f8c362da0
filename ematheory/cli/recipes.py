"""`ematheory recipes`: the published recipes, and what their weight decay averages over."""

from __future__ import annotations

import json as json_format
from typing import TYPE_CHECKING, Any

import typer

from . import options

if TYPE_CHECKING:
    from ..published_recipes import Published

# Of the timescale over the schedule: what the table shows, and its headings.
COLUMNS = {
    "steps": "τ, steps",
    "epochs": "τ, epochs",
    "samples": "τ, tokens",
    "run_fraction": "τ, share of run",
    "initial_weight_left": "initial left",
}
# At the peak rate, beside what the power law would have it be.
PEAK, LAW = "peak τ, share", "power law"


def recipes(figure: options.FigurePath = None, json: options.Json = False) -> None:
    """Published training recipes with the timescale τ of their weight decay over their own schedule.

    τ is in steps, epochs, tokens and as a share of the run; "initial left" is the share of the initial weight in the
    last; tokens per parameter count active parameters of mixtures of experts (marked *). Beside τ at the peak rate,
    as a share of the run, stands the best one by the power law of arXiv 2505.13738, with the interval that the error of
    its exponent gives. Source: release is a released config or code, paper is the paper, memory is unconfirmed.
    --figure draws both over tokens per parameter.
    """
    from ..power_laws import POWER_LINES
    from ..published_recipes import published

    described = [(entry, *timescale_or_reason(entry)) for entry in published().values()]
    if figure is not None:
        from .drawing import recipes_figure

        recipes_figure([(entry, numbers["peak"]["run_fraction"]) for entry, numbers, _ in described if numbers], figure)
    if json:
        typer.echo(json_format.dumps([as_json(*each) for each in described], ensure_ascii=False, allow_nan=False))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD)
    for heading in ("recipe", *COLUMNS.values(), PEAK, LAW, "tokens/parameter", "source"):
        made.add_column(heading, justify="left" if heading in ("recipe", "source") else "right", no_wrap=True)
    for entry, numbers, _ in described:
        made.add_row(*row(entry, numbers))
    # As wide as it needs to be: a name cut short names nothing.
    needed = Console(width=1000).measure(made).maximum
    Console(width=max(needed, Console().width)).print(made)
    typer.echo(f"note: {LAW} {POWER_LINES.uncertainty}")
    for _, _, reason in described:
        if reason:
            typer.echo(f"note: {reason}")


def timescale_or_reason(entry: Published) -> tuple[dict[str, dict[str, float]] | None, str]:
    """The numbers at the peak and over the schedule, or None and why there are none."""
    try:
        recipe = entry.recipe
    except ValueError as error:
        return None, str(error)
    found = recipe.timescale()
    return {"peak": vars(found.peak), "schedule": vars(found.schedule)}, ""


def row(entry: Published, numbers: dict[str, dict[str, float]] | None) -> list[str]:
    from ..timescales import number_text

    shown = ["–" if numbers is None else number_text(numbers["schedule"][name]) for name in COLUMNS]
    name = entry.name if entry.optimizer == "AdamW" else f"{entry.name} ({entry.optimizer})"
    mark = "*" if entry.active_parameters else ""
    peak = "–" if numbers is None else number_text(numbers["peak"]["run_fraction"])
    low, high = map(number_text, entry.power_law_interval)
    law = f"{number_text(entry.power_law_run_fraction)} ({low}–{high})"
    return [name, *shown, peak, law, f"{entry.tokens_per_parameter:,.1f}{mark}", entry.source]


def as_json(entry: Published, numbers: dict[str, dict[str, float]] | None, reason: str) -> dict[str, Any]:
    from .datasets import nulls_for_undefined

    plain = numbers and {
        when: {name: nulls_for_undefined(value) for name, value in each.items()} for when, each in numbers.items()
    }
    return {
        "name": entry.name,
        "optimizer": entry.optimizer,
        "source": entry.source,
        "recipe": dict(entry.entry),
        "tokens_per_parameter": entry.tokens_per_parameter,
        "power_law_run_fraction": entry.power_law_run_fraction,
        "power_law_interval": list(entry.power_law_interval),
        "active_parameters": entry.active_parameters,
        "note": entry.note or None,
        "timescale": plain,
        "why": reason or None,
    }
