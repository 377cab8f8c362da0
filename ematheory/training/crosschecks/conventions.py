"""Conventions (THEORY §10, the torch rows): our records step by step against torch.optim on the same gradients."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...conventions import PAPER
from ...optimizers import AdamW, Optimizer
from ...optimizers.optimizer import SymbolicTime
from ...recording import check_steps
from ...schedules import multipliers
from ...translation import translate
from ...typing import FloatArray
from ..determinism import deterministic, generator
from ..optimizers import Plan, at_one_point, build, check_supported, plan, set_step


@dataclass(frozen=True, eq=False)
class MatchCheck:
    """Two trajectories of the same weights on the same gradients."""

    residual: float  # max over steps and weights of |difference|, over max|w|
    residuals: FloatArray  # the same after each step, shape (T,)
    weights: FloatArray  # torch's last weights, shape (size,)
    expected: FloatArray  # the record's last weights, shape (size,)
    steps: int
    coordinates: int
    seconds: float
    settings: dict[str, Any]


def same_update(
    optimizer: Optimizer,
    *,
    steps: int = 50,
    size: int = 64,
    schedule: Any = None,
    decay_schedule: Any = None,
    seed: int = 0,
    foreach: bool | None = None,
) -> MatchCheck:
    """torch.optim's AdamW, Adam or SGD against the record's own `update` in NumPy, in float64.

    Gradients are white noise plus 0.3·w, so they follow the weights. Raises as `train` does.

    >>> same_update(AdamW(lr=1e-2, weight_decay=0.1)).residual < 1e-12
    True
    """
    check_supported(optimizer)
    record = at_one_point(optimizer)
    run = plan(record, check_steps(steps), schedule, decay_schedule)
    return compared(record, record, run, schedule, decay_schedule, size=size, seed=seed, foreach=foreach)


def translated_decay(
    weight_decay: float = 1e-3,
    lr: float = 1e-2,
    *,
    steps: int = 200,
    size: int = 64,
    schedule: Any = None,
    translated: bool = True,
    seed: int = 0,
) -> MatchCheck:
    """Independent decay (arXiv 1711.05101) in NumPy against torch.optim.AdamW with λ translated for it.

    With ``translated=False`` torch gets the paper's number as it stands, and the weights part.

    >>> translated_decay().residual < 1e-12
    True
    """
    ours = AdamW(lr=lr, weight_decay=weight_decay, decay="independent")
    theirs = translate(weight_decay, "torch.optim.AdamW", source=PAPER.framework, lr=lr).weight_decay
    torch_record = AdamW(lr=lr, weight_decay=theirs if translated else weight_decay)
    run = plan(torch_record, check_steps(steps), schedule)
    return compared(ours, torch_record, run, schedule, None, size=size, seed=seed, foreach=None)


def compared(
    record: Any,
    torch_record: Any,
    run: Plan,
    schedule: Any,
    decay_schedule: Any,
    *,
    size: int,
    seed: int,
    foreach: bool | None,
) -> MatchCheck:
    """Step torch's optimizer of `torch_record` under `run`, and `record.update` under the schedules themselves."""
    start = time.perf_counter()
    shape = multipliers(schedule, run.steps)
    times = zip(
        range(1, run.steps + 1), record.lr * shape, record.weight_decay * multipliers(decay_schedule, run.steps), shape,
        strict=True,
    )  # fmt: skip
    with deterministic(), torch.no_grad():
        source = generator(seed)
        weights = torch.randn(size, dtype=torch.float64, generator=source)
        state = record.initial(np, weights.numpy().copy())
        torch_optimizer = build(torch_record, [weights], foreach)
        apart = []
        for now in (SymbolicTime(*values) for values in times):
            noise = torch.randn(size, dtype=torch.float64, generator=source)
            weights.grad = noise + 0.3 * weights
            set_step(torch_optimizer, run, now.step)
            torch_optimizer.step()
            state = record.update(np, state, noise.numpy() + 0.3 * state.weight, record.coefficients(np, now))
            theirs = weights.numpy()
            apart.append(np.abs(theirs - state.weight).max() / np.abs(theirs).max())
    return MatchCheck(
        residual=float(max(apart)),
        residuals=np.array(apart),
        weights=weights.numpy().copy(),
        expected=state.weight,
        steps=run.steps,
        coordinates=size,
        seconds=time.perf_counter() - start,
        settings={
            "optimizer": repr(record), "torch": repr(torch_record), "schedule": repr(schedule),
            "decay_schedule": repr(decay_schedule), "seed": seed, "foreach": foreach,
        },
    )  # fmt: skip
