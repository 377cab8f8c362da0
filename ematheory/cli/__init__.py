"""The command line, `ematheory VERB`: one file per verb, imported only when that verb is called.

A verb file defines a function of its own name with typer options and imports what is heavy inside it. `ValueError`,
`TypeError`, an overflow and a missing extra become one sentence on stderr and exit code 2.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TextIO

import typer

# In the order of the chain: symbols, numbers, trajectories, real training, verdicts.
VERBS = ("derive", "timescale", "translate", "rescale", "predict", "simulate", "train", "track", "validate", "recipes")
WRONG_INPUT, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the entry point of the `ematheory` script."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = in_one_line
    asked = given[:1] if given and given[0] in VERBS else VERBS
    application(asked)(args=given, prog_name="ematheory")


def in_one_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as people want it: its message, not the line of code that gave it."""
    typer.echo(f"warning: {message}", err=True)


def application(verbs: Sequence[str] = VERBS) -> typer.Typer:
    """A typer application of the verbs named."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
    app.callback()(ematheory)
    for name in verbs:
        verb = getattr(import_module(f".{name}", __name__), name)
        app.command(name)(answering_in_one_sentence(name, verb))
    return app


def ematheory() -> None:
    """Theory and simulation of weight decay: derive, predict, simulate, train, judge.

    Every verb prints a table for people, or with --json the same numbers for programs.
    """


def answering_in_one_sentence(name: str, verb: Callable[..., None]) -> Callable[..., None]:
    """The verb, with wrong input reported in one sentence and exit code 2, and Ctrl-C with exit code 130."""

    @functools.wraps(verb)
    def run(*positional: Any, **options: Any) -> None:
        try:
            verb(*positional, **options)
        except (ValueError, TypeError, OverflowError, ModuleNotFoundError) as error:
            typer.echo(f"ematheory {name}: {error}", err=True)
            raise typer.Exit(WRONG_INPUT) from error
        except KeyboardInterrupt:
            typer.echo(f"ematheory {name}: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None

    return run
