"""`ematheory predict`: exact moments of an optimizer on a model problem, without simulating it."""

from __future__ import annotations

import json as json_format
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

PROBLEM, RUN = "Problem", "Run"
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
    lr: options.Lr = "0.1",
    weight_decay: options.WeightDecay = "0",
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
    json: options.Json = False,
) -> None:
    """Exact moments of SGD on a noisy quadratic with a power-law spectrum: transient, or stationary without --steps.

    The risk is ½ Σ h_i E(w_i − θ*_i)²; times are in steps, rotations in radians per step.
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
    sgd = options.optimizer("sgd", nesterov, decay, lr=lr, weight_decay=weight_decay, momentum=momentum)
    words = {
        "final": final, "warmup": warmup, "warmup_steps": warmup_steps, "decay_share": decay_share, "shape": shape,
        "flat": flat, "rate": rate, "harmonic_timescale": harmonic_timescale,
    }  # fmt: skip
    result = run(
        problem,
        sgd,
        steps=steps,
        schedule=options.schedule(schedule or "constant", **words) if schedule or options.given(**words) else None,
        record=None if every is None else each(every),
        observables=tuple(observables.split(",")) if observables else None,
    )
    show(result, json)


def show(result: xr.Dataset, json: bool) -> None:
    from .datasets import as_json

    if json:
        typer.echo(json_format.dumps(as_json(result), ensure_ascii=False, allow_nan=False))
        return
    size = sum(values.size for values in result.values())
    if size > ROWS:
        raise ValueError(f"a table of {size} rows says little; record less often with --every, or use --json")
    from rich.console import Console

    Console().print(table(result))
    if "approximation" in result.attrs:
        typer.echo(f"note: {result.attrs['approximation']}")


def table(result: xr.Dataset) -> Table:
    """One row per observable and place in the result."""
    from rich import box
    from rich.table import Table

    from .datasets import places

    axes = [str(dim) for dim in result.dims]
    made = Table(title=None if "step" in result.dims else "stationary state", box=box.SIMPLE_HEAD, title_justify="left")
    for heading in (*axes, "observable", "predicted"):
        made.add_column(heading, justify="left" if heading == "observable" else "right")
    for name, values in result.items():
        for place in places(values):
            cells: list[Any] = [f"{place[axis]:g}" if axis in place else "" for axis in axes]
            made.add_row(*cells, str(name), f"{float(values.sel(place)):.6g}")
    return made
