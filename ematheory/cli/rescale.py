"""`ematheory rescale`: the hyperparameters for another batch, data set or model, and why."""

from __future__ import annotations

import json as json_format
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options

if TYPE_CHECKING:
    from rich.table import Table

    from ..recipes import Recipe
    from ..scaling import Rescaling

NOT_FOUND = 1
SHOWN = (
    "lr", "weight_decay", "beta1", "beta2", "eps", "ema", "init_std", "batch_size", "dataset_size", "epochs", "width",
    "depth", "parameters",
)  # fmt: skip


def rescale(
    lr: Annotated[str | None, typer.Option(help="Peak learning rate η, per step.")] = None,
    weight_decay: Annotated[str | None, typer.Option(help="λ, PyTorch's: AdamW keeps 1 − ηλ per step.")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Batch, in --unit.")] = None,
    dataset_size: Annotated[str | None, typer.Option(help="One epoch's data, in --unit.")] = None,
    epochs: Annotated[str, typer.Option(help="Passes over the data.")] = "1",
    unit: Annotated[str, typer.Option(help="tokens or samples.")] = "tokens",
    width: Annotated[str, typer.Option(help="Width beside the base model's.")] = "1",
    depth: Annotated[str, typer.Option(help="Depth beside the base model's.")] = "1",
    parameters: Annotated[str | None, typer.Option(help="The number of weights.")] = None,
    beta1: options.Beta1 = None,
    beta2: options.Beta2 = None,
    eps: options.Eps = None,
    ema: Annotated[str | None, typer.Option(help="ρ of an average of the model's weights, per step.")] = None,
    init_std: Annotated[str | None, typer.Option(help="Standard deviation of the initial weights.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", help="What changes, as batch-size=1024 or, times what it was, width=4x. Give it again for another."
        ),
    ] = None,
    keep: Annotated[list[str] | None, typer.Option("--keep", help="An invariant to keep; give it again.")] = None,
    preset: Annotated[str | None, typer.Option(help="A published rule; see --list.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="The invariants and the presets.")] = False,
    json: options.Json = False,
) -> None:
    """The recipe for another batch, data set or model, from what is to stay as it was.

    Prints the new recipe, how each hyperparameter scales and why, which directions stay free, and what the rule leaves
    out. Exits with 1 when what is to be kept clashes, after saying which invariants do and what each choice costs.
    """
    if list_:
        typer.echo(json_format.dumps(known(), ensure_ascii=False) if json else known_text())
        return
    from .. import Recipe
    from .. import rescale as rescaled

    fields = {
        "lr": lr, "weight_decay": weight_decay, "batch_size": batch_size, "dataset_size": dataset_size,
        "epochs": epochs, "width": width, "depth": depth, "parameters": parameters, "beta1": beta1, "beta2": beta2,
        "eps": eps, "ema": ema, "init_std": init_std,
    }  # fmt: skip
    for name in ("lr", "weight_decay", "batch_size", "dataset_size"):
        if fields[name] is None:
            raise ValueError(f"give --{name.replace('_', '-')}, or --list")
    numbers: dict[str, Any] = {
        name: options.numbers(name.replace("_", "-"), text) for name, text in options.given(**fields).items()
    }
    recipe = Recipe(**numbers, unit=unit)
    found = rescaled(recipe, keep=keep or [], preset=preset, **targets(to or [], recipe))
    if json:
        typer.echo(json_format.dumps(as_json(found), ensure_ascii=False, allow_nan=False))
    else:
        show(recipe, found)
    if found.recipe is None:
        raise typer.Exit(NOT_FOUND)


def targets(given: list[str], recipe: Recipe) -> dict[str, float]:
    """``["batch-size=1024", "width=4x"]`` as new values. Raises `ValueError` for what is not written so."""
    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        relative = value.endswith("x")
        try:
            number = float(value.removesuffix("x"))
        except ValueError:
            equals = ""
        if not equals:
            raise ValueError(f"--to must be written as batch-size=1024 or width=4x, got {text!r}")
        field = name.strip().replace("-", "_")
        values[field] = number * (getattr(recipe, field, None) or 1.0) if relative else number
    return values


def show(recipe: Recipe, found: Rescaling) -> None:
    """The new recipe beside the old one, then why."""
    from rich.console import Console

    chosen = found.suggestion if found.recipe is None and found.suggestion else found
    if found.recipe is None:
        typer.echo(str(found))
        given_up = [each.name for each in found.keep if each not in chosen.keep]
        typer.echo(f"suggestion: give up {', '.join(given_up)}, which changes least; then")
    assert chosen.recipe is not None
    Console().print(table(recipe, chosen))
    short = "\n".join([f"so {summary(chosen)}", *chosen.uncertainty])
    typer.echo(short if found.recipe is None else str(chosen))


def summary(found: Rescaling) -> str:
    from ..scaling.rescaling import in_letters

    return in_letters(found.exponents) or "nothing has to move"


def table(recipe: Recipe, found: Rescaling) -> Table:
    from rich import box
    from rich.table import Table

    from ..scaling.invariants import monomial
    from ..timescales import number_text

    made = Table(box=box.SIMPLE_HEAD)
    for heading in ("", "was", "becomes", "scales as"):
        made.add_column(heading, justify="right" if heading in ("was", "becomes") else "left")
    for name in SHOWN:
        old, new = getattr(recipe, name), getattr(found.recipe, name)
        if old is None and new is None:
            continue
        powers = found.exponents.get(name) or found.exponents.get(f"one_minus_{name}")
        scales = "" if not powers else ("1 − it: " if name in ("beta1", "beta2", "ema") else "") + monomial(powers)
        made.add_row(name, *("–" if value is None else f"{value:.6g}" for value in (old, new)), scales)
    if found.recipe is not None and 0 < recipe.lr * recipe.weight_decay < 1:  # type: ignore[operator]
        before, after = (dict(each.timescale().peak.rows(each.unit)) for each in (recipe, found.recipe))
        for name, value in before.items():
            if name.startswith("timescale"):
                made.add_row(name, number_text(value), number_text(after[name]), "")  # type: ignore[arg-type]
    return made


def as_json(found: Rescaling) -> dict[str, Any]:
    """The new recipe, exponents as text ("1/2"), free directions, clashes with their choices, and why."""
    from .datasets import nulls_for_undefined

    def plain(powers: Any) -> dict[str, str]:
        return {name: str(power) for name, power in powers.items()}

    recipe = None if found.recipe is None else {name: getattr(found.recipe, name) for name in SHOWN}
    return {
        "recipe": recipe,
        "exponents": {name: plain(powers) for name, powers in found.exponents.items()},
        "intervals": {name: list(interval) for name, interval in found.intervals.items()},
        "uncertainty": list(found.uncertainty),
        "free": [plain(direction) for direction in found.free],
        "clashes": [
            {
                "invariants": list(clash.invariants),
                "choices": [
                    {
                        "drop": choice.drop,
                        "factor": nulls_for_undefined(choice.factor),
                        "also": {name: nulls_for_undefined(factor) for name, factor in choice.also.items()},
                        "exponents": {name: plain(powers) for name, powers in choice.exponents.items()},
                    }
                    for choice in clash.choices
                ],
            }
            for clash in found.clashes
        ],
        "suggestion": None if found.suggestion is None else as_json(found.suggestion),
        "derivation": found.derivation,
        "latex": found.latex(),
        "notes": list(found.notes),
    }


def known() -> dict[str, Any]:
    from ..scaling import INVARIANTS, PRESETS

    return {
        "invariants": {
            each.name: {"formula": each.formula, "meaning": each.meaning, "source": each.source}
            for each in INVARIANTS.values()
        },
        "presets": {
            each.name: {"keeps": list(each.keep), "source": each.source, "leaves_out": each.drops}
            for each in PRESETS.values()
        },
    }


def known_text() -> str:
    lines = ["invariants:"]
    for name, row in known()["invariants"].items():
        lines.append(f"  {name:22}{row['formula']:28} {row['meaning']} ({row['source']})")
    lines.append("presets:")
    for name, row in known()["presets"].items():
        lines += [
            f"  {name:15}keeps {', '.join(row['keeps'])}",
            f"{'':17}{row['source']}; leaves out: {row['leaves_out']}",
        ]
    return "\n".join(lines)
