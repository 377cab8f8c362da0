"""`ematheory predict`: moments of an optimizer on a model problem without simulating it, and what they answer."""

from __future__ import annotations

import json as json_format
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

PROBLEM, RUN, QUESTION = "Problem", "Run", "Question"
# More rows than this say less than --json does.
ROWS = 200


def predict(
    coordinates: Annotated[int, typer.Option(help="Number of weights d.", rich_help_panel=PROBLEM)] = 100,
    power: Annotated[
        float, typer.Option(help="The curvatures are h_i = i^−power, i = 1 … d.", rich_help_panel=PROBLEM)
    ] = 1.0,
    noise: Annotated[
        str | None,
        typer.Option(help="Gradient variance at batch size 1; default: c_i = h_i.", rich_help_panel=PROBLEM),
    ] = None,
    optimum: Annotated[float, typer.Option(help="θ*, the same for each weight.", rich_help_panel=PROBLEM)] = 0.0,
    init: Annotated[float, typer.Option(help="Starting weights.", rich_help_panel=PROBLEM)] = 1.0,
    batch_size: Annotated[str, typer.Option(help="B, in samples; 1,10 is a sweep.", rich_help_panel=PROBLEM)] = "1",
    optimizer: Annotated[
        str, typer.Option(help="sgd (exact), adamw or adam (moment closure).", rich_help_panel=options.OPTIMIZER)
    ] = "sgd",
    lr: options.Lr = "0.1",
    weight_decay: options.WeightDecay = "0",
    beta1: options.Beta1 = None,
    beta2: options.Beta2 = None,
    eps: options.Eps = None,
    momentum: options.Momentum = None,
    nesterov: options.Nesterov = False,
    decay: options.Decay = None,
    schedule: Annotated[str | None, options.ScheduleName.__metadata__[0]] = None,
    final: options.Final = None,
    warmup: options.Warmup = None,
    warmup_steps: options.WarmupSteps = None,
    decay_share: options.DecayShare = None,
    shape: options.Shape = None,
    flat: options.Flat = None,
    rate: options.Rate = None,
    harmonic_timescale: options.HarmonicTimescale = None,
    steps: Annotated[
        int | None, typer.Option(help="T, updates; left out: the stationary state.", rich_help_panel=RUN)
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="Record every n steps; default: start and end.", rich_help_panel=RUN)
    ] = None,
    observables: Annotated[
        str | None, typer.Option(help="Names joined by commas, such as risk,weight_norm.", rich_help_panel=RUN)
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(help="Print the fewest updates that bring the risk to this.", rich_help_panel=QUESTION),
    ] = None,
    max_steps: Annotated[
        int, typer.Option(help="Where the search for the target gives up, in updates.", rich_help_panel=QUESTION)
    ] = 10**6,
    best: Annotated[
        str | None,
        typer.Option(
            help="Print the best lr, weight_decay or both (lr,weight_decay) for the risk at the end of the run.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    precondition: Annotated[
        float | None,
        typer.Option(help="p: SGD preconditioned by H^−p, in coordinates of equal risk.", rich_help_panel=PROBLEM),
    ] = None,
    iterate_average: Annotated[
        str | None,
        typer.Option(
            help="γ, per step: moments of the EMA of the weights, w̃ ← γw̃ + (1−γ)w (sgd).", rich_help_panel=RUN
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Moments on a noisy quadratic with a power-law spectrum: transient, or stationary without --steps.

    SGD is exact; for AdamW and Adam risk_error is the stated error. The risk is ½ Σ h_i E(w_i − θ*_i)²; times are in
    steps, rotations in radians per step.
    """
    from .. import NoisyQuadratic
    from .. import every as each
    from .. import predict as run

    curvature = [index**-power for index in range(1, coordinates + 1)]
    problem = NoisyQuadratic(
        curvature,
        noise="curvature" if noise in (None, "curvature") else options.numbers("noise", noise or ""),
        optimum=optimum,
        init=init,
        batch_size=options.numbers("batch-size", batch_size),
    )
    if precondition is not None:
        problem = problem.preconditioned(precondition)
    chosen = options.optimizer(
        optimizer, nesterov, decay, lr=lr, weight_decay=weight_decay, beta1=beta1, beta2=beta2, eps=eps,
        momentum=momentum,
    )  # fmt: skip
    words = {
        "final": final, "warmup": warmup, "warmup_steps": warmup_steps, "decay_share": decay_share, "shape": shape,
        "flat": flat, "rate": rate, "harmonic_timescale": harmonic_timescale,
    }  # fmt: skip
    shaped = options.schedule(schedule or "constant", **words) if schedule or options.given(**words) else None
    if target is not None or best is not None:
        if iterate_average is not None:
            raise ValueError("--target and --best are about the weights themselves; leave out --iterate-average")
        answer(problem, chosen, target, best, {"steps": steps, "schedule": shaped}, max_steps, json)
        return
    result = run(
        problem,
        chosen,
        steps=steps,
        schedule=shaped,
        record=None if every is None else each(every),
        observables=tuple(observables.split(",")) if observables else None,
        iterate_average=None if iterate_average is None else options.numbers("iterate-average", iterate_average),
    )
    show(result, json)


def answer(
    problem: Any, optimizer: Any, target: float | None, best: str | None, plan: dict[str, Any], most: int, json: bool
) -> None:
    """Print the fewest steps to a target, or the best hyperparameters."""
    if target is not None and best is not None:
        raise ValueError("--target and --best are two questions; ask one at a time")
    if best is not None:
        show_best(problem, optimizer, best.replace("-", "_").split(","), plan, json)
        return
    if plan["steps"] is not None:
        raise ValueError("--target asks for the number of steps; leave out --steps (--max-steps is where it gives up)")
    from .. import steps_to_target

    found = steps_to_target(problem, optimizer, float(target or 0.0), max_steps=most, schedule=plan["schedule"])
    show(found.to_dataset(), json, f"fewest steps to a risk of {target:g}")


def show_best(problem: Any, optimizer: Any, names: list[str], plan: dict[str, Any], json: bool) -> None:
    from .. import best_hyperparameters

    found = best_hyperparameters(problem, optimizer, names, **plan)
    if json:
        shown = {"values": found.values, "risk": found.value, "interior": found.interior, "bounds": found.bounds}
        typer.echo(json_format.dumps(shown, ensure_ascii=False, allow_nan=False))
        return
    for name, value in found.values.items():
        low, high = found.bounds[name]
        where = "interior" if found.interior[name] else f"not interior within [{low:g}, {high:g}]"
        at_ends = f"{found.value_lower[name]:.6g} 1 % below, {found.value_upper[name]:.6g} 1 % above"
        typer.echo(f"{name} = {value:.4g} ({where}: risk {found.value:.6g}, {at_ends})")
    if "weight_decay" in found.optimizer.field_values() and float(found.optimizer.weight_decay) > 0:
        typer.echo(f"timescale 1/(lr·weight_decay) = {found.timescale_steps:.4g} steps")


def show(result: xr.Dataset, json: bool, title: str = "stationary state") -> None:
    from .datasets import as_json

    if json:
        typer.echo(json_format.dumps(as_json(result), ensure_ascii=False, allow_nan=False))
        return
    size = sum(values.size for values in result.values())
    if size > ROWS:
        raise ValueError(f"a table of {size} rows says little; record less often with --every, or use --json")
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
