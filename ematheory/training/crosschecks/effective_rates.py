"""SGD without decay at the effective learning rates η_t/‖w_t‖² of a run with decay, beside that run, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...optimizers import SGD
from ...typing import FloatArray
from ..determinism import DTYPES, check_device, deterministic
from ..optimizers import at_one_point, plan
from ..run import Run, check_epochs, steps_per_epoch
from ..tasks import Task


@dataclass(frozen=True, eq=False)
class RatesCheck:
    """Runs with decay, without it at matched effective rates, and without it at the same rates: by these names.

    losses : the mean loss of the batches of each epoch, shape (epochs,) each: "decayed", "matched", "plain".
    norms : of all weights after each epoch, likewise.
    """

    losses: dict[str, FloatArray]
    norms: dict[str, FloatArray]

    def distance(self, run: str) -> float:
        """How far a run's curve is from the decayed one's: the mean over epochs of |log loss − log loss'|."""
        return float(np.abs(np.log(self.losses[run] / self.losses["decayed"])).mean())


def effective_rates(
    task: Task,
    optimizer: SGD,
    *,
    epochs: int,
    batch_size: int = 64,
    schedule: Any = None,
    seed: int = 0,
    dtype: str = "float32",
    device: str = "cpu",
) -> RatesCheck:
    """Train with decay, without it at η_t‖w'_t‖²/‖w_t‖², and without it at η_t, from one start on the same batches.

    The norms ‖w_t‖ of the decayed and ‖w'_t‖ of the matched run are those of all weights, as the paper has them.

    Raises `TypeError` for an optimizer other than SGD, whose effective rate has another form, and `ValueError` for a
    device that torch lacks.

    >>> from ematheory import SGD, tasks
    >>> check = effective_rates(tasks.digits_mlp(width=8), SGD(lr=0.1, weight_decay=1e-3), epochs=1)
    >>> check.distance("matched") < check.distance("plain")
    True
    """
    record = at_one_point(optimizer)
    if not isinstance(record, SGD):
        raise TypeError(f"effective_rates matches η/‖w‖², the effective rate of SGD alone, got {optimizer!r}")
    per_epoch = steps_per_epoch(task, batch_size)
    steps, device = per_epoch * check_epochs(epochs), check_device(device)
    settings: dict[str, Any] = {"batch_size": batch_size, "dtype": DTYPES[dtype], "device": device}
    with deterministic():
        runs = {
            name: Run(task, one, plan(one, steps, schedule), seed=seed, **settings)
            for name, one in twins(record).items()
        }
        losses, norms = zip(*(advanced(runs, per_epoch) for _ in range(epochs)), strict=True)
    return RatesCheck(*(dict(zip(runs, np.transpose(each), strict=True)) for each in (losses, norms)))


def twins(record: SGD) -> dict[str, SGD]:
    without: SGD = record.substituted(weight_decay=0.0)
    return {"decayed": record, "matched": without, "plain": without}


def advanced(runs: dict[str, Run], steps: int) -> tuple[FloatArray, list[float]]:
    """So many steps of each run; the mean losses of their batches, and their norms afterwards."""
    decayed, matched = runs["decayed"], runs["matched"]
    losses = []
    for _ in range(steps):
        share = square(matched) / square(decayed)
        for own, group in zip(matched.groups, decayed.groups, strict=True):
            # The plan says what the next step uses, and is the matched run's own.
            own.plan.lr[matched.step_count] = share * group.plan.lr[decayed.step_count]
        losses.append([run.step() for run in runs.values()])
    return np.mean(losses, axis=0), [square(run) ** 0.5 for run in runs.values()]


def square(run: Run) -> float:
    """‖w‖² of all weights."""
    return sum(float(parameter.detach().square().sum()) for parameter in run.parameters)
