"""Observables from moments: what `predict` returns at each recorded step.

`risk`, `weight_mean`, `weight_variance` and `weight_mean_square` are expectations, exact at any number of coordinates.
`weight_norm`, `rotation` and `update_cosine` are ratios of sums over coordinates; they are given in the limit of many
coordinates, where each sum equals its expectation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from ..typing import FloatArray
from .closure import Followed, Taken
from .members import combined, number

PER_COORDINATE = ("weight_mean", "weight_variance")
EXPECTATIONS = ("risk", "weight_mean_square", *PER_COORDINATE)
OF_STEPS = ("rotation", "update_cosine")
# The sums that belong to a step rather than to a state.
OF_A_STEP = ("square_before", "change", "update", "update_dot")

Sums = dict[str, FloatArray]
Pair: TypeAlias = tuple[FloatArray, FloatArray]


def state_sums(x: Followed, problem_coefficients: Any, copies: int) -> Sums:
    """Sums over the coordinates of a state, shape (points,): Σ E w² and, where there is one, the risk."""
    sums = {"square": total(x.weight_variance + x.weight_mean * x.weight_mean, copies)}
    if hasattr(problem_coefficients, "curvature"):
        miss = x.weight_mean - problem_coefficients.optimum
        sums["risk"] = total(problem_coefficients.curvature * (x.weight_variance + miss * miss), copies) / 2
    return sums


def step_sums(before: Followed, a: Taken, decay: FloatArray, copies: int, everywhere: Taken) -> Sums:
    """Sums over the coordinates of a step: squares of w, w' − w and w' − (1−α)w, and the latter's dot with w.

    The latter is that of the step with decay `everywhere`, whose update is the same.
    """
    square = before.weight_variance + before.weight_mean * before.weight_mean
    change, _ = displacement(before, a, 1.0)
    update, dot = displacement(before, everywhere, 1.0 - decay)
    return {
        "square_before": total(square, copies),
        "change": total(change, copies),
        "update": total(update, copies),
        "update_dot": total(dot, copies),
    }


def displacement(x: Followed, a: Taken, kept: float | FloatArray) -> Pair:
    """E v² and E v·w of v = w' − kept·w."""
    first, *others = a.weight_row
    row = (number(first) - kept, *others)
    mean = number(combined(row, x.means)) + a.weight_offset
    with_members = [number(combined(row, column)) for column in x.columns]
    variance = number(combined(row, with_members)) + a.weight_noise * a.weight_noise
    return variance + mean * mean, with_members[0] + mean * x.weight_mean


def total(values: FloatArray, copies: int) -> FloatArray:
    """The sum over coordinates; `copies` is how many coordinates each column stands for."""
    return np.asarray(values.sum(axis=-1)) * copies


def from_sums(name: str, sums: Mapping[str, FloatArray], coordinates: int) -> FloatArray:
    """An observable that has no coordinate dim, from the sums over all coordinates."""
    if name == "risk":
        return sums["risk"]
    if name == "weight_mean_square":
        return sums["square"] / coordinates
    if name == "weight_norm":
        return np.sqrt(sums["square"])
    if name == "update_cosine":
        with np.errstate(invalid="ignore", divide="ignore"):
            return -sums["update_dot"] / np.sqrt(sums["square_before"] * sums["update"])
    return rotation(sums["square_before"], sums["square"], sums["change"])


def rotation(square_before: FloatArray, square: FloatArray, change: FloatArray) -> FloatArray:
    """The angle between w and w' from their squares and that of w' − w: 2·atan2(‖ŵ'−ŵ‖, ‖ŵ'+ŵ‖)."""
    norm_before, norm = np.sqrt(square_before), np.sqrt(square)
    radial = (square - square_before) / np.where(norm + norm_before > 0, norm + norm_before, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.clip((change - radial * radial) / (norm_before * norm), 0.0, 4.0)
    return np.asarray(2.0 * np.arctan2(np.sqrt(apart), np.sqrt(4.0 - apart)))
