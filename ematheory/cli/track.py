"""`ematheory track plot`: the records of a tracked run, as a table, a figure, or JSON."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

# The rows of the table: what, under which name.
SHOWN = (
    ("learning rate", "lr"),
    ("weight decay", "weight_decay"),
    ("timescale, steps", "timescale_steps"),
    ("timescale, epochs", "timescale_epochs"),
    ("timescale, tokens", "timescale_tokens"),
    ("timescale, share of the run", "timescale_run_fraction"),
    ("initial weight left, expected", "initial_weight_left"),
    ("initial weight left, measured", "initial_weight_left_measured"),
    ("weight norm", "weight_norm"),
    ("weight norm, expected", "weight_norm_predicted"),
    ("weight norm, at rest", "weight_norm_equilibrium"),
    ("rotation, radians per step", "rotation"),
    ("rotation, expected", "rotation_predicted"),
    ("rotation, at rest", "rotation_equilibrium"),
    ("update to weight", "update_ratio"),
    ("bfloat16 decay lost, share of weights", "decay_lost"),
    ("bfloat16 decay lost, expected", "decay_lost_predicted"),
)


def track(
    action: Annotated[str, typer.Argument(help="plot.")],
    file: Annotated[Path, typer.Argument(help="What em.track(…, out=FILE) wrote: JSON lines.")],
    figure: options.FigurePath = None,
    parameters: Annotated[
        str | None, typer.Option(help="Draw these tensors, names joined by commas, instead of the groups.")
    ] = None,
    optimizer: Annotated[str | None, typer.Option(help="Whose records, where the file has several.")] = None,
    json: options.Json = False,
) -> None:
    """Draw a tracked run: timescale, initial weights left, norms and rotations, measured beside expected.

    The figure goes to --figure, or beside FILE as .png. The table is of the last record: rates and decays per step,
    timescales in steps, epochs and tokens, norms in units of the weights, rotations in radians per step. What is
    expected assumes white gradients; “at rest” is where the weights would settle at that step's rates.
    """
    from ..records import check_choice
    from ..training.tracking.lines import read
    from ..training.tracking.series import dataset

    check_choice("track's action", action, ("plot",))
    result = dataset(records(file, read), optimizer)
    if json:
        from .datasets import as_json

        typer.echo(json_format.dumps(as_json(result), ensure_ascii=False, allow_nan=False))
        return
    target = file.with_suffix(".png") if figure is None else figure
    draw(result, parameters, target)
    show(result, target)


def records(file: Path, read: object) -> list[dict[str, object]]:
    """The file's records. Raises `ValueError` for a file that is not there."""
    if not file.is_file():
        raise ValueError(f"{str(file)!r} is no file; give what em.track(…, out='run.jsonl') wrote")
    return read(file)  # type: ignore[operator,no-any-return]


def draw(result: xr.Dataset, parameters: str | None, target: Path) -> None:
    """Raises `ValueError` for tensors that the run does not have, and for more than can be told apart."""
    from ..records import check_choice
    from .track_figure import MOST, tracked_figure

    chosen = [str(name) for name in result.group.values]
    if parameters is not None:
        chosen = [name.strip() for name in parameters.split(",")]
        for name in chosen:
            check_choice("--parameters", name, [str(known) for known in result.parameter.values])
        if len(chosen) > MOST:
            raise ValueError(f"--parameters takes up to {MOST} names, which colours can tell apart, got {len(chosen)}")
    tracked_figure(result, chosen[:MOST], target)


def show(result: xr.Dataset, target: Path) -> None:
    from rich.console import Console

    Console().print(table(result))
    for text in json_format.loads(str(result.attrs["warnings"])):
        typer.echo(f"warning: {text}")
    typer.echo(f"drawn to {target}")


def table(result: xr.Dataset) -> Table:
    """The last record of each group."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=f"{result.attrs['optimizer']} after {int(result.step[-1]):,} steps", box=box.SIMPLE_HEAD,
        title_justify="left",
    )  # fmt: skip
    made.add_column("")
    for name in result.group.values:
        made.add_column(str(name), justify="right")
    last = result.isel(step=-1)
    for label, name in SHOWN:
        if name in last and not last[name].isnull().all():
            made.add_row(label, *(cell(float(value)) for value in last[name].values))
    return made


def cell(value: float) -> str:
    """A number, or nothing where there is none."""
    from ..timescales import number_text

    return "" if value != value else number_text(value)
