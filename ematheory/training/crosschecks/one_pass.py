"""Training in one pass, scored on examples that were seen and on examples that were not, by pairs of twin runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from ...optimizers import Optimizer
from ...records import grid
from ...schedules import multipliers
from ...typing import FloatArray
from ..determinism import check_device, deterministic, generator
from ..ensemble import Ensemble
from ..examples import Batches
from ..groups import Group
from ..optimizers import at_points
from ..request import Job, Request
from ..run import as_outputs
from ..tasks import Task


@dataclass(frozen=True, eq=False)
class OnePassCheck:
    """Losses of twins, which share their start and are trained on one half of the examples each.

    losses : the mean over a half's scored examples, in the task's unit (nats of cross-entropy), shape (points, seeds,
        records, twin, half); a twin has seen the half of its own number.
    """

    losses: FloatArray

    @property
    def seen(self) -> FloatArray:
        """The mean over twins of the loss on the half that each has seen, shape (points, seeds, records)."""
        return np.asarray(np.trace(self.losses, axis1=-2, axis2=-1) / 2)

    @property
    def unseen(self) -> FloatArray:
        """The same on the half that each has not seen, so that both are over the same examples."""
        return np.asarray(self.losses.sum(axis=(-2, -1)) / 2 - self.seen)


def one_pass(
    task: Task,
    optimizer: Optimizer,
    *,
    steps: int,
    batch_size: int,
    schedule: Any = None,
    record: Sequence[int] = (),
    scored: int = 1024,
    passes: int = 1,
    groups: Sequence[Group] = (),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
) -> OnePassCheck:
    """Train twins for so many steps on a half each, and score both on both halves after the recorded steps.

    A half is steps·batch_size/passes examples of those to train on, drawn by the seed; a twin goes through its own
    `passes` times, in the same order, and `scored` examples of each half, evenly over the order, are scored. All runs
    advance together in float32 on a device, by torch's name of it.

    Raises `ValueError` where the task has too few examples for two halves, and for a device that torch lacks.

    >>> from ematheory import AdamW, tasks
    >>> task = tasks.char_gpt(width=8, depth=1, context=8, heads=1)
    >>> check = one_pass(task, AdamW(lr=1e-2), steps=2, batch_size=4, record=(2,), scored=4)
    >>> check.seen.shape
    (1, 1, 1)
    """
    half = steps * batch_size // passes
    available = len(task.data().train_targets)
    if 2 * half > available:
        raise ValueError(f"two halves of {half} examples need {2 * half}, and the task has {available}")
    records = at_points(optimizer, grid(optimizer))
    jobs = [Job(one, seed) for one in records for seed in seeds for _ in range(2)]
    shape = multipliers(schedule, steps)
    request = Request(
        task, 1, batch_size, shape, np.ones(steps), frozenset(), (), "float32", check_device(device),
        groups=tuple(groups),
    )  # fmt: skip
    with deterministic():
        ensemble = Ensemble(request, jobs)
        halves = {
            seed: torch.randperm(available, generator=generator(seed))[: 2 * half].view(2, half) for seed in seeds
        }
        ensemble.batches = [Ordered(halves[job.seed][place % 2], batch_size) for place, job in enumerate(jobs)]
        rows = []
        for step in range(1, steps + 1):
            ensemble.step()
            if step in record:
                rows.append(scores(ensemble, [halves[job.seed] for job in jobs], scored))
    losses = np.array(rows).reshape(len(rows), len(records), len(seeds), 2, 2)
    return OnePassCheck(np.moveaxis(losses, 0, 2))


class Ordered(Batches):
    """Places of one batch after another in a given order, again and again."""

    def __init__(self, order: Tensor, batch_size: int) -> None:
        self.order, self.batch_size, self.at = order, batch_size, 0

    def __next__(self) -> Tensor:
        if self.at + self.batch_size > len(self.order):
            self.at = 0
        self.at += self.batch_size
        return self.order[self.at - self.batch_size : self.at]


def scores(ensemble: Ensemble, halves: Sequence[Tensor], scored: int) -> list[list[float]]:
    """Each member's mean loss on each half, shape (members, 2)."""
    found = []
    with torch.no_grad():
        for place, own in enumerate(halves):
            weights = dict(zip(ensemble.names, ensemble.members[place].parameters, strict=True))
            found.append([loss(ensemble, weights, part[:: max(1, len(part) // scored)]) for part in own])
    return found


def loss(ensemble: Ensemble, weights: dict[str, Tensor], places: Tensor) -> float:
    """The mean over some examples."""
    inputs, targets = ensemble.examples.take(places)
    outputs = functional_call(ensemble.network, weights, (inputs,))
    return float(ensemble.request.task.loss(outputs, as_outputs(targets, outputs)))
