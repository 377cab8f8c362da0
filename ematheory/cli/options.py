"""Options that several verbs share, and how numbers and names are written in them; nouns.py makes the nouns of them.

A number may be a list, `0.01,0.1,1`, which is a sweep axis.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

# The headings of `--help`.
ON_PROBLEM, ON_OPTIMIZER, ON_SCHEDULE, ON_RUN = "Problem", "Optimizer", "Schedule", "Run"

ProblemName = Annotated[
    str,
    typer.Option(
        help="noisy-quadratic, random-walk, scale-invariant, rayleigh-quotient (simulated, not predicted), "
        "linear-regression or reshuffled-data.",
        rich_help_panel=ON_PROBLEM,
    ),
]
Coordinates = Annotated[
    int | None, typer.Option(help="Number of weights d; 100 if left out.", rich_help_panel=ON_PROBLEM)
]
Power = Annotated[
    float | None,
    typer.Option(
        help="The curvatures are h_i = i^−power, i = 1 … d; 1 if left out (not random-walk, scale-invariant).",
        rich_help_panel=ON_PROBLEM,
    ),
]
Curvature = Annotated[
    str | None,
    typer.Option(help="Curvatures h_i joined by commas, instead of those two.", rich_help_panel=ON_PROBLEM),
]
Noise = Annotated[
    str | None,
    typer.Option(
        help="Gradient variance at batch size 1, one or one per weight, or 'curvature' for c_i = h_i.",
        rich_help_panel=ON_PROBLEM,
    ),
]
Optimum = Annotated[str | None, typer.Option(help="θ*, one or one per weight.", rich_help_panel=ON_PROBLEM)]
Init = Annotated[
    str | None,
    typer.Option(
        help="Starting weights, one or one per weight (scale-invariant: a list is a sweep).", rich_help_panel=ON_PROBLEM
    ),
]
InitStd = Annotated[
    str | None,
    typer.Option(
        help="Their standard deviation over replicas, one or one per weight; 0 if left out.", rich_help_panel=ON_PROBLEM
    ),
]
Drift = Annotated[
    str | None,
    typer.Option(
        help="Standard deviation of the optimum's move at each step (noisy-quadratic).", rich_help_panel=ON_PROBLEM
    ),
]
DriftReversion = Annotated[
    str | None,
    typer.Option(
        help="Share of its displacement that it goes back at each step (noisy-quadratic).", rich_help_panel=ON_PROBLEM
    ),
]
BatchSize = Annotated[
    str | None, typer.Option(help="B, in samples; 1 if left out, 1,10 is a sweep.", rich_help_panel=ON_PROBLEM)
]
LabelNoise = Annotated[
    str | None,
    typer.Option(help="σ, the labels' standard deviation (linear-regression).", rich_help_panel=ON_PROBLEM),
]
DatasetSize = Annotated[
    int | None,
    typer.Option(help="N, in samples (reshuffled-data); 1000 if left out.", rich_help_panel=ON_PROBLEM),
]
Sampling = Annotated[
    str | None, typer.Option(help="reshuffled or replaced (reshuffled-data).", rich_help_panel=ON_PROBLEM)
]
Precondition = Annotated[
    float | None,
    typer.Option(
        help="p: SGD preconditioned by H^−p, in coordinates of equal risk (noisy-quadratic).",
        rich_help_panel=ON_PROBLEM,
    ),
]

OptimizerName = Annotated[
    str,
    typer.Option(
        help="sgd, adamw, adamc, adam (L2), nadam, ademamix, rmsprop, adamp, amos, lion, signsgd, schedule-free-sgd or "
        "schedule-free-adamw; a verb that has no answer for one says which it takes.",
        rich_help_panel=ON_OPTIMIZER,
    ),
]
Lr = Annotated[
    str, typer.Option(help="Peak learning rate η, per step; 1e-3,1e-2 is a sweep.", rich_help_panel=ON_OPTIMIZER)
]
WeightDecay = Annotated[
    str,
    typer.Option(
        help="λ, PyTorch's: AdamW keeps 1 − ηλ of the weight per step; Adam and SGD add λw to the gradient.",
        rich_help_panel=ON_OPTIMIZER,
    ),
]
Beta1 = Annotated[str | None, typer.Option(help="β₁, per step, in [0, 1).", rich_help_panel=ON_OPTIMIZER)]
Beta2 = Annotated[str | None, typer.Option(help="β₂, per step, in [0, 1).", rich_help_panel=ON_OPTIMIZER)]
Beta3 = Annotated[
    str | None, typer.Option(help="AdEMAMix's β₃ of the slow mean, per step, in [0, 1).", rich_help_panel=ON_OPTIMIZER)
]
Alpha = Annotated[str | None, typer.Option(help="AdEMAMix's α, the slow mean's weight.", rich_help_panel=ON_OPTIMIZER)]
Eps = Annotated[str | None, typer.Option(help="ε, in units of the gradient.", rich_help_panel=ON_OPTIMIZER)]
Momentum = Annotated[
    str | None,
    typer.Option(help="μ, per step, in [0, 1) (sgd, rmsprop, signsgd, amos).", rich_help_panel=ON_OPTIMIZER),
]
MomentumDecay = Annotated[
    str | None, typer.Option(help="NAdam's ψ, of the momentum's own schedule.", rich_help_panel=ON_OPTIMIZER)
]
Nesterov = Annotated[
    bool | None, typer.Option("--nesterov", help="SGD in Nesterov's form.", rich_help_panel=ON_OPTIMIZER)
]
Decay = Annotated[
    str | None,
    typer.Option(
        help="What decay means: per_lr, independent, corrected or cautious; l2 too (sgd, nadam).",
        rich_help_panel=ON_OPTIMIZER,
    ),
]
BiasCorrection = Annotated[
    bool | None,
    typer.Option(
        "--bias-correction/--no-bias-correction",
        help="AdamW: m̂ and v̂, or m and v as they are.",
        rich_help_panel=ON_OPTIMIZER,
    ),
]
EpsPlacement = Annotated[
    str | None,
    typer.Option(
        help="AdamW: ε outside the corrected root, inside it, or outside the uncorrected one.",
        rich_help_panel=ON_OPTIMIZER,
    ),
]
DecayOrder = Annotated[
    str | None, typer.Option(help="AdamW: decay before the step, or after it.", rich_help_panel=ON_OPTIMIZER)
]
Delta = Annotated[
    str | None,
    typer.Option(help="AdamP's δ, of its test for scale-invariant weights.", rich_help_panel=ON_OPTIMIZER),
]
WdRatio = Annotated[
    str | None,
    typer.Option(help="AdamP: the share of the decay that scale-invariant weights get.", rich_help_panel=ON_OPTIMIZER),
]
Scale = Annotated[
    str | None, typer.Option(help="Amos's η̃, the size that weights should come to.", rich_help_panel=ON_OPTIMIZER)
]

ScheduleName = Annotated[
    str | None,
    typer.Option(
        help="constant (if left out), linear, cosine, wsd, inverse-sqrt, exponential or harmonic.",
        rich_help_panel=ON_SCHEDULE,
    ),
]
Final = Annotated[
    float | None,
    typer.Option(help="Last rate as a share of the peak (linear, cosine).", rich_help_panel=ON_SCHEDULE),
]
Warmup = Annotated[float | None, typer.Option(help="Warm-up, as a share of the run.", rich_help_panel=ON_SCHEDULE)]
WarmupSteps = Annotated[int | None, typer.Option(help="Warm-up, in steps.", rich_help_panel=ON_SCHEDULE)]
DecayShare = Annotated[
    float | None, typer.Option(help="WSD: the decay, as a share of the run.", rich_help_panel=ON_SCHEDULE)
]
Shape = Annotated[str | None, typer.Option(help="WSD: linear or sqrt.", rich_help_panel=ON_SCHEDULE)]
Flat = Annotated[
    float | None, typer.Option(help="Inverse square root: the flat start, as a share.", rich_help_panel=ON_SCHEDULE)
]
Rate = Annotated[float | None, typer.Option(help="Exponential: the rate k, per run.", rich_help_panel=ON_SCHEDULE)]
HarmonicTimescale = Annotated[
    float | None, typer.Option(help="Harmonic: the timescale τ, as a share of the run.", rich_help_panel=ON_SCHEDULE)
]


Every = Annotated[
    int | None, typer.Option(help="Record every n steps; default: start and end.", rich_help_panel=ON_RUN)
]
Observables = Annotated[
    str | None, typer.Option(help="Names joined by commas, such as risk,weight_norm.", rich_help_panel=ON_RUN)
]
IterateAverage = Annotated[
    str | None,
    typer.Option(
        help="γ, per step: of the EMA of the weights, w̃ ← γw̃ + (1−γ)w; 0,0.9,0.99 are several.", rich_help_panel=ON_RUN
    ),
]
TailAverage = Annotated[
    str | None,
    typer.Option(help="Of the mean of the weights over the last share of the run, in (0, 1].", rich_help_panel=ON_RUN),
]
ClipNorm = Annotated[
    str | None,
    typer.Option(help="Largest norm of a replica's gradient, as torch clips; 1,10 is a sweep.", rich_help_panel=ON_RUN),
]
Weights = Annotated[
    str | None,
    typer.Option(help="bfloat16: the weights alone are rounded (with --dtype float32).", rich_help_panel=ON_RUN),
]
Rounding = Annotated[str, typer.Option(help="Of such weights: nearest or stochastic.", rich_help_panel=ON_RUN)]
FigurePath = Annotated[
    Path | None, typer.Option("--figure", help="Draw to this file: .png, .svg or .pdf.", dir_okay=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


# The options that a problem, an optimizer and a schedule are written with, their names' first.
PROBLEM = {
    "problem": ProblemName, "coordinates": Coordinates, "power": Power, "curvature": Curvature, "noise": Noise,
    "optimum": Optimum, "init": Init, "batch_size": BatchSize, "label_noise": LabelNoise, "dataset_size": DatasetSize,
    "sampling": Sampling, "init_std": InitStd, "drift": Drift,
    "drift_reversion": DriftReversion, "precondition": Precondition,
}  # fmt: skip
OPTIMIZER = {
    "optimizer": OptimizerName, "lr": Lr, "weight_decay": WeightDecay, "beta1": Beta1, "beta2": Beta2, "beta3": Beta3,
    "alpha": Alpha, "eps": Eps, "momentum": Momentum, "momentum_decay": MomentumDecay, "nesterov": Nesterov,
    "decay": Decay, "bias_correction": BiasCorrection, "eps_placement": EpsPlacement, "decay_order": DecayOrder,
    "delta": Delta, "wd_ratio": WdRatio, "scale": Scale,
}  # fmt: skip
SCHEDULE = {
    "schedule": ScheduleName, "final": Final, "warmup": Warmup, "warmup_steps": WarmupSteps,
    "decay_share": DecayShare, "shape": Shape, "flat": Flat, "rate": Rate, "harmonic_timescale": HarmonicTimescale,
}  # fmt: skip


def numbers(name: str, text: str) -> float | list[float]:
    """`"0.1"` as a number, `"0.1,1"` as a sweep axis. Raises `ValueError` naming the option and what it was given."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--{name} must be a number or numbers joined by commas, got {text!r}") from None
    return values if len(values) > 1 else values[0]


def names(text: str) -> tuple[str, ...]:
    """`"risk,weight-norm"` as names of Python.

    >>> names("risk,weight-norm")
    ('risk', 'weight_norm')
    """
    return tuple(name.strip().replace("-", "_") for name in text.split(","))


def given(**fields: Any) -> dict[str, Any]:
    """The fields that were given: an option that was left out is None."""
    return {name: value for name, value in fields.items() if value is not None}


def option(field: str) -> str:
    return field.replace("_", "-")
