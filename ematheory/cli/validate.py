"""`ematheory validate`: examine claims, print their verdicts, write the report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json

if TYPE_CHECKING:
    from ..claims.judging import Judgement, Progress, Started
    from ..validation import Validation


def validate(
    names: Annotated[
        list[str] | None, typer.Argument(help="Papers (wang2025) or claims (C01); all of them without names.")
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(
            help="Levels joined by commas: symbolic,numeric,simulated,trained,networks; trained includes networks. "
            "Default: all."
        ),
    ] = None,
    tier: Annotated[
        str, typer.Option(help="smoke (3 minutes in all), quick (15 minutes a level at most) or full (use --resume).")
    ] = "quick",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.json and index.html, written at the end, and levels/, where each level is kept "
            "once judged."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Take from --out the levels judged before, by the same code and versions in the same tier, on the "
            "same seeds, device and instruction sets, and run the rest; levels that ended in an error run again.",
        ),
    ] = False,
    seed_set: Annotated[
        int,
        typer.Option(help="Draw from another set of seeds: 0 the recorded ones, k others, 10⁶·k further on.", min=0),
    ] = 0,
    device: Annotated[str, typer.Option(help="Where networks are trained, by torch's name: cpu or cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Judge claims: confirmed, refuted, inconclusive or vacuous, with the evidence.

    Exits with 0 when no verdict contradicts the expected one (inconclusive and not run do not), 1 when a level comes
    out confirmed, refuted or vacuous where another of these was expected, or ends in an error, 2 for wrong input.
    """
    from ..validation import validate

    chosen = levels.split(",") if levels is not None else None
    with progress() as tell, telling_of_kept(out):
        result = validate(
            *(names or ()), levels=chosen, tier=tier, out=out, progress=tell, resume=resume, seed_set=seed_set,
            device=device,
        )  # fmt: skip
    show(result, json, out)
    if result.contradictions:
        raise typer.Exit(1)


def show(result: Validation, json: bool, out: Path | None) -> None:
    """The verdict table, or the record as JSON, on stdout; what is wrong, and where the report lies, on stderr."""
    from rich.console import Console

    from .. import report

    if json:
        typer.echo(report.as_json(result.record), nl=False)
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(report.verdict_table(result.verdicts))
    resumed = sum(row["resumed"] for row in result.verdicts)
    if resumed:
        typer.echo(f"resumed: {resumed} level(s) judged by an earlier run; seconds are that run's", err=True)
    for line in result.contradictions:
        typer.echo(f"contradicts: {line}", err=True)
    if out is not None:
        typer.echo(f"report: {out / 'index.html'} and {out / 'report.json'}", err=True)


@contextmanager
def telling_of_kept(out: Path | None) -> Iterator[None]:
    """On Ctrl-C, say on stderr that what was judged so far is not lost."""
    try:
        yield
    except KeyboardInterrupt:
        if out is not None and (out / "levels").is_dir():
            typer.echo(f"judged levels are kept in {out / 'levels'}; --resume goes on from them", err=True)
        raise


@contextmanager
def progress() -> Iterator[Progress | None]:
    """What tells of levels as they run: lines on stderr where that is a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting", spinner="dots") as status:

        def tell(event: Started | Judgement) -> None:
            from ..claims.judging import Judgement

            if isinstance(event, Judgement):
                console.print(finished(event), highlight=False, markup=False)
            else:
                status.update(f"{event.claim.id} {event.level} ({event.position} of {event.total})")

        yield tell


def finished(judgement: Judgement) -> str:
    name = f"{judgement.claim.id} {judgement.level}"
    why = f"  {judgement.why}" if judgement.why else f"  resumed from {judgement.date}" if judgement.resumed else ""
    return f"{name:<15} {judgement.verdict:<12} {judgement.seconds:6.1f} s{why}"
