"""ematheory: theory and simulation of weight decay.

Nouns (optimizers, schedules, problems, recipes) go through verbs (`derive`, `predict`, `simulate`, `train`,
`validate`); see README.md. Everything is imported on first use, so that importing the package costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# The public face: each name and the module that defines it.
FACE = {
    "AdamW": "optimizers",
    "Adam": "optimizers",
    "SGD": "optimizers",
    "AdamC": "optimizers",
    "AdamP": "optimizers",
    "AdEMAMix": "optimizers",
    "Amos": "optimizers",
    "Lion": "optimizers",
    "NAdam": "optimizers",
    "RMSprop": "optimizers",
    "ScheduleFreeAdamW": "optimizers",
    "ScheduleFreeSGD": "optimizers",
    "SignSGD": "optimizers",
    "Constant": "schedules",
    "Linear": "schedules",
    "Cosine": "schedules",
    "WSD": "schedules",
    "InverseSqrt": "schedules",
    "Exponential": "schedules",
    "Harmonic": "schedules",
    "NoisyQuadratic": "problems",
    "RandomWalk": "problems",
    "ScaleInvariant": "problems",
    "RayleighQuotient": "problems",
    "LinearRegression": "problems",
    "ReshuffledData": "problems",
    "Recipe": "recipes",
    "published": "published_recipes",
    "derive": "derivations",
    "ema_coefficients": "timescales",
    "predict": "prediction",
    "steps_to_target": "prediction",
    "best_hyperparameters": "prediction",
    "rescale": "scaling",
    "translate": "translation",
    "every": "recording",
    "simulate": "simulation",
    "combine": "simulation",
    "autocorrelation_timescale": "simulation",
    "compare": "comparison",
    "isas": "native",
    "train": "training",
    "track": "training",
    "validate": "validation",
}
# The packages that people reach into, each imported when it is first named.
MODULES = {
    "claims": "claims",
    "derivations": "derivations",
    "optimizers": "optimizers",
    "prediction": "prediction",
    "problems": "problems",
    "report": "report",
    "scaling": "scaling",
    "schedules": "schedules",
    "simulation": "simulation",
    "tasks": "training.tasks",
    "training": "training",
}

__all__ = sorted([*FACE, *MODULES, "__version__"])


def __getattr__(name: str) -> Any:
    if name in FACE:
        return getattr(import_module(f".{FACE[name]}", __name__), name)
    if name in MODULES:
        return import_module(f".{MODULES[name]}", __name__)
    raise AttributeError(f"ematheory has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
