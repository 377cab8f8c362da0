"""`ematheory translate`: a weight decay in another framework's meaning."""

from __future__ import annotations

import json as json_format
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import nouns, options

if TYPE_CHECKING:
    from ..schedules import Schedule
    from ..translation import Translation


@nouns.spelled_out(schedule=nouns.SCHEDULE)
def translate(
    *,
    to: Annotated[str | None, typer.Argument(help="The framework, such as composer or keras; see --list.")] = None,
    weight_decay: Annotated[str | None, typer.Option(help="λ in the meaning of --from.")] = None,
    source: Annotated[str, typer.Option("--from", help="The framework that λ is given for.")] = "torch.optim.AdamW",
    lr: Annotated[str | None, typer.Option(help="Peak learning rate η, per step.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the run, where λ depends on the schedule.")] = None,
    schedule: Schedule | None,
    list_: Annotated[bool, typer.Option("--list", help="The frameworks, and what multiplies λ in each.")] = False,
    json: options.Json = False,
) -> None:
    """What to give a framework so that its weights decay, and train, as they do in another.

    λ and the rate are numbers, or one per step where no number does. Refused, with the reason, where no λ gives
    the same dynamics, such as Adam with L2.
    """
    if list_:
        print_conventions(json)
        return
    if to is None or weight_decay is None:
        raise ValueError("give a framework and --weight-decay, or --list")
    from .. import translate as translated

    found = translated(
        options.numbers("weight-decay", weight_decay), to, source=source, steps=steps,
        lr=None if lr is None else options.numbers("lr", lr), schedule=schedule,
    )  # fmt: skip
    typer.echo(json_format.dumps(as_json(found), ensure_ascii=False, allow_nan=False) if json else str(found))


def as_json(found: Translation) -> dict[str, Any]:
    """The numbers under their names in Python, arrays as lists, and null for a rate that was not needed."""
    import numpy as np

    from .datasets import nulls_for_undefined

    numbers = {
        name: nulls_for_undefined(np.asarray(getattr(found, name)).tolist())
        for name in ("weight_decay", "lr", "decay_per_step")
    }
    return {"from": found.source.framework, "to": found.target.framework, **numbers, "notes": list(found.notes)}


def print_conventions(json: bool) -> None:
    """The table of conventions, or its records as JSON."""
    from ..conventions import CONVENTIONS

    if json:
        rows = [vars(row) for row in CONVENTIONS.values()]
        typer.echo(json_format.dumps(rows, ensure_ascii=False, allow_nan=False))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD)
    for heading in ("framework", "λ is multiplied by", "decay comes", "ε", "default λ", "checked"):
        made.add_column(heading, no_wrap=True)
    for row in CONVENTIONS.values():
        default = "–" if row.default_weight_decay is None else f"{row.default_weight_decay:g}"
        order = f"{row.order} the step" if row.order else "in the gradient"
        made.add_row(row.framework, MULTIPLIES[row.multiplies], order, row.epsilon or "–", default, row.checked)
    needed = Console(width=1000).measure(made).maximum
    Console(width=max(needed, Console().width)).print(made)
    typer.echo("checked: run = against the installed framework by the tests; read = from its source, not run")


MULTIPLIES = {
    "lr": "η_k", "multiplier": "s_k = η_k/η", "lr²/peak": "η_k²/η", "lr²": "η_k²", "nothing": "nothing: schedule it",
    "gradient": "(L2: λw joins the gradient)", "detection": "η_k · a ratio found from the data",
}  # fmt: skip
