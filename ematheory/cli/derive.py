"""`ematheory derive`: derivations, step by step, each step checked as it is printed."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import nouns, options

if TYPE_CHECKING:
    from ..derivations.derivation import Derivation

FORMATS = ("text", "latex", "markdown")


def derive(
    name: Annotated[str | None, typer.Argument(help="A derivation, such as adamw-ema.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every derivation.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only the outcome of every check, one derivation a line.")
    ] = False,
    catalogue: Annotated[
        bool, typer.Option("--catalogue", help="A Markdown page of every derivation: statement, results, source.")
    ] = False,
    format_: Annotated[str, typer.Option("--format", help="text, latex or markdown.")] = "text",
    optimizer: Annotated[
        str | None, typer.Option(help="adamw-ema from another optimizer's update: adamw, sgd, lion, …")
    ] = None,
    momentum: options.Momentum = None,
    nesterov: options.Nesterov = None,
    decay: options.Decay = None,
    bias_correction: options.BiasCorrection = None,
    eps_placement: options.EpsPlacement = None,
    decay_order: options.DecayOrder = None,
    json: options.Json = False,
) -> None:
    """Print a derivation: numbered equations, why each holds, and whether its check passed.

    Checks run each time. Exits with 1 when one fails. An optimizer whose weights are no average is refused.
    """
    from ..records import check_choice

    check_choice("--format", format_, FORMATS)
    if catalogue:
        from ..derivations.catalogue import catalogue as page

        typer.echo(page(), nl=False)
        return
    chosen = asked(name, all_)
    fields = options.given(
        momentum=momentum, nesterov=nesterov, decay=decay, bias_correction=bias_correction,
        eps_placement=eps_placement, decay_order=decay_order,
    )  # fmt: skip
    if optimizer is not None or fields:
        chosen = [of_optimizer(name, optimizer or "adamw", fields)]
    if json:
        typer.echo(json_format.dumps([as_json(derivation) for derivation in chosen], ensure_ascii=False))
    else:
        for position, derivation in enumerate(chosen):
            separator = "\n" if position and not verify else ""
            typer.echo(separator + (outcome(derivation) if verify else str(getattr(derivation, format_)())))
    if not all(derivation.verification for derivation in chosen):
        raise typer.Exit(1)


def outcome(derivation: Derivation) -> str:
    """What verification found, and what the derivation corrects in the literature."""
    found = str(derivation.verification)
    return f"{found}\n  corrects: {derivation.corrects}" if derivation.corrects else found


def asked(name: str | None, everything: bool) -> list[Derivation]:
    """The derivation of that name, or all. Raises `ValueError` listing the known names for neither or both."""
    from ..derivations import derive, names

    if (name is None) != everything:
        raise ValueError(f"give one name or --all; derivations are {', '.join(names())}")
    return [derive(each) for each in (names() if name is None else (name,))]


def of_optimizer(name: str | None, optimizer: str, fields: Mapping[str, Any]) -> Derivation:
    """The derivation from that optimizer's update; the numbers of its record do not matter."""
    from ..derivations import derive

    record = nouns.optimizer(optimizer, lr="1e-3", weight_decay="0.1", **fields)
    return derive(name or "--all", record)


def as_json(derivation: Derivation) -> dict[str, Any]:
    """Statement, source, and every step with its equation in LaTeX and the outcome of its check."""
    from ..derivations.rendering import equation_latex

    found = derivation.verification
    return {
        "name": derivation.name,
        "title": derivation.title,
        "statement": derivation.statement,
        "source": derivation.source,
        "assumptions": derivation.assumptions.words(),
        "verified": bool(found),
        "problems": found.problems(),
        "steps": [
            {
                "number": number,
                "label": step.label,
                "equation": equation_latex(step.displayed),
                "reason": step.reason,
                "check": step.check.words(),
                "checked": bool(line.outcome),
            }
            for number, (step, line) in enumerate(zip(derivation.steps, found.steps, strict=True), 1)
        ],
        "results": [{"name": line.name, "points": line.points, "agrees": bool(line)} for line in found.results],
    }
