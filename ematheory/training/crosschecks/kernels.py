"""Schedule kernels (E2, E5, E6): how much each update counts in torch.optim.AdamW's final weight, measured."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...optimizers import AdamW
from ...recording import check_steps
from ...records import POSITIVE, check_values
from ...timescales import ema_coefficients
from ...typing import FloatArray
from ..determinism import deterministic, generator
from ..optimizers import Plan, adam_update, at_one_point, build, check_in_torch, plan, set_step
from .injection import warmed


@dataclass(frozen=True, eq=False)
class KernelCheck:
    """Coefficients c_i of q_i in the final weight, measured and from `ema_coefficients`, shape (T,) each."""

    positions: FloatArray  # x_i = (i−1)/T, where update i takes its multiplier
    coefficients: FloatArray  # c_i, measured in torch
    update_coefficients: FloatArray  # the coefficient of update u_i itself, −η_i P_i, measured
    expected: FloatArray  # c_i from `ema_coefficients`
    residual: float  # max|measured − expected| / max expected
    initial_left: float  # the coefficient of w_0, measured
    expected_initial_left: float
    timescale: float  # τ = 1/(ηλT), at the peak, as a share of the run
    steps: int
    coordinates: int
    seconds: float
    settings: dict[str, Any]

    @property
    def density(self) -> FloatArray:
        """T·c_i, to be compared with E5's p(x)."""
        return self.steps * self.coefficients


def schedule_kernel(
    schedule: Any = None,
    *,
    steps: int = 1000,
    timescale: float = 0.3,
    weight_decay: float = 0.1,
    decay_schedule: Any = None,
) -> KernelCheck:
    """Measure how much each update counts in torch.optim.AdamW's final weight under a schedule.

    T + 1 weights: weight i receives a gradient at step i alone (β₁ = 0, so u_i ≠ 0 at that step alone), starting from
    0; the last receives none and starts from 1. Then w_i = c_i q_i with q_i = −u_i/λ_i from torch's state at step i,
    and the last weight is the share of the initial weight left. η is such that 1/(ηλT) = `timescale`.

    Raises `ValueError` for a number out of range and `TypeError` for a schedule that is none.

    >>> check = schedule_kernel(steps=10, timescale=0.5)
    >>> bool(abs(check.initial_left + check.coefficients.sum() - 1) < 1e-14)
    True
    """
    steps = check_steps(steps)
    for name, value in (("timescale", timescale), ("weight_decay", weight_decay)):
        check_values(name, value, POSITIVE)
    record = AdamW(lr=1 / (timescale * steps * weight_decay), weight_decay=weight_decay, betas=(0.0, 1 - 2.0**-40))
    run = plan(record, steps, schedule, decay_schedule)
    start = time.perf_counter()
    with deterministic(), torch.no_grad():
        final, updates = pulsed(record, run)
    expected_initial, expected = ema_coefficients(run.lr, run.weight_decay)
    measured = final[:-1] * -run.weight_decay / updates
    return KernelCheck(
        positions=np.arange(steps) / steps,
        coefficients=measured,
        update_coefficients=final[:-1] / updates,
        expected=np.asarray(expected),
        residual=float(np.abs(measured - expected).max() / np.max(expected)),
        initial_left=float(final[-1]),
        expected_initial_left=float(expected_initial),
        timescale=timescale,
        steps=steps,
        coordinates=steps + 1,
        seconds=time.perf_counter() - start,
        settings={"optimizer": repr(record), "schedule": repr(schedule), "decay_schedule": repr(decay_schedule)},
    )


def pulsed(record: AdamW, run: Plan) -> tuple[FloatArray, FloatArray]:
    """The T + 1 final weights, and u_i of weight i at step i, shape (T,), read from torch's state."""
    weights = torch.zeros(run.steps + 1, dtype=torch.float64)
    weights[-1] = 1.0
    weights.grad = torch.zeros_like(weights)
    optimizer = warmed(record, [weights])
    updates = np.empty(run.steps)
    for k in range(1, run.steps + 1):
        weights.grad.zero_()
        weights.grad[k - 1] = 1.0
        set_step(optimizer, run, k)
        optimizer.step()
        updates[k - 1] = float(adam_update(record, optimizer.state[weights])[k - 1])
    return weights.numpy(), updates


@dataclass(frozen=True, eq=False)
class InitialShareCheck:
    """What is left of a difference between two starting weights, in torch and from `ema_coefficients`."""

    measured: float
    expected: float
    residual: float  # |measured − expected| / expected
    spread: float  # the largest difference between weights of the measured share, relative to it
    steps: int
    coordinates: int
    seconds: float
    settings: dict[str, Any]


def initial_share(
    optimizer: AdamW,
    *,
    steps: int = 500,
    size: int = 64,
    schedule: Any = None,
    decay_schedule: Any = None,
    seed: int = 0,
) -> InitialShareCheck:
    """Two weight vectors under torch.optim.AdamW with the same white gradients: Π(1−α_k) of their difference is left.

    Nothing of the identity is used: the gradients do not depend on the weights, so whatever the updates are they
    cancel in the difference.

    >>> round(initial_share(AdamW(lr=0.1, weight_decay=1.0), steps=2).measured, 12)
    0.81
    """
    check_in_torch(optimizer)
    if not isinstance(optimizer, AdamW):
        raise TypeError(f"the share of the initial weight left is AdamW's, got {optimizer!r}")
    record = at_one_point(optimizer)
    run = plan(record, check_steps(steps), schedule, decay_schedule)
    start, source = time.perf_counter(), generator(seed)
    with deterministic(), torch.no_grad():
        weights = [torch.full((size,), value, dtype=torch.float64) for value in (1.0, -1.0)]
        torch_optimizer = build(record, weights)
        for k in range(1, run.steps + 1):
            gradient = torch.randn(size, dtype=torch.float64, generator=source)
            for weight in weights:
                weight.grad = gradient.clone()
            set_step(torch_optimizer, run, k)
            torch_optimizer.step()
        shares = ((weights[0] - weights[1]) / 2).numpy()
    expected = float(ema_coefficients(run.lr, run.weight_decay)[0])
    return InitialShareCheck(
        measured=float(shares.mean()),
        expected=expected,
        residual=float(abs(shares.mean() - expected) / expected),
        spread=float((shares.max() - shares.min()) / shares.mean()),
        steps=run.steps,
        coordinates=size,
        seconds=time.perf_counter() - start,
        settings={
            "optimizer": repr(record), "schedule": repr(schedule), "decay_schedule": repr(decay_schedule), "seed": seed,
        },
    )  # fmt: skip
