"""derive(): the relations of the theory as machine-checked derivations, one file per topic, loaded when asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from ..records import check_choice

if TYPE_CHECKING:
    from .derivation import Derivation

# Each derivation's name and its topic, the module of this package whose DERIVATIONS maps the name to its maker.
TOPICS: dict[str, str] = {
    "adamw-ema": "ema",
    "constant-rate": "constant_rate",
    "gradient-kernel": "gradient_kernel",
    "adamw-random-walk": "random_walk",
    "theorem-1": "theorem_1",
    "conventions": "translation",
    "sgd-quadratic": "sgd_quadratic",
    "heavy-ball-l2": "heavy_ball",
    "heavy-ball-per-lr": "heavy_ball",
    "uniform-averaging": "uniform_averaging",
    "uniform-averaging-proportional-decay": "uniform_averaging",
    "kernel-constant": "schedule_kernels",
    "kernel-linear": "schedule_kernels",
    "kernel-linear-to-zero": "schedule_kernels",
    "kernel-cosine": "schedule_kernels",
    "kernel-wsd": "schedule_kernels",
    "kernel-wsd-sqrt": "schedule_kernels",
    "kernel-inverse-sqrt": "schedule_kernels",
    "kernel-exponential": "schedule_kernels",
    "kernel-harmonic": "schedule_kernels",
    "kernel-warmup": "warmup_kernel",
}

__all__ = ["TOPICS", "derive", "names"]


def names() -> tuple[str, ...]:
    """The names that `derive` knows."""
    return tuple(TOPICS)


@cache
def derive(name: str) -> Derivation:
    """The derivation called `name`; `.verify()` runs its checks, `.text()` and `.markdown()` show it.

    Raises `ValueError` listing the known names.

    >>> derive("adamw-ema").name
    'adamw-ema'
    """
    check_choice("derivation", name, TOPICS)
    topic = import_module(f".{TOPICS[name]}", __name__)
    derivation: Derivation = topic.DERIVATIONS[name]()
    return derivation
