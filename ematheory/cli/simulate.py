"""`ematheory simulate`: many replicas of an optimizer on a model problem, beside what is predicted for it."""

from __future__ import annotations

import json as json_format
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options

if TYPE_CHECKING:
    import xarray as xr

    from ..problems import Problem

PROBLEM, RUN = "Problem", "Run"
# More rows than this say less than --json does.
ROWS = 200

Numbers = str | None


def simulate(
    problem: Annotated[
        str,
        typer.Option(
            help="noisy-quadratic, random-walk, scale-invariant, linear-regression or reshuffled-data.",
            rich_help_panel=PROBLEM,
        ),
    ] = "noisy-quadratic",
    coordinates: Annotated[
        int, typer.Option(help="Number of weights; curvatures are 1, 1/2, … 1/n.", rich_help_panel=PROBLEM)
    ] = 100,
    curvature: Annotated[
        Numbers, typer.Option(help="Curvatures h_i joined by commas, instead.", rich_help_panel=PROBLEM)
    ] = None,
    noise: Annotated[
        Numbers,
        typer.Option(
            help="Gradient variance at batch size 1, per weight, or 'curvature' for c_i = h_i.", rich_help_panel=PROBLEM
        ),
    ] = None,
    optimum: Annotated[Numbers, typer.Option(help="θ*, per weight.", rich_help_panel=PROBLEM)] = None,
    init: Annotated[Numbers, typer.Option(help="Starting weights.", rich_help_panel=PROBLEM)] = None,
    batch_size: Annotated[str, typer.Option(help="B, in samples; 1,10 is a sweep.", rich_help_panel=PROBLEM)] = "1",
    label_noise: Annotated[
        Numbers, typer.Option(help="σ, the labels' standard deviation (linear-regression).", rich_help_panel=PROBLEM)
    ] = None,
    dataset_size: Annotated[
        int | None, typer.Option(help="N, in samples (reshuffled-data); default 1000.", rich_help_panel=PROBLEM)
    ] = None,
    sampling: Annotated[
        str | None, typer.Option(help="reshuffled or replaced (reshuffled-data).", rich_help_panel=PROBLEM)
    ] = None,
    optimizer: options.OptimizerName = "sgd",
    lr: options.Lr = "0.1",
    weight_decay: options.WeightDecay = "0",
    beta1: options.Beta1 = None,
    beta2: options.Beta2 = None,
    eps: options.Eps = None,
    momentum: options.Momentum = None,
    nesterov: options.Nesterov = False,
    decay: options.Decay = None,
    schedule: options.ScheduleName = "constant",
    final: options.Final = None,
    warmup: options.Warmup = None,
    warmup_steps: options.WarmupSteps = None,
    decay_share: options.DecayShare = None,
    shape: options.Shape = None,
    flat: options.Flat = None,
    rate: options.Rate = None,
    harmonic_timescale: options.HarmonicTimescale = None,
    steps: Annotated[int, typer.Option(help="T, updates per replica.", rich_help_panel=RUN)] = 1000,
    every: Annotated[
        int | None, typer.Option(help="Record every n steps; default: start and end.", rich_help_panel=RUN)
    ] = None,
    observables: Annotated[
        str | None, typer.Option(help="Names joined by commas, such as risk,weight_norm.", rich_help_panel=RUN)
    ] = None,
    replicas: Annotated[int, typer.Option(help="Independent runs.", rich_help_panel=RUN)] = 64,
    seed: Annotated[int, typer.Option(help="Of the noise, in 0…2^64 − 1.", rich_help_panel=RUN)] = 0,
    dtype: Annotated[str, typer.Option(help="float64 or float32, of the state.", rich_help_panel=RUN)] = "float64",
    backend: Annotated[str, typer.Option(help="auto, cpu or reference (NumPy).", rich_help_panel=RUN)] = "auto",
    isa: Annotated[str, typer.Option(help="Instruction set; auto takes the widest.", rich_help_panel=RUN)] = "auto",
    threads: Annotated[int | None, typer.Option(help="Default: all CPUs.", rich_help_panel=RUN)] = None,
    json: options.Json = False,
) -> None:
    """Simulate an optimizer on a model problem, with the prediction beside it where there is one.

    The risk is ½ Σ h_i E(w_i − θ*_i)²; times are in steps, rotations in radians per step.
    """
    from .. import every as each
    from .. import simulate as run

    posed = model(
        problem, coordinates, curvature=curvature, noise=noise, optimum=optimum, init=init, batch_size=batch_size,
        label_noise=label_noise, dataset_size=dataset_size, sampling=sampling,
    )  # fmt: skip
    record = options.optimizer(
        optimizer, nesterov, decay, lr=lr, weight_decay=weight_decay, beta1=beta1, beta2=beta2, eps=eps,
        momentum=momentum,
    )  # fmt: skip
    plan: dict[str, Any] = {
        "steps": steps,
        "schedule": options.schedule(
            schedule, final=final, warmup=warmup, warmup_steps=warmup_steps, decay_share=decay_share, shape=shape,
            flat=flat, rate=rate, harmonic_timescale=harmonic_timescale,
        ),
        "record": None if every is None else each(every),
        "observables": tuple(observables.split(",")) if observables else None,
    }  # fmt: skip
    measured = run(
        posed, record, **plan, replicas=replicas, seed=seed, dtype=dtype, backend=backend, isa=isa, threads=threads,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    predicted, reason = prediction(posed, record, plan)
    show(measured, predicted, reason, plan["observables"] or posed.observables[:1], json)


# The fields that each problem takes from the command line.
QUADRATIC = ["curvature", "noise", "optimum", "init", "batch_size"]
FIELDS = {
    "noisy-quadratic": QUADRATIC,
    "random-walk": ["noise", "init", "batch_size"],
    "scale-invariant": ["noise", "init", "batch_size"],
    "linear-regression": ["curvature", "label_noise", "optimum", "init", "batch_size"],
    "reshuffled-data": [*QUADRATIC, "dataset_size", "sampling"],
}
DATASET_SIZE = 1000


def model(name: str, coordinates: int, *, batch_size: str, **fields: Any) -> Problem:
    """The problem called `name`; fields that are None are left to its defaults.

    >>> model("noisy-quadratic", 3, batch_size="4", curvature=None).coordinates
    3
    """
    from .. import problems
    from ..records import check_choice

    check_choice("--problem", name, FIELDS)
    chosen: dict[str, Any] = {key: field(key, given) for key, given in options.given(**fields).items()}
    chosen["batch_size"] = options.numbers("batch-size", batch_size)
    options.refuse_unknown(f"--problem {name}", chosen, FIELDS[name])
    kind: Any = getattr(problems, name.title().replace("-", ""))
    if "curvature" in FIELDS[name]:
        chosen.setdefault("curvature", [1 / i for i in range(1, coordinates + 1)])
        size = {"size": chosen.pop("dataset_size", DATASET_SIZE)} if "dataset_size" in FIELDS[name] else {}
    else:
        size = {"size": coordinates}
    made: Problem = kind(**size, **chosen)
    return made


def field(name: str, given: Any) -> Any:
    """A field's value from its option: words and whole numbers as they are, numbers read from text."""
    as_it_is = name == "sampling" or not isinstance(given, str) or (name, given) == ("noise", "curvature")
    return given if as_it_is else options.numbers(name, given)


def prediction(problem: Problem, optimizer: Any, plan: dict[str, Any]) -> tuple[xr.Dataset | None, str]:
    """What is predicted for the run, or None and the reason why nothing is."""
    from .. import predict

    try:
        # Whatever predict warns of, simulate has warned of already.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return predict(problem, optimizer, **plan), ""
    except ValueError as error:
        return None, str(error)


def show(measured: xr.Dataset, predicted: xr.Dataset | None, reason: str, names: Any, json: bool) -> None:
    """Print the results; with JSON as the objects `simulated` and `predicted` (null, and `why`, without one)."""
    from rich.console import Console

    from .datasets import as_json, table

    if json:
        both = {"simulated": as_json(measured), "predicted": None if predicted is None else as_json(predicted)}
        typer.echo(json_format.dumps({**both, "why": reason or None}, ensure_ascii=False, allow_nan=False))
        return
    size = sum(measured[name].size for name in names)
    if size > ROWS:
        raise ValueError(f"a table of {size} rows says little; record less often than --every, or use --json")
    ran = json_format.loads(measured.attrs["run"])
    title = f"{ran['backend']} engine, {ran['isa']}, {ran['seconds']:.2g} s"
    Console().print(table(title, measured, predicted, names))
    for note in (reason, (predicted.attrs.get("approximation", "") if predicted is not None else "")):
        if note:
            typer.echo(f"note: {note}")
