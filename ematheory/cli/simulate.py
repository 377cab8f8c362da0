"""`ematheory simulate`: many replicas of an optimizer on a model problem, beside what is predicted for it."""

from __future__ import annotations

import json as json_format
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import nouns, options
from .nouns import OPTIMIZER, PROBLEM, SCHEDULE
from .options import ON_RUN

if TYPE_CHECKING:
    import xarray as xr

    from ..optimizers import Optimizer
    from ..problems import Problem
    from ..schedules import Schedule


# What is shown besides the observables, by how it ends.
SHOWN = ("autocovariance", "_quantiles", "_first_passage", "_first_passage_missed", "_histogram")


@nouns.spelled_out(problem=PROBLEM, optimizer=OPTIMIZER, schedule=SCHEDULE)
def simulate(
    problem: Problem,
    optimizer: Optimizer,
    schedule: Schedule | None,
    steps: Annotated[int, typer.Option(help="T, updates per replica.", rich_help_panel=ON_RUN)] = 1000,
    every: options.Every = None,
    observables: options.Observables = None,
    lags: Annotated[
        str | None, typer.Option(help="Autocovariances at these lags, 1,10,100 steps.", rich_help_panel=ON_RUN)
    ] = None,
    quantiles: Annotated[
        str | None, typer.Option(help="Over replicas, at these probabilities, 0.1,0.5,0.9.", rich_help_panel=ON_RUN)
    ] = None,
    first_passage: Annotated[
        str | None,
        typer.Option(help="First record with an observable at or below a target, risk=0.1.", rich_help_panel=ON_RUN),
    ] = None,
    histogram: Annotated[
        str | None,
        typer.Option(
            help="Counts in bins of equal width, low:high:bins, risk=0:2:20; weight is of every weight.",
            rich_help_panel=ON_RUN,
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            help="Weights per layer or neuron, 64 or 64,64,128: norms, angles, … are of each.", rich_help_panel=ON_RUN
        ),
    ] = None,
    iterate_average: options.IterateAverage = None,
    tail_average: options.TailAverage = None,
    clip_norm: options.ClipNorm = None,
    clip_each: Annotated[
        str, typer.Option(help="Of what that norm is: replica, or group (of --groups).", rich_help_panel=ON_RUN)
    ] = "replica",
    weights: options.Weights = None,
    rounding: options.Rounding = "nearest",
    replicas: Annotated[int, typer.Option(help="Independent runs.", rich_help_panel=ON_RUN)] = 64,
    seed: Annotated[int, typer.Option(help="Of the noise, in 0…2^64 − 1.", rich_help_panel=ON_RUN)] = 0,
    dtype: Annotated[str, typer.Option(help="float64 or float32, of the state.", rich_help_panel=ON_RUN)] = "float64",
    backend: Annotated[
        str, typer.Option(help="auto, cpu, cuda (a GPU) or reference (NumPy).", rich_help_panel=ON_RUN)
    ] = "auto",
    isa: Annotated[str, typer.Option(help="Instruction set; auto takes the widest.", rich_help_panel=ON_RUN)] = "auto",
    threads: Annotated[int | None, typer.Option(help="Default: all CPUs.", rich_help_panel=ON_RUN)] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="File that keeps a run under way, and after Ctrl-C or a kill: the same command goes on from it, to "
            "the same bits.",
            rich_help_panel=ON_RUN,
        ),
    ] = None,
    checkpoint_every: Annotated[
        float, typer.Option(help="Seconds between writes of that file.", rich_help_panel=ON_RUN)
    ] = 60.0,
    json: options.Json = False,
) -> None:
    """Simulate an optimizer on a model problem, with the prediction beside it where there is one.

    An option that the problem or the optimizer does not take is refused with those that it does. The risk is
    ½ Σ h_i E(w_i − θ*_i)²; times are in steps, rotations in radians per step.
    """
    from .. import every as each
    from .. import simulate as run

    plan: dict[str, Any] = {
        "steps": steps,
        "schedule": schedule,
        "record": None if every is None else each(every),
        "observables": None if observables is None else options.names(observables),
    }
    asked: dict[str, Any] = {
        "lags": None if lags is None else whole("lags", lags),
        "quantiles": None if quantiles is None else several("quantiles", quantiles),
        "first_passage": None if first_passage is None else targets(first_passage),
        "histogram": None if histogram is None else bins(histogram),
        "groups": None if groups is None else sizes(groups),
    }
    stepped: dict[str, Any] = {
        "tail_average": None if tail_average is None else options.numbers("tail-average", tail_average),
        "clip_norm": None if clip_norm is None else options.numbers("clip-norm", clip_norm),
        "weights": weights,
    }
    if iterate_average is not None:
        plan["iterate_average"] = options.numbers("iterate-average", iterate_average)
    with telling_of_kept(checkpoint):
        measured = run(
            problem, optimizer, **plan, **asked, **stepped, clip_each=clip_each, rounding=rounding, replicas=replicas,
            seed=seed, dtype=dtype, backend=backend, isa=isa, threads=threads, checkpoint=checkpoint,
            checkpoint_every=checkpoint_every, progress=sys.stderr.isatty(),
        )  # fmt: skip
    predicted, reason = prediction(problem, optimizer, plan, options.given(**stepped))
    names = plan["observables"] or problem.observables[:1]
    more = [name for name in map(str, measured.data_vars) if name.endswith(SHOWN)]
    show(measured, predicted, reason, (*names, *more), json)


