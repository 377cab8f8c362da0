"""Perceptrons on images of digits of which many have a wrong class: their gradients do not die out by the end.

A network that fits all it is trained on loses its gradients, whatever decay does; one that cannot keeps them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..typing import FloatArray
from .devices import chosen_device
from .evidence import Below

# Hidden layers, of a network with one more; and the share of wrong classes.
DEPTH, WRONG = 2, 0.4
IMAGES, PIXELS, CLASSES, BATCH = 1438, 64, 10, 32
STEPS_PER_EPOCH = IMAGES // BATCH
# Steps from one record to the next, of what is averaged over a run's second half.
EVERY = 10


def trained_perceptrons(
    optimizer: Any, *, width: int, epochs: int, seeds: range, record: list[int], observables: Any,
    schedule: Any = None, scale_invariant: bool = True, batch_size: int = BATCH,
) -> xr.Dataset:  # fmt: skip
    """`train`'s Dataset of perceptrons, one per seed and point, 32 of them advanced together, in float32."""
    from ..training import tasks, train

    task = tasks.digits_mlp(width=width, depth=DEPTH, scale_invariant=scale_invariant, label_noise=WRONG)
    run: xr.Dataset = train(
        task, optimizer, epochs=epochs, batch_size=batch_size, seeds=seeds, schedule=schedule, dtype="float32",
        record=record, observables=observables, ensemble=32, device=chosen_device(),
    )  # fmt: skip
    return run


def below(what: str, samples: Any, limit: float = 0.0) -> Below:
    """That the means over seeds of arrays (seeds, …) stay below a limit."""
    values = np.asarray(samples, dtype=np.float64)
    return Below(what, values.mean(axis=0), error(values), limit, len(values))


def within(what: str, logs: Any, limit: float) -> Below:
    """That the means over seeds of logs of ratios, shape (seeds, …), are nearer to 0 than a limit either way."""
    values = np.asarray(logs, dtype=np.float64)
    return Below(what, abs(values.mean(axis=0)), error(values), limit, len(values))


def error(values: FloatArray) -> FloatArray:
    """The standard error of means over seeds."""
    return np.asarray(values.std(axis=0, ddof=1) / len(values) ** 0.5)


def root_mean_square(values: xr.DataArray) -> FloatArray:
    """Over steps, shape (seeds, parameters); NaN for a run that diverged at any of them."""
    squares: xr.DataArray = (values**2).mean("step", skipna=False).transpose("seed", "parameter")
    return np.asarray(np.sqrt(squares))


class Rested(NamedTuple):
    """Each layer of perceptrons that trained at a constant rate, over the second half of the run.

    rotation, norm : root mean squares, shape (seeds, layers); the rotation in radians per step.
    gradient_square : the mean of ‖g‖²‖w‖², the square of the gradient at norm 1, shape (seeds, layers).
    sizes : the weights in each layer, shape (layers,).
    """

    rotation: FloatArray
    norm: FloatArray
    gradient_square: FloatArray
    sizes: FloatArray


def rested(optimizer: Any, *, width: int, epochs: int, seeds: range) -> Rested:
    """Scale-invariant perceptrons after a first half of the run that their norms come to rest in."""
    steps = epochs * STEPS_PER_EPOCH
    run = trained_perceptrons(
        optimizer, width=width, epochs=epochs, seeds=seeds, record=list(range(steps // 2, steps + 1, EVERY)),
        observables=("parameter_rotation", "parameter_norm", "parameter_gradient_norm"),
    )  # fmt: skip
    return Rested(
        root_mean_square(run.parameter_rotation), root_mean_square(run.parameter_norm),
        root_mean_square(run.parameter_gradient_norm * run.parameter_norm) ** 2,
        np.array([PIXELS * width, width * width, width * CLASSES], dtype=np.float64),
    )  # fmt: skip
