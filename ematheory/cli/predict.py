"""`ematheory predict`: moments of an optimizer on a model problem without simulating it, and what they answer."""

from __future__ import annotations

import json as json_format
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import nouns, options
from .nouns import OPTIMIZER, PROBLEM, SCHEDULE
from .options import ON_RUN

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

    from ..optimizers import Optimizer
    from ..prediction import Best
    from ..problems import Problem
    from ..schedules import Schedule

ON_QUESTION = "Question"


@nouns.spelled_out(problem=PROBLEM, optimizer=OPTIMIZER, schedule=SCHEDULE)
def predict(
    problem: Problem,
    optimizer: Optimizer,
    schedule: Schedule | None,
    steps: Annotated[
        int | None, typer.Option(help="T, updates; left out: the stationary state.", rich_help_panel=ON_RUN)
    ] = None,
    every: options.Every = None,
    observables: options.Observables = None,
    iterate_average: Annotated[
        str | None,
        typer.Option(
            help="γ, per step: moments of the EMA of the weights, w̃ ← γw̃ + (1−γ)w (sgd).", rich_help_panel=ON_RUN
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(help="Print the fewest updates that bring the risk to this.", rich_help_panel=ON_QUESTION),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(
            help="Where the search for the target gives up, in updates; 10^6 if left out.", rich_help_panel=ON_QUESTION
        ),
    ] = None,
    best: Annotated[
        str | None,
        typer.Option(
            help="Print the best of one or two of lr, weight-decay, timescale (in steps), timescale-run-fraction and "
            "momentum, joined by a comma, for the risk at the end of the run.",
            rich_help_panel=ON_QUESTION,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Moments on a model problem: the run's, or without --steps the stationary state's.

    SGD and Schedule-Free SGD are exact, the Adam family is a moment closure whose <name>_error is the stated error.
    An option that the problem or the optimizer does not take is refused with those that it does. The risk is
    ½ Σ h_i E(w_i − θ*_i)²; times are in steps, rotations in radians per step. --target and --best ask about the risk,
    or about weight_mean_square with --observables weight_mean_square.
    """
    from .. import every as each
    from .. import predict as run

    seen = None if observables is None else options.names(observables)
    if target is not None or best is not None:
        refuse_with_questions(every=every, iterate_average=iterate_average)
        answer(problem, optimizer, target, best, {"steps": steps, "schedule": schedule}, seen, max_steps, json)
        return
    if max_steps is not None:
        raise ValueError("--max-steps is where the search for a --target gives up; the length of a run is --steps")
    result = run(
        problem,
        optimizer,
        steps=steps,
        schedule=schedule,
        record=None if every is None else each(every),
        observables=seen,
        iterate_average=None if iterate_average is None else options.numbers("iterate-average", iterate_average),
    )
    show(result, json)


def refuse_with_questions(**chosen: Any) -> None:
    for name in options.given(**chosen):
        raise ValueError(f"--target and --best are about the weights at the end; leave out --{options.option(name)}")


def answer(
    problem: Problem,
    optimizer: Optimizer,
    target: float | None,
    best: str | None,
    plan: dict[str, Any],
    seen: tuple[str, ...] | None,
    most: int | None,
    json: bool,
) -> None:
    """Print the fewest steps to a target, or the best hyperparameters."""
    from .. import best_hyperparameters, steps_to_target

    if target is not None and best is not None:
        raise ValueError("--target and --best are two questions; ask one at a time")
    if seen is not None and len(seen) > 1:
        raise ValueError(f"--target and --best ask about one observable, got {', '.join(seen)}")
    if seen is None and "risk" not in problem.observables:
        raise ValueError(f"{type(problem).__name__} has no risk; ask about another with --observables")
    observable = "risk" if seen is None else seen[0]
    if best is not None:
        if most is not None:
            raise ValueError("--max-steps is for --target; the length of a run is --steps")
        found = best_hyperparameters(problem, optimizer, options.names(best), **plan, observable=observable)
        show_best(found, observable, json)
        return
    if plan["steps"] is not None:
        raise ValueError("--target asks for the number of steps; leave out --steps (--max-steps is where it gives up)")
    plan = {"schedule": plan["schedule"], "max_steps": 10**6 if most is None else most, "observable": observable}
    counts = steps_to_target(problem, optimizer, float(target or 0.0), **plan)
    show(counts.to_dataset(), json, f"fewest steps to a {observable} of {target:g}")


def show_best(found: Best, observable: str, json: bool) -> None:
    if json:
        from .datasets import nulls_for_undefined

        timescale = {"steps": found.timescale_steps, "run_fraction": found.timescale_run_fraction}
        shown = {
            "values": found.values,
            observable: found.value,
            "error": nulls_for_undefined(found.error),
            "interior": found.interior,
            "bounds": found.bounds,
            "timescale": {name: nulls_for_undefined(value) for name, value in timescale.items()},
        }
        typer.echo(json_format.dumps(shown, ensure_ascii=False, allow_nan=False))
        return
    for name, value in found.values.items():
        low, high = found.bounds[name]
        where = "interior" if found.interior[name] else f"not interior within [{low:g}, {high:g}]"
        at_ends = f"{found.value_lower[name]:.6g} 1 % below, {found.value_upper[name]:.6g} 1 % above"
        typer.echo(f"{name} = {value:.4g} ({where}: {observable} {found.value:.6g}, {at_ends})")
    if found.error is not None:
        typer.echo(f"stated error of the {observable} there: {found.error:.2g} (moment closure)")
    tau, share = found.timescale_steps, found.timescale_run_fraction
    if tau is not None and tau < math.inf:
        of_run = "" if share is None else f", {share:.4g} of the run"
        typer.echo(f"timescale at the peak rate: {tau:.4g} steps{of_run}")


def show(result: xr.Dataset, json: bool, title: str = "stationary state") -> None:
    from .datasets import as_json, refuse_long

    if json:
        typer.echo(json_format.dumps(as_json(result), ensure_ascii=False, allow_nan=False))
        return
    refuse_long(sum(values.size for values in result.values()))
    from rich.console import Console

    Console().print(table(result, title))
    if "approximation" in result.attrs:
        typer.echo(f"note: {result.attrs['approximation']}")


def table(result: xr.Dataset, title: str) -> Table:
    """One row per observable and place in the result."""
    from rich import box
    from rich.table import Table

    from .datasets import places

    axes = [str(dim) for dim in result.dims]
    made = Table(title=None if "step" in result.dims else title, box=box.SIMPLE_HEAD, title_justify="left")
    for heading in (*axes, "observable", "predicted"):
        made.add_column(heading, justify="left" if heading == "observable" else "right")
    for name, values in result.items():
        for place in places(values):
            cells: list[Any] = [f"{place[axis]:g}" if axis in place else "" for axis in axes]
            made.add_row(*cells, str(name), f"{float(values.sel(place)):.6g}")
    return made
