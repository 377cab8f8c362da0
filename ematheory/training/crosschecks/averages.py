"""What an average of SGD's iterates computes, beside the iterate, its fine-tuning and the ensemble of snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from ...optimizers import Optimizer
from ...records import grid
from ...typing import FloatArray
from ..determinism import check_device, deterministic
from ..ensemble import Ensemble
from ..networks.layers import unit_rows
from ..optimizers import at_points
from ..request import Job, Request
from ..tasks import Task

# The weights of every member, by parameter: shape (members, …).
Weights: TypeAlias = "dict[str, Tensor]"
# The least probability that a loss is taken of.
TINY = float(np.finfo(np.float32).tiny)
# Whose outputs are compared.
MODELS = ("iterate", "average", "fine_tuned", "snapshots")


@dataclass(frozen=True, eq=False)
class AveragesCheck:
    """Probabilities of the classes of test images, by model of `MODELS`; the other fields are of the average.

    probabilities : shape (points, seeds, images, classes) each.
    classes : the right ones, shape (images,).
    jacobian_norms : ‖J‖_F of the logits by the directions of the weights' rows, root mean square over training
        images, shape (points, seeds); NaN where not asked for.
    """

    probabilities: dict[str, FloatArray]
    classes: npt.NDArray[np.int64]
    jacobian_norms: FloatArray

    def loss(self, model: str) -> FloatArray:
        """The mean cross-entropy in nats, shape (points, seeds)."""
        right = self.probabilities[model][..., np.arange(len(self.classes)), self.classes]
        # In float32 one may be rounded to 0.
        return np.asarray(-np.log(np.maximum(right, TINY)).mean(axis=-1))

    def distance(self, model: str, other: str) -> FloatArray:
        """The mean total-variation distance ½Σ|p − p'| of two models, shape (points, seeds)."""
        apart = np.abs(self.probabilities[model] - self.probabilities[other]).sum(axis=-1)
        return np.asarray(0.5 * apart.mean(axis=-1))


def averages(
    task: Task,
    optimizer: Optimizer,
    *,
    steps: int,
    averaged: int,
    every: int,
    fine_tuned: int = 0,
    fine_tuning: float = 0.0,
    batch_size: int = 32,
    seeds: Sequence[int] = (0,),
    images: int = 0,
    device: str = "cpu",
) -> AveragesCheck:
    """Train at a constant rate, and average the weights exponentially and the probabilities of snapshots.

    Parameters
    ----------
    steps, averaged : of training in all; the EMA's horizon in steps. Snapshots are taken over as many last steps.
    every : steps from one snapshot to the next.
    fine_tuned, fine_tuning : further steps from the last iterate, at so small a share of the rate.
    images : to take the Jacobian on, the first of those to train on; 0 for none. Needs rows that are normalised.
    device : torch's name of where to train.

    All runs advance together in float32; sweep axes of the optimizer are `points`, in the grid's order.

    Raises `ValueError` for the Jacobian of a network that is not scale-invariant, or a device that torch lacks.

    >>> from ematheory import SGD, tasks
    >>> task = tasks.digits_mlp(width=4, depth=1, train_size=32)
    >>> check = averages(task, SGD(lr=0.1), steps=4, averaged=2, every=1)
    >>> check.distance("iterate", "average").shape
    (1, 1)
    """
    records = at_points(optimizer, grid(optimizer))
    jobs = [Job(record, seed) for record in records for seed in seeds]
    shape = np.concatenate([np.ones(steps), np.full(fine_tuned, fine_tuning)])
    device = check_device(device)
    request = Request(task, 1, batch_size, shape, np.ones(len(shape)), frozenset(), (), "float32", device)
    with deterministic():
        runs = Averaged(Ensemble(request, jobs), averaged)
        found = runs.advanced(steps, every)
        norms = runs.jacobian_norms(images) if images else np.full(len(jobs), np.nan)
        for _ in range(fine_tuned):
            runs.ensemble.step()
        found["fine_tuned"] = runs.probabilities(runs.weights)
    apart = (len(records), len(seeds))
    probabilities = {
        model: found[model].to("cpu", torch.float64).numpy().reshape(*apart, *found[model].shape[1:])
        for model in MODELS
    }
    return AveragesCheck(probabilities, np.asarray(task.data().test_targets), norms.reshape(apart))


class Averaged:
    """An ensemble of runs and the exponential moving average of each one's weights."""

    def __init__(self, ensemble: Ensemble, horizon: int) -> None:
        self.ensemble, self.horizon = ensemble, horizon
        self.average = {name: torch.zeros_like(values) for name, values in self.weights.items()}
        self.outputs = vmap(self.logits, in_dims=(0, None))

    @property
    def weights(self) -> Weights:
        return dict(zip(self.ensemble.names, self.ensemble.stacked, strict=True))

    def logits(self, weights: Weights, inputs: Tensor) -> Tensor:
        found: Tensor = functional_call(self.ensemble.network, weights, (inputs,))
        return found

    def probabilities(self, weights: Weights) -> Tensor:
        """Of the classes of every test image: shape (members, images, classes)."""
        inputs, _ = self.ensemble.evaluated["test"].take(slice(None))
        with torch.no_grad():
            found: Tensor = self.outputs(weights, inputs).softmax(dim=-1)
        return found

    def advanced(self, steps: int, every: int) -> dict[str, Tensor]:
        """Train for so many steps; the probabilities of the iterate, the average and the snapshots' mean."""
        snapshots = []
        for step in range(1, steps + 1):
            self.ensemble.step()
            # The first weights count fully, so that no start is left in a young average.
            share = max(1 / step, 1 / self.horizon)
            for name, values in self.weights.items():
                self.average[name].lerp_(values, share)
            if steps - step < self.horizon and (steps - step) % every == 0:
                snapshots.append(self.probabilities(self.weights))
        return {
            "iterate": snapshots[-1],
            "average": self.probabilities(self.average),
            "snapshots": torch.stack(snapshots).mean(dim=0),
        }

    def jacobian_norms(self, images: int) -> FloatArray:
        """Of the average, whose rows are scaled to 1, at which its function is the same: shape (members,).

        Raises `ValueError` where the function would be another one.
        """
        ensemble = self.ensemble
        if other := set(ensemble.names) - set(ensemble.request.task.scale_invariant_parameters(ensemble.network)):
            raise ValueError(
                "the Jacobian is taken by the directions of rows, and the function depends on the lengths of those of "
                f"{', '.join(sorted(other))}: use a task with scale_invariant=True, or images=0"
            )
        inputs, _ = ensemble.examples.take(slice(0, images))
        directions = {name: vmap(unit_rows)(values) for name, values in self.average.items()}
        members = range(len(ensemble.members))
        found = [self.squares({name: values[i] for name, values in directions.items()}, inputs) for i in members]
        return np.array([float(each.mean().sqrt()) for each in found])

    def squares(self, weights: Weights, inputs: Tensor) -> Tensor:
        """‖J‖² of the logits of each image, at the weights of one member."""

        def of_image(image: Tensor) -> Tensor:
            jacobian = jacrev(lambda own: self.logits(own, image[None])[0])(weights)
            return torch.stack([part.square().sum() for part in jacobian.values()]).sum()

        found: Tensor = vmap(of_image)(inputs)
        return found
