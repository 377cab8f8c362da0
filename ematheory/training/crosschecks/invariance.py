"""Theorem 1 of arXiv 2405.13698 (E9): two AdamW runs that must stay the same function, trained side by side."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...optimizers import AdamW
from ...records import POSITIVE, check_choice, check_values
from ...typing import FloatArray
from ..determinism import DTYPES, deterministic
from ..optimizers import at_one_point, plan
from ..run import Run, check_epochs, steps_per_epoch
from ..tasks import Task


@dataclass(frozen=True, eq=False)
class InvarianceCheck:
    """A run (η, λ, ε, w_0) and its twin (cη, λ/c, ε/c, c·w_0), on the same batches."""

    weight_residual: float  # max over steps of max|w'/c − w| / max|w|
    loss_residual: float  # max over steps of |loss' − loss| / |loss|, losses of the batches
    losses: FloatArray  # the run's batch losses, shape (T,)
    twin_losses: FloatArray  # the twin's, shape (T,)
    weight_residuals: FloatArray  # max|w'/c − w| / max|w| after each step, shape (T,)
    gradient_rms: float  # RMS over weights of √v̂ at the end: what ε is to be compared with
    steps: int
    coordinates: int
    seconds: float
    settings: dict[str, Any]


def theorem_one(
    task: Task,
    optimizer: AdamW,
    *,
    scale: float = 2.0,
    rescale_eps: bool = True,
    epochs: int = 2,
    batch_size: int = 64,
    schedule: Any = None,
    seed: int = 0,
    dtype: str = "float64",
) -> InvarianceCheck:
    """Train with (η, λ, ε, w_0) and with (cη, λ/c, ε/c, c·w_0), c = `scale`, and compare at every step.

    On `tasks.digits_scale_invariant` the twin's weights are c times the run's and its function is the same; for c a
    power of two every operation of the twin is the run's scaled exactly, so the residuals are 0. With
    ``rescale_eps=False`` (the twin keeps ε), or on a network that is not scale-invariant, the two part.

    Raises `ValueError` for decay other than per LR, for which the theorem is stated, and a scale that is not > 0.

    >>> from ematheory import AdamW, tasks
    >>> theorem_one(tasks.digits_scale_invariant(width=8), AdamW(lr=1e-2), scale=2.0, epochs=1).weight_residual
    0.0
    """
    if not isinstance(optimizer, AdamW) or optimizer.decay != "per_lr" or optimizer.eps_is_inside:
        raise ValueError(f"Theorem 1 is stated for AdamW with per-LR decay and ε outside the root, got {optimizer!r}")
    check_values("scale", scale, POSITIVE)
    check_choice("dtype", dtype, DTYPES)
    record = at_one_point(optimizer)
    twin = dataclasses.replace(
        record, lr=scale * record.lr, weight_decay=record.weight_decay / scale,
        eps=record.eps / scale if rescale_eps else record.eps,
    )  # fmt: skip
    steps = check_epochs(epochs) * steps_per_epoch(task, batch_size)
    common: dict[str, Any] = {"batch_size": batch_size, "seed": seed, "dtype": DTYPES[dtype]}
    start = time.perf_counter()
    with deterministic():
        runs = (
            Run(task, record, plan(record, steps, schedule), **common),
            Run(task, twin, plan(twin, steps, schedule), scale=scale, **common),
        )
        losses, apart = side_by_side(*runs, scale)
    return InvarianceCheck(
        weight_residual=float(apart.max()),
        loss_residual=float((np.abs(losses[1] - losses[0]) / np.abs(losses[0])).max()),
        losses=losses[0],
        twin_losses=losses[1],
        weight_residuals=apart,
        gradient_rms=root_second_moment(runs[0]),
        steps=steps,
        coordinates=runs[0].weights().numel(),
        seconds=time.perf_counter() - start,
        settings={
            "optimizer": repr(record), "twin": repr(twin), "scale": scale, "rescale_eps": rescale_eps,
            "schedule": repr(schedule), "dtype": dtype, "seed": seed, "epochs": epochs, "batch_size": batch_size,
        },
    )  # fmt: skip


def side_by_side(run: Run, twin: Run, scale: float) -> tuple[FloatArray, FloatArray]:
    """Advance both to the end: batch losses, shape (2, T), and max|w'/c − w|/max|w| after each step, shape (T,)."""
    steps = run.plan.steps
    losses, apart = np.empty((2, steps)), np.empty(steps)
    for k in range(steps):
        losses[:, k] = run.step(), twin.step()
        weights = run.weights()
        apart[k] = float((twin.weights() / scale - weights).abs().max() / weights.abs().max())
    return losses, apart


def root_second_moment(run: Run) -> float:
    total = 0.0
    for state in (run.optimizer.state[parameter] for parameter in run.parameters):
        total += float(state["exp_avg_sq"].sum()) / (1 - run.record.beta2 ** float(state["step"]))
    return float((total / run.weights().numel()) ** 0.5)
