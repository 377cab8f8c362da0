"""The runs whose bits are promised: every variant on every problem, small, with warm-up, a schedule and swept decay."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import xarray as xr

import ematheory as em
from ematheory.optimizers import COUPLED, RECORDS, Optimizer
from ematheory.problems import Problem

STEPS = 30
DTYPES = ("float64", "float32")

OPTIMIZERS: dict[str, Optimizer] = {
    "adamw": em.AdamW(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95)),
    "adamw_cautious": em.AdamW(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95), decay="cautious"),
    "adamw_inside": em.AdamW(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95), eps=0.01, eps_placement="inside"),
    "adamw_after": em.AdamW(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95), decay_order="after"),
    "adam": em.Adam(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95)),
    "sgd_l2": em.SGD(lr=0.1, momentum=0.9, weight_decay=[0.1, 1.0]),
    "sgd_l2_nesterov": em.SGD(lr=0.1, momentum=0.9, weight_decay=[0.1, 1.0], nesterov=True),
    "sgd_per_lr": em.SGD(lr=0.1, momentum=0.9, weight_decay=[0.1, 1.0], decay="per_lr"),
    "sgd_per_lr_nesterov": em.SGD(lr=0.1, momentum=0.9, weight_decay=[0.1, 1.0], nesterov=True, decay="per_lr"),
    "sgd_cautious": em.SGD(lr=0.1, momentum=0.9, weight_decay=[0.1, 1.0], decay="cautious"),
    "ademamix": em.AdEMAMix(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95), beta3=0.99),
    "ademamix_cautious": em.AdEMAMix(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95), beta3=0.99, decay="cautious"),
    "lion": em.Lion(lr=0.01, weight_decay=[0.1, 1.0]),
    "lion_cautious": em.Lion(lr=0.01, weight_decay=[0.1, 1.0], decay="cautious"),
    "nadam_l2": em.NAdam(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95)),
    "nadam_per_lr": em.NAdam(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95), decay="per_lr"),
    "nadam_cautious": em.NAdam(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95), decay="cautious"),
    "rmsprop": em.RMSprop(lr=0.01, weight_decay=[0.1, 1.0], momentum=0.5),
    "schedule_free_adamw": em.ScheduleFreeAdamW(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95)),
    "schedule_free_sgd": em.ScheduleFreeSGD(lr=0.1, weight_decay=[0.1, 1.0]),
    "signsgd": em.SignSGD(lr=0.01, weight_decay=[0.1, 1.0], momentum=0.5),
    "signsgd_cautious": em.SignSGD(lr=0.01, weight_decay=[0.1, 1.0], momentum=0.5, decay="cautious"),
    # So large a δ leaves some steps as they are and projects others.
    "adamp": em.AdamP(lr=0.01, weight_decay=[0.1, 1.0], betas=(0.9, 0.95), delta=0.7),
    "amos": em.Amos(lr=0.01, scale=[0.1, 1.0], momentum=0.5),
}


def quadratic(d: int) -> Problem:
    place = np.arange(1, d + 1)
    return em.NoisyQuadratic(curvature=1 / place, optimum=(place % 3 - 1) / 7, init=1 / (1 + place % 5), batch_size=8)


PROBLEMS: dict[str, Problem] = {
    "noisy_quadratic-5": quadratic(5),
    "noisy_quadratic-130": quadratic(130),
    "random_walk-5": em.RandomWalk(size=5, noise=0.7, init=0.1),
    "scale_invariant-70": em.ScaleInvariant(size=70, noise=0.7),
    "rayleigh_quotient-70": em.RayleighQuotient(curvature=1 / np.arange(1, 71), noise=0.7, batch_size=2),
    "linear_regression-70": em.LinearRegression(curvature=1 / np.arange(1, 71), label_noise=0.3, batch_size=2),
    "reshuffled_data-5": em.ReshuffledData(curvature=[1.0, 0.5, 0.3, 0.2, 0.1], noise=0.7, size=12, batch_size=3),
    "replaced_data-130": em.ReshuffledData(curvature=1 / np.arange(1, 131), size=6, sampling="replaced"),
}


OF_WEIGHTS = ("weight_mean", "weight_variance", "weight_norm")
# What a step does besides, by a name: the dtypes it is for, and how it is asked for.
OPTIONS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "iterate_average": (DTYPES, {"iterate_average": [0.0, 0.9, 0.99], "observables": OF_WEIGHTS}),
    "tail_average": (DTYPES, {"tail_average": [0.3, 1.0], "observables": OF_WEIGHTS}),
    "clip_norm": (DTYPES, {"clip_norm": [0.3, 3.0]}),
    "nearest": (("float32",), {"weights": "bfloat16"}),
    "stochastic": (("float32",), {"weights": "bfloat16", "rounding": "stochastic"}),
    "together": (
        ("float32",),
        {
            "weights": "bfloat16", "rounding": "stochastic", "clip_norm": 0.5, "iterate_average": 0.9,
            "observables": OF_WEIGHTS, "random_numbers": "independent",
        },
    ),
    # A field of the quadratic, which moves its optimum.
    "drift": (DTYPES, {"drift": 0.1}),
    "drift_averaged": (
        ("float32",),
        {
            "drift": 0.1, "tail_average": [0.3, 1.0], "weights": "bfloat16", "rounding": "stochastic",
            "observables": ("risk", *OF_WEIGHTS), "random_numbers": "independent",
        },
    ),
}  # fmt: skip


def variant_names() -> list[str]:
    return [name for record in (*RECORDS, *COUPLED) for name in record.variants()]


def result(
    problem: str, optimizer: str, dtype: str, replicas: Any = 256, drift: float | None = None, **settings: Any
) -> xr.Dataset:
    """A run with everything that has bits of its own: schedules, odd records, every observable."""
    posed: Any = PROBLEMS[problem]
    if drift is not None:
        posed = dataclasses.replace(posed, drift=drift, drift_reversion=0.05)
    given = {
        "backend": "reference", "record": [0, 1, 30], "observables": PROBLEMS[problem].observables, **settings
    }  # fmt: skip
    return em.simulate(
        posed, OPTIMIZERS[optimizer], steps=STEPS, schedule=em.Cosine(final=0.1, warmup=0.2),
        decay_schedule=em.Linear(final=0.5), replicas=replicas, seed=2024, dtype=dtype, **given,
    )  # fmt: skip


def digest(dataset: xr.Dataset) -> str:
    """A hash of every variable's bits, NaN being NaN whatever its payload."""
    total = hashlib.sha256()
    for name in sorted(map(str, dataset.data_vars)):
        values = np.array(dataset[name].values, dtype="<f8")
        values[np.isnan(values)] = np.nan
        total.update(name.encode() + values.tobytes())
    return total.hexdigest()[:32]
