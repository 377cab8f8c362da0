"""`ematheory timescale`: what a run's weight decay averages over, in steps, epochs, tokens and shares of the run."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import nouns, options

if TYPE_CHECKING:
    from rich.table import Table

    from ..schedules import Schedule
    from ..timescales import Timescale

DATA = "Data"


@nouns.spelled_out(schedule=nouns.SCHEDULE)
def timescale(
    *,
    lr: options.Lr,
    weight_decay: options.WeightDecay,
    batch_size: Annotated[str, typer.Option(help="Batch, in --unit.", rich_help_panel=DATA)],
    dataset_size: Annotated[str, typer.Option(help="One epoch's data, in --unit.", rich_help_panel=DATA)],
    epochs: Annotated[str, typer.Option(help="Passes over the data.", rich_help_panel=DATA)] = "1",
    unit: Annotated[str, typer.Option(help="tokens or samples.", rich_help_panel=DATA)] = "tokens",
    schedule: Schedule | None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the kernel in the terminal.")] = False,
    figure: options.FigurePath = None,
    json: options.Json = False,
) -> None:
    """The timescale of AdamW's weights as a moving average, at the peak rate and over the schedule.

    The timescale is 1/(ηλ) in steps at the peak, and at the schedule's mean rate over the schedule; also in epochs, in
    tokens (or samples) and as a share of the run. The half-life is in steps, the effective sample size in updates, the
    initial weight left a share of the last weight. --plot and --figure draw the kernel: the share of the last weight
    that the updates of each part of the run make up.
    """
    from .. import Constant, Recipe

    recipe = Recipe(
        lr=options.numbers("lr", lr),
        weight_decay=options.numbers("weight-decay", weight_decay),
        batch_size=options.numbers("batch-size", batch_size),
        dataset_size=options.numbers("dataset-size", dataset_size),
        epochs=options.numbers("epochs", epochs),
        unit=unit,
        schedule=schedule or Constant(),
    )
    found = recipe.timescale()
    if figure is not None:
        from .drawing import kernel_figure

        kernel_figure(recipe, figure)
    if json:
        typer.echo(json_format.dumps(as_json(found), ensure_ascii=False, allow_nan=False))
        return
    from rich.console import Console

    console = Console()
    for title, peak, over in points(found):
        console.print(table(title, found.unit, peak, over))
    if plot:
        from .drawing import kernel_text

        typer.echo(kernel_text(recipe))


def as_json(found: Timescale) -> dict[str, Any]:
    """Every number under its name in Python; over sweep axes as nested lists, and null for what is infinite."""
    from .datasets import nulls_for_undefined

    def plain(value: Any) -> Any:
        return nulls_for_undefined(value if isinstance(value, float) else value.values.tolist())

    axes = {} if isinstance(found.run_steps, float) else found.run_steps.coords
    return {
        "unit": found.unit,
        "run_steps": plain(found.run_steps),
        **({"axes": {str(name): values.values.tolist() for name, values in axes.items()}} if axes else {}),
        "peak": {name: plain(value) for name, value in vars(found.peak).items()},
        "schedule": {name: plain(value) for name, value in vars(found.schedule).items()},
    }


Rows = list[tuple[str, float]]


def points(found: Timescale) -> Iterator[tuple[str, Rows, Rows]]:
    """Each point of the sweep: what it is, and its rows at the peak and over the schedule."""
    from .datasets import places

    both = found.peak.rows(found.unit), found.schedule.rows(found.unit)
    run = found.run_steps
    if isinstance(run, float):
        yield f"run of {run:,.0f} steps", both[0], both[1]  # type: ignore[misc]
        return
    for place in places(run):
        named = ", ".join(f"{dim}={value:g}" for dim, value in place.items())
        peak, over = ([(name, float(value.sel(place))) for name, value in rows] for rows in both)  # type: ignore[union-attr]
        yield f"{named}: run of {float(run.sel(place)):,.0f} steps", peak, over


def table(title: str, unit: str, peak: Rows, over: Rows) -> Table:
    from rich import box
    from rich.table import Table

    from ..timescales import number_text

    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    made.add_column("")
    made.add_column("at the peak", justify="right")
    made.add_column("over the schedule", justify="right")
    for (name, at_peak), (_, scheduled) in zip(peak, over, strict=True):
        made.add_row(name, number_text(at_peak), number_text(scheduled))
    return made
