"""`ematheory train`: a small network on real data under torch.optim, and its losses."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import nouns, options
from .nouns import OPTIMIZER, SCHEDULE

if TYPE_CHECKING:
    import xarray as xr

    from ..optimizers import Optimizer
    from ..schedules import Schedule
    from ..training.tasks import Task

ON_TASK, ON_MACHINE = "Task", "Machine"
WIDTH = "Units per hidden layer; the task's default if left out."


@nouns.spelled_out({"optimizer": "adamw", "lr": "1e-3", "weight_decay": "0.1"}, optimizer=OPTIMIZER, schedule=SCHEDULE)
def train(
    optimizer: Optimizer,
    schedule: Schedule | None,
    task: Annotated[
        str, typer.Option(help="A task by its name, such as digits-mlp.", rich_help_panel=ON_TASK)
    ] = "digits-mlp",
    width: Annotated[int | None, typer.Option(help=WIDTH, rich_help_panel=ON_TASK)] = None,
    depth: Annotated[int | None, typer.Option(help="Hidden layers; likewise.", rich_help_panel=ON_TASK)] = None,
    scale_invariant: Annotated[
        bool | None,
        typer.Option(
            "--scale-invariant",
            help="The network that does not depend on its weights' scale.",
            rich_help_panel=ON_TASK,
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Folder with the data of a task that reads one.", rich_help_panel=ON_TASK)
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(help="Another setting of the task, as name=value; may be repeated.", rich_help_panel=ON_TASK),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training examples.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Examples per step.")] = 64,
    accumulate: Annotated[int, typer.Option(help="Micro-batches that a step's batch is cut into.")] = 1,
    clip_norm: Annotated[
        float | None, typer.Option(help="Largest norm of a step's gradient, as torch clips it.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of weights and batches: 0 or 0,1,2.")] = "0",
    dtype: Annotated[str, typer.Option(help="float64, float32 or bfloat16.")] = "float64",
    every: Annotated[int | None, typer.Option(help="Record every n steps; once an epoch if left out.")] = None,
    observables: options.Observables = None,
    evaluate: Annotated[
        int | None, typer.Option(help="Losses over so many examples of each part; all if left out.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="torch's name of it: cpu, cuda, cuda:1, …", rich_help_panel=ON_MACHINE)
    ] = "cpu",
    cache: Annotated[
        str | None,
        typer.Option(
            help="Folder that keeps finished runs, and those under way to go on with.", rich_help_panel=ON_MACHINE
        ),
    ] = None,
    checkpoint_every: Annotated[
        float,
        typer.Option(help="Seconds between checkpoints of a run under way, in --cache.", rich_help_panel=ON_MACHINE),
    ] = 60.0,
    workers: Annotated[
        int, typer.Option(help="Processes that share the runs out, one thread each.", rich_help_panel=ON_MACHINE)
    ] = 1,
    ensemble: Annotated[
        int, typer.Option(help="Runs advanced together by a vectorised gradient.", rich_help_panel=ON_MACHINE)
    ] = 1,
    json_: options.Json = False,
) -> None:
    """Train a small network on real data with the real torch optimizer, over sweep axes and seeds.

    Losses are the task's means (cross-entropies in nats), the accuracy a share of the test targets, the rotation
    radians per step.
    """
    from ..recording import every as every_steps
    from ..training import train as run
    from .datasets import as_json

    made = named_task(
        task, options.given(width=width, depth=depth, scale_invariant=scale_invariant, folder=data), setting or []
    )
    result = run(
        made, optimizer, epochs=epochs, batch_size=batch_size, schedule=schedule, seeds=whole_numbers(seeds),
        dtype=dtype, record=None if every is None else every_steps(every),
        observables=None if observables is None else options.names(observables), evaluate=evaluate,
        accumulate=accumulate, clip_norm=clip_norm, device=device, cache=cache, checkpoint_every=checkpoint_every,
        workers=workers, ensemble=ensemble, progress=True,
    )  # fmt: skip
    if json_:
        typer.echo(json.dumps(as_json(result), ensure_ascii=False, allow_nan=False))
    else:
        print_table(result, task)


def named_task(name: str, chosen: dict[str, Any], settings: Sequence[str]) -> Task:
    """The task called `name` with the settings chosen, and those written as name=value.

    Raises `ValueError` listing what it takes for an unknown name or a setting that it has not.

    >>> made = named_task("digits-mlp", {"width": 32}, ["split_seed=1"])
    >>> made.width, made.split_seed
    (32, 1)
    """
    from ..records import check_choice
    from ..training import tasks

    known = {options.option(each): getattr(tasks, each) for each in tasks.__all__ if each.islower()}
    check_choice("--task", name, known)
    takes = list(inspect.signature(known[name]).parameters)
    if "folder" in chosen and "folder" not in takes:
        raise ValueError(f"--task {name} reads no folder; leave out --data")
    written = dict(map(written_setting, settings))
    for twice in sorted(set(written) & set(chosen)):
        raise ValueError(f"--setting {twice}=… is given a second time by an option of its own; leave one out")
    given = {**chosen, **written}
    nouns.refuse_unknown(f"--task {name}", given, takes)
    if "folder" in takes and "folder" not in given:
        raise ValueError(f"--task {name} reads files: give the folder that they are in as --data")
    try:
        made: Task = known[name](**given)
    except OSError as error:  # no such folder, or files missing from it: told in words
        raise ValueError(f"--data: {error}") from error
    return made


def written_setting(text: str) -> tuple[str, Any]:
    """`"context=64"` as a name and a value: a number, True or False, or else a word."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"--setting must be name=value, such as test_share=0.1, got {text!r}")
    try:
        return options.names(name)[0], json.loads(value.lower() if value in ("True", "False") else value)
    except ValueError:
        return options.names(name)[0], value


def whole_numbers(text: str) -> list[int]:
    """`"0,1,2"` as seeds. Raises `ValueError` naming the option and what it was given."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--seeds must be whole numbers joined by commas, got {text!r}") from None


def print_table(result: xr.Dataset, task: str) -> None:
    """One row per recorded step; over sweep axes the last step of each, all as means over seeds.

    What each parameter or group has for itself is left to --json.
    """
    from rich.table import Table

    from .datasets import print_whole

    shown = [str(name) for name, values in result.items() if not {"parameter", "group"} & set(values.dims)]
    if not shown:
        raise ValueError("of each parameter or group a table has no room; use --json, or ask for train_loss too")
    means = result[shown].mean("seed")
    axes = [str(dim) for dim in means.dims if dim != "step"]
    rows = means.isel(step=-1) if axes else means
    leading = axes or ["step"]
    table = Table(title=f"{task}: means over {result.sizes['seed']} seed(s)")
    for name in (*leading, *shown):
        table.add_column(name.replace("_", " "), justify="right")
    flat = rows.stack(row=leading)
    for i in range(flat.sizes["row"]):
        row = flat.isel(row=i)
        labels = [f"{float(row[name]):g}" for name in leading]
        table.add_row(*labels, *(f"{float(row[name]):.4g}" for name in shown))
    print_whole(table)
