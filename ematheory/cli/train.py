"""`ematheory train`: a small network on real images of digits under torch.optim, and its losses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from . import nouns, options
from .nouns import OPTIMIZER, SCHEDULE

if TYPE_CHECKING:
    import xarray as xr

    from ..optimizers import Optimizer
    from ..schedules import Schedule

SHOWN = ("train_loss", "test_loss", "test_accuracy", "weight_norm", "rotation", "initial_weight_left")


@nouns.spelled_out({"optimizer": "adamw", "lr": "1e-3", "weight_decay": "0.1"}, optimizer=OPTIMIZER, schedule=SCHEDULE)
def train(
    optimizer: Optimizer,
    schedule: Schedule | None,
    epochs: Annotated[int, typer.Option(help="Passes over the 1438 training images.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 64,
    width: Annotated[int, typer.Option(help="Units per hidden layer.")] = 128,
    depth: Annotated[int, typer.Option(help="Hidden layers.")] = 2,
    scale_invariant: Annotated[
        bool, typer.Option("--scale-invariant", help="The network that does not depend on its weights' scale.")
    ] = False,
    seeds: Annotated[str, typer.Option(help="Seeds of weights and batches: 0 or 0,1,2.")] = "0",
    dtype: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
    json_: options.Json = False,
) -> None:
    """Train a ReLU network on scikit-learn's digits with the real torch.optim optimizer.

    Losses are mean cross-entropies in nats, the accuracy a share of the test images, the rotation radians per step.
    """
    from ..training import tasks
    from ..training import train as run
    from .datasets import as_json

    task = (tasks.digits_scale_invariant if scale_invariant else tasks.digits_mlp)(width, depth)
    result = run(
        task, optimizer, epochs=epochs, batch_size=batch_size, schedule=schedule, seeds=whole_numbers(seeds),
        dtype=dtype, progress=True,
    )  # fmt: skip
    if json_:
        typer.echo(json.dumps(as_json(result), ensure_ascii=False, allow_nan=False))
    else:
        print_table(result)


def whole_numbers(text: str) -> list[int]:
    """`"0,1,2"` as seeds. Raises `ValueError` naming the option and what it was given."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--seeds must be whole numbers joined by commas, got {text!r}") from None


def print_table(result: xr.Dataset) -> None:
    """One row per recorded step; over sweep axes the last step of each, all as means over seeds."""
    from rich.console import Console
    from rich.table import Table

    means = result[list(SHOWN)].mean("seed")
    axes = [str(dim) for dim in means.dims if dim != "step"]
    rows = means.isel(step=-1) if axes else means
    leading = axes or ["step"]
    table = Table(title=f"digits under torch.optim: means over {result.sizes['seed']} seed(s)")
    for name in (*leading, *SHOWN):
        table.add_column(name.replace("_", " "), justify="right")
    flat = rows.stack(row=leading)
    for i in range(flat.sizes["row"]):
        row = flat.isel(row=i)
        labels = [f"{float(row[name]):g}" for name in leading]
        table.add_row(*labels, *(f"{float(row[name]):.4g}" for name in SHOWN))
    Console().print(table)
