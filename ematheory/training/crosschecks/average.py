"""AdamW's weights are an exponential moving average of q = −u/λ (E1, E2): Σ c·q accumulated beside real training."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...optimizers import Optimizer
from ...records import check_choice
from ...timescales import ema_coefficients
from ...typing import FloatArray
from ..determinism import DTYPES, check_device, deterministic
from ..optimizers import at_one_point, check_in_torch, plan
from ..run import Run, check_epochs, steps_per_epoch
from ..tasks import Task

# Half a unit in the last place relative to the value: the largest error of one rounding.
ROUNDING = {"float64": 2.0**-53, "float32": 2.0**-24}
SHOWN = 6


@dataclass(frozen=True, eq=False)
class AverageCheck:
    """Torch's weights against Π(1−α)·w_0 + Σ c·q with u from torch's state; all errors relative to max|w_T|."""

    residual: float  # max_i |w_T − reconstruction|_i / max|w_T|
    bound: float  # max_i of the derived rounding bound, over max|w_T|
    bound_share: float  # max_i |w_T − reconstruction|_i / bound_i: at most 1 when the identity holds
    stored_residual: float | None  # the same residual with Σ c·q from stored q and `ema_coefficients`
    initial_left: float  # Π(1−α_k), accumulated along the run
    initial_left_read: float  # what multiplies w_0 in torch's w_T − Σ c·q, by least squares
    initial_left_coefficients: float  # the same from `ema_coefficients`
    trajectory_steps: FloatArray  # shape (n,)
    trajectory_weights: FloatArray  # torch's, shape (n, 6): the first weights of the network that moved
    trajectory_average: FloatArray  # reconstructed, shape (n, 6)
    steps: int
    coordinates: int
    seconds: float
    settings: dict[str, Any]


class Reconstruction:
    """Σ c·q and Π(1−α), accumulated in float64, with a bound on what torch's rounding can add up to.

    The bound. Torch's step, in its dtype with unit roundoff r, is w·fl(1−ηλ), then + (−fl(η/b₁)·m)/d with
    d = √v/fl(√b₂) + ε. Its errors, to first order:

    * fl(1−ηλ): 0 ≤ 1−ηλ < 1, so the scalar is off by at most r/2: r/2·|w|. Float64 makes the same scalar as this
      class, but r/2 is kept;
    * the product with it: r·|w|;
    * the step: fl of the scalar, product, quotient: 3r; in d a root, a rounded scalar, a quotient (2 roundings where
      it is a product with the reciprocal), a rounded ε and a sum: at most 6r. Together 9r·η|u|;
    * the last sum: r·|w'|.

    Step k's error is multiplied by 1−α afterwards like everything else, so E ← (1−α)E + r(1.5|w| + 9η|u| + |w'|)
    bounds it, per weight. Errors of the moments do not enter: u is made from the moments torch has. The
    reconstruction's own errors are of the same form with r = 2⁻⁵³ (u: at most 9 roundings; the quotient and
    product with λ and α: 3; two products and a sum), and are added with 12 in place of 9. The factor 1 + 1e-4 covers
    products of errors, and 2⁻¹⁴⁹ a step what underflow to subnormal numbers can lose.
    """

    def __init__(self, weights: Tensor, dtype: str) -> None:
        self.initial, self.initial_left = weights.clone(), 1.0
        self.average, self.rounding = torch.zeros_like(weights), torch.zeros_like(weights)
        self.unit = ROUNDING[dtype]

    def add(self, lr: float, weight_decay: float, update: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Take in one step; returns its q = −u/λ."""
        decay = lr * weight_decay
        q = -update / weight_decay
        self.average = (1 - decay) * self.average + decay * q
        self.initial_left *= 1 - decay
        kept, stepped = 1.5 * before.abs() + after.abs(), lr * update.abs()
        own = ROUNDING["float64"] * (kept + 12 * stepped)
        self.rounding = (1 - decay) * self.rounding + self.unit * (kept + 9 * stepped) + own + 2.0**-149
        return q

    def weights(self) -> Tensor:
        return self.initial_left * self.initial + self.average

    def bound(self) -> Tensor:
        return (1 + 1e-4) * self.rounding