@contextmanager
def telling_of_kept(checkpoint: Path | None) -> Iterator[None]:
    """On Ctrl-C, say on stderr how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is not None and checkpoint.exists():
            typer.echo(f"the run so far is kept in {checkpoint}; the same command goes on from there", err=True)
        raise


def several(name: str, text: str) -> list[float]:
    values = options.numbers(name, text)
    return values if isinstance(values, list) else [values]


def whole(name: str, text: str) -> list[int | float]:
    """Numbers as whole ones where they are."""
    return [int(value) if value.is_integer() else value for value in several(name, text)]


def targets(text: str) -> dict[str, float]:
    """`"risk=0.1,weight-norm=2"` as targets by observable. Raises `ValueError` for what is not one number each.

    >>> targets("risk=0.1,weight-norm=2")
    {'risk': 0.1, 'weight_norm': 2.0}
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, target = part.partition("=")
        try:
            found[options.names(name)[0]] = float(target)
        except ValueError:
            raise ValueError(f"--first-passage must be such as risk=0.1, joined by commas, got {text!r}") from None
    return found


def sizes(text: str) -> int | float | list[int | float]:
    """`"64"` as one size of all groups, `"64,128"` as the size of each."""
    values = whole("groups", text)
    return values if "," in text else values[0]


def bins(text: str) -> dict[str, list[float]]:
    """`"risk=0:2:4,weight=-1:1:2"` as edges by observable. Raises `ValueError` for what is not low:high:bins each.

    >>> bins("risk=0:2:4")
    {'risk': [0.0, 0.5, 1.0, 1.5, 2.0]}
    """
    import numpy as np

    found: dict[str, list[float]] = {}
    for part in text.split(","):
        name, _, edges = part.partition("=")
        try:
            low, high, count = edges.split(":")
            if int(count) < 1:
                raise ValueError(count)
            found[options.names(name)[0]] = np.linspace(float(low), float(high), int(count) + 1).tolist()
        except ValueError:
            raise ValueError(f"--histogram must be such as risk=0:2:20, joined by commas, got {text!r}") from None
    return found


def prediction(
    problem: Problem, optimizer: Optimizer, plan: dict[str, Any], beyond: Iterable[str]
) -> tuple[xr.Dataset | None, str]:
    """What is predicted for the run, or None and the reason why nothing is: one is an option that predict has not."""
    from .. import predict
    from ..problems import MEASURED

    if beyond:
        return None, f"predict has no {', '.join(beyond)}: there is nothing to compare with"
    names = plan["observables"]
    if names is not None and not all(name in MEASURED for name in names):
        plan = {**plan, "observables": tuple(name for name in names if name not in MEASURED)}
    try:
        # Whatever predict warns of, simulate has warned of already.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return predict(problem, optimizer, **plan), ""
    except ValueError as error:
        return None, str(error)


def show(measured: xr.Dataset, predicted: xr.Dataset | None, reason: str, names: Any, json: bool) -> None:
    """Print the results; with JSON as the objects `simulated` and `predicted` (null, and `why`, without one)."""
    from .datasets import as_json, print_whole, refuse_long, table

    if json:
        both = {"simulated": as_json(measured), "predicted": None if predicted is None else as_json(predicted)}
        typer.echo(json_format.dumps({**both, "why": reason or None}, ensure_ascii=False, allow_nan=False))
        return
    refuse_long(sum(measured[name].size for name in names))
    ran = json_format.loads(measured.attrs["run"])
    title = f"{ran['backend']} engine, {ran['isa']}, {ran['seconds']:.2g} s"
    print_whole(table(title, measured, predicted, names))
    for note in (reason, (predicted.attrs.get("approximation", "") if predicted is not None else "")):
        if note:
            typer.echo(f"note: {note}")
