"""Options that several verbs share: how the nouns (optimizer, schedule) are written on a command line.

A number may be a list, `0.01,0.1,1`, which is a sweep axis.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..optimizers.optimizer import Optimizer
    from ..schedules import Schedule

OPTIMIZER, SCHEDULE = "Optimizer", "Schedule"

OptimizerName = Annotated[
    str,
    typer.Option(help="adamw, adam (L2), sgd, lion, …; a wrong name lists all.", rich_help_panel=OPTIMIZER),
]
Lr = Annotated[
    str, typer.Option(help="Peak learning rate η, per step; 1e-3,1e-2 is a sweep.", rich_help_panel=OPTIMIZER)
]
WeightDecay = Annotated[
    str,
    typer.Option(
        help="λ, PyTorch's: AdamW keeps 1 − ηλ of the weight per step; Adam and SGD add λw to the gradient.",
        rich_help_panel=OPTIMIZER,
    ),
]
Beta1 = Annotated[str | None, typer.Option(help="β₁, per step, in [0, 1).", rich_help_panel=OPTIMIZER)]
Beta2 = Annotated[str | None, typer.Option(help="β₂, per step, in [0, 1).", rich_help_panel=OPTIMIZER)]
Eps = Annotated[str | None, typer.Option(help="ε, in units of the gradient.", rich_help_panel=OPTIMIZER)]
Momentum = Annotated[str | None, typer.Option(help="SGD's momentum μ, per step.", rich_help_panel=OPTIMIZER)]
Nesterov = Annotated[bool, typer.Option("--nesterov", help="SGD in Nesterov's form.", rich_help_panel=OPTIMIZER)]
Decay = Annotated[
    str | None,
    typer.Option(
        help="What decay means: per_lr, independent, corrected, cautious (adamw); l2, per_lr (sgd).",
        rich_help_panel=OPTIMIZER,
    ),
]

ScheduleName = Annotated[
    str,
    typer.Option(
        help="constant, linear, cosine, wsd, inverse-sqrt, exponential or harmonic.", rich_help_panel=SCHEDULE
    ),
]
Final = Annotated[
    float | None,
    typer.Option(help="Last rate as a share of the peak (linear, cosine).", rich_help_panel=SCHEDULE),
]
Warmup = Annotated[float | None, typer.Option(help="Warm-up, as a share of the run.", rich_help_panel=SCHEDULE)]
WarmupSteps = Annotated[int | None, typer.Option(help="Warm-up, in steps.", rich_help_panel=SCHEDULE)]
DecayShare = Annotated[
    float | None, typer.Option(help="WSD: the decay, as a share of the run.", rich_help_panel=SCHEDULE)
]
Shape = Annotated[str | None, typer.Option(help="WSD: linear or sqrt.", rich_help_panel=SCHEDULE)]
Flat = Annotated[
    float | None, typer.Option(help="Inverse square root: the flat start, as a share.", rich_help_panel=SCHEDULE)
]
Rate = Annotated[float | None, typer.Option(help="Exponential: the rate k, per run.", rich_help_panel=SCHEDULE)]
HarmonicTimescale = Annotated[
    float | None, typer.Option(help="Harmonic: the timescale τ, as a share of the run.", rich_help_panel=SCHEDULE)
]

FigurePath = Annotated[
    Path | None, typer.Option("--figure", help="Draw to this file: .png, .svg or .pdf.", dir_okay=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


def numbers(name: str, text: str) -> float | list[float]:
    """`"0.1"` as a number, `"0.1,1"` as a sweep axis. Raises `ValueError` naming the option and what it was given."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--{name} must be a number or numbers joined by commas, got {text!r}") from None
    return values if len(values) > 1 else values[0]


def given(**fields: Any) -> dict[str, Any]:
    """The fields that were given: those not None."""
    return {name: value for name, value in fields.items() if value is not None}


def optimizer(name: str, nesterov: bool = False, decay: str | None = None, **fields: str | None) -> Optimizer:
    """The optimizer called `name`, its numbers as written on the command line; None means the record's default.

    Raises `ValueError` listing what it takes for an unknown name or an option that it has not.

    >>> optimizer("sgd", lr="0.1", momentum="0.5,0.9").momentum.dims
    ('momentum',)
    """
    from .. import optimizers
    from ..records import check_choice

    kinds = (optimizers.AdamW, optimizers.Adam, optimizers.SGD, optimizers.AdamC, *optimizers.REFERENCE_ONLY)
    known: dict[str, Any] = {kind.__name__.lower(): kind for kind in kinds}
    check_choice("--optimizer", name, known)
    chosen: dict[str, Any] = {key: numbers(option(key), text) for key, text in given(**fields).items()}
    chosen.update(given(decay=decay, nesterov=nesterov or None))
    takes = [field for field in known[name].__dataclass_fields__ if field != "betas"]
    refuse_unknown(f"--optimizer {name}", chosen, takes)
    made: Optimizer = known[name](**chosen)
    return made


def schedule(name: str, **fields: Any) -> Schedule:
    """The schedule called `name`; fields that are None are left to its defaults.

    `decay_share` stands for WSD's `decay`, and `harmonic_timescale` for the harmonic schedule's `timescale`.

    >>> schedule("wsd", decay_share=0.1, final=None)
    WSD(warmup=0.0, decay=0.1, shape='linear')
    """
    from .. import schedules
    from ..records import check_choice

    check_choice("--schedule", name, schedules.SCHEDULES)
    renamed = {"decay_share": "decay", "harmonic_timescale": "timescale"}
    own = schedules.SCHEDULES[name].__dataclass_fields__
    chosen = given(**fields)
    refuse_unknown(f"--schedule {name}", chosen, [key for key in fields if renamed.get(key, key) in own])
    return schedules.named(name, **{renamed.get(key, key): value for key, value in chosen.items()})


def refuse_unknown(what: str, chosen: dict[str, Any], takes: list[str]) -> None:
    for name in chosen:
        if name not in takes:
            allowed = ", ".join(f"--{option(key)}" for key in takes)
            raise ValueError(f"{what} has no --{option(name)}; it takes {allowed}")


def option(field: str) -> str:
    return field.replace("_", "-")