def moving_average(
    task: Task,
    optimizer: Optimizer,
    *,
    epochs: int = 3,
    batch_size: int = 64,
    schedule: Any = None,
    decay_schedule: Any = None,
    seed: int = 0,
    dtype: str = "float64",
    foreach: bool | None = None,
    store: bool = False,
    device: str = "cpu",
) -> AverageCheck:
    """Train with torch and compare its weights with the exponential moving average of q = −u/λ.

    u is recomputed after each step from torch's own state (exp_avg, exp_avg_sq, step; SGD's momentum_buffer), never
    from weight differences. For AdamW `residual` stays below 1e-12 in float64 and `bound_share` at most 1 in both
    dtypes. For Adam and SGD, whose weight_decay is L2, the same sums are formed with α = ηλ and do not give the
    weights. `store` keeps every q as well (steps × weights numbers) for `stored_residual`. `device` is torch's name of
    where to train; all is compared in the float64 of that device and of NumPy.

    Source: E1, E2 (arXiv 2405.13698). Raises as `train` does, and `ValueError` where λ = 0 at some step:
    q = −u/λ.

    >>> from ematheory import AdamW, tasks
    >>> check = moving_average(tasks.digits_mlp(width=8, depth=1), AdamW(lr=1e-2, weight_decay=0.5), epochs=1)
    >>> check.residual < 1e-12
    True
    """
    check_in_torch(optimizer)
    check_choice("dtype", dtype, DTYPES)
    record = at_one_point(optimizer)
    run_plan = plan(record, check_epochs(epochs) * steps_per_epoch(task, batch_size), schedule, decay_schedule)
    weight_decay = np.where(run_plan.lr > 0, run_plan.weight_decay, record.weight_decay)
    if (weight_decay <= 0).any():
        raise ValueError("the moving average of q = −u/λ needs weight_decay > 0 at every step, got 0")
    device = check_device(device)
    start = time.perf_counter()
    with deterministic():
        run = Run(
            task, record, run_plan, batch_size=batch_size, seed=seed, dtype=DTYPES[dtype], foreach=foreach,
            device=device,
        )  # fmt: skip
        sums, stored, shown = followed(run, weight_decay, dtype, store)
    coefficients = ema_coefficients(run_plan.lr, weight_decay)
    return judged(
        run, sums, shown, coefficients, stored if store else None,
        seconds=time.perf_counter() - start,
        settings={
            "optimizer": repr(record), "schedule": repr(schedule), "decay_schedule": repr(decay_schedule),
            "dtype": dtype, "seed": seed, "epochs": epochs, "batch_size": batch_size, "foreach": foreach,
            **({} if device == "cpu" else {"device": device}),
        },
    )  # fmt: skip


def followed(
    run: Run, weight_decay: FloatArray, dtype: str, store: bool
) -> tuple[Reconstruction, list[Any], list[Any]]:
    """Advance the run to its end with the sums beside it; also q of each step, and rows of (step, weights, sums)."""
    sums = Reconstruction(run.weights(), dtype)
    stored, shown = [], []
    interval = max(1, run.plan.steps // 50)
    before = run.weights()
    for k in range(1, run.plan.steps + 1):
        run.step()
        after = run.weights()
        q = sums.add(float(run.plan.lr[k - 1]), float(weight_decay[k - 1]), run.update(), before, after)
        if store:
            stored.append(q.cpu().numpy())
        if k % interval == 0:
            shown.append((k, after.cpu().numpy(), sums.weights().cpu().numpy()))
        before = after
    return sums, stored, shown


def judged(
    run: Run,
    sums: Reconstruction,
    shown: list[Any],
    coefficients: tuple[Any, Any],
    stored: list[Any] | None,
    *,
    seconds: float,
    settings: dict[str, Any],
) -> AverageCheck:
    weights, scale = run.weights().cpu(), float(run.weights().abs().max())
    error, bound = (weights - sums.weights().cpu()).abs(), sums.bound().cpu()
    start, average = sums.initial.cpu().numpy(), sums.average.cpu().numpy()
    moving = np.flatnonzero(start != shown[-1][1])[:SHOWN]
    stored_residual = None
    if stored is not None:
        rebuilt = coefficients[0] * start + np.asarray(coefficients[1]) @ np.array(stored)
        stored_residual = float(np.abs(rebuilt - weights.numpy()).max() / scale)
    return AverageCheck(
        residual=float(error.max()) / scale,
        bound=float(bound.max()) / scale,
        bound_share=float((error / bound).max()),
        stored_residual=stored_residual,
        initial_left=sums.initial_left,
        initial_left_read=float((weights.numpy() - average) @ start / (start @ start)),
        initial_left_coefficients=float(coefficients[0]),
        trajectory_steps=np.array([row[0] for row in shown]),
        trajectory_weights=np.array([row[1][moving] for row in shown]),
        trajectory_average=np.array([row[2][moving] for row in shown]),
        steps=run.plan.steps,
        coordinates=weights.numel(),
        seconds=seconds,
        settings=settings,
    )
