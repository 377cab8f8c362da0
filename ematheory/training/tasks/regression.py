"""Regression on data generated from a seed: a teacher network's outputs, and random features of a power law.

The normals are the project's own (Philox, stream 2), so that the inputs have the same bits on every machine. Example i
is a function of the seed and i: the examples of a smaller training set are the first of a larger one's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ...records import NON_NEGATIVE, Interval, check_choice, check_values, check_whole
from ...simulation.normal import normals
from ...typing import FloatArray
from .scalable import ScalableTask
from .task import Split, widened

if TYPE_CHECKING:
    import torch

    from ..networks import Perceptron, RandomFeatures

DATA_STREAM = 2
TRAIN, TRAIN_NOISE, TEST, TEACHER = range(4)
ACTIVATIONS = ("linear", "relu")


def drawn(seed: int, part: int, rows: int, columns: int, number: int = 0) -> FloatArray:
    """Standard normals, shape (rows, columns), of one part of the data; `number` tells a teacher's layers apart."""
    found = normals(seed, range(rows), range(columns), [number], point=part, stream=DATA_STREAM)
    return np.ascontiguousarray(found[:, 0], dtype=np.float64)


def products(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """rows · weightsᵀ, shape (rows, weights), where a row's bits do not depend on how many rows there are.

    A matrix product's do: BLAS sums in another order in the last rows of a block.
    """
    return np.stack([(rows * weight).sum(axis=1) for weight in weights], axis=1)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RegressionTask(ScalableTask):
    """Values to predict from `inputs` numbers; the loss is the mean squared error.

    `train_size` and `test_size` examples come of `data_seed`; `noise` is the standard deviation of what is added to the
    training targets. Test targets have none, so that the test loss is the excess risk.
    """

    inputs: int
    noise: float = 0.0
    train_size: int = 1024
    test_size: int = 1024
    data_seed: int = 0

    scores_accuracy = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("inputs", "train_size", "test_size"):
            check_whole(name, getattr(self, name), Interval(1))
        check_whole("data_seed", self.data_seed, Interval(0))
        check_values("noise", self.noise, NON_NEGATIVE)

    def usual_width(self) -> int:
        return 128

    def data(self) -> Split:
        """Inputs (n, inputs) and values (n,), float64."""
        return generated(self)

    def examples(self, part: int, size: int) -> tuple[FloatArray, FloatArray]:
        """Inputs and values without noise."""
        raise NotImplementedError

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean of (output − target)², of outputs (n, 1) and targets (n,); bfloat16 is widened to float32 first."""
        import torch

        predicted = widened(outputs).squeeze(-1)
        return torch.as_tensor((predicted - targets.to(predicted.dtype)).square().mean())


@lru_cache(maxsize=4)
def generated(task: RegressionTask) -> Split:
    train_inputs, train_values = task.examples(TRAIN, task.train_size)
    noise = drawn(task.data_seed, TRAIN_NOISE, task.train_size, 1)[:, 0]
    return Split(train_inputs, train_values + task.noise * noise, *task.examples(TEST, task.test_size))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TeacherStudent(RegressionTask):
    """A ReLU network learns another's outputs; made by `teacher_student`."""

    teacher_width: int = 8
    teacher_depth: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("teacher_width", self.teacher_width, Interval(1))
        check_whole("teacher_depth", self.teacher_depth, Interval(0))

    def examples(self, part: int, size: int) -> tuple[FloatArray, FloatArray]:
        """Standard normal inputs, and a teacher of weights N(0, 2/inputs), N(0, 1/inputs) in its last layer."""
        hidden = inputs = drawn(self.data_seed, part, size, self.inputs)
        for layer in range(self.teacher_depth):
            weight = drawn(self.data_seed, TEACHER, self.teacher_width, hidden.shape[1], layer)
            hidden = np.maximum((2 / hidden.shape[1]) ** 0.5 * products(hidden, weight), 0.0)
        readout = drawn(self.data_seed, TEACHER, 1, hidden.shape[1], self.teacher_depth)
        return inputs, products(hidden, readout)[:, 0] / hidden.shape[1] ** 0.5

    def network(self, seed: int, dtype: torch.dtype) -> Perceptron:
        """The student at its start: drawn in float64 from `seed` alone, then rounded to `dtype`."""
        from ..networks import Perceptron

        return Perceptron((self.inputs, *[self.width] * self.depth, 1), seed, dtype, self.width_ratio)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RandomFeatureRegression(RegressionTask):
    """A linear readout of `width` random features learns a linear target; made by `random_features`."""

    spectrum: float = 1.5
    source: float = 1.5
    activation: str = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_values("spectrum", self.spectrum, NON_NEGATIVE)
        check_values("source", self.source, NON_NEGATIVE)
        check_choice("activation", self.activation, ACTIVATIONS)

    def variances(self) -> FloatArray:
        """λ_k = k^(−spectrum) of the inputs, shape (inputs,)."""
        return np.arange(1.0, self.inputs + 1) ** -self.spectrum

    def examples(self, part: int, size: int) -> tuple[FloatArray, FloatArray]:
        """Inputs √λ_k·z_k, and Σ_k k^(−source/2)·z_k scaled to variance 1."""
        normal = drawn(self.data_seed, part, size, self.inputs)
        powers = np.arange(1.0, self.inputs + 1) ** -self.source
        weights = np.sqrt(powers / powers.sum())
        return np.sqrt(self.variances()) * normal, products(normal, weights[None])[:, 0]

    def network(self, seed: int, dtype: torch.dtype) -> RandomFeatures:
        """Fixed features drawn in float64 from `seed`, rounded to `dtype`, and a readout that starts at 0."""
        from ..networks import RandomFeatures

        return RandomFeatures(
            self.inputs, self.width, float(self.variances().sum()), seed, dtype,
            relu=self.activation == "relu", width_ratio=self.width_ratio,
        )  # fmt: skip


def teacher_student(
    width: int = 128,
    depth: int = 1,
    *,
    inputs: int = 16,
    teacher_width: int = 8,
    teacher_depth: int = 1,
    noise: float = 0.1,
    parametrization: str = "standard",
    base_width: int | None = None,
    train_size: int = 1024,
    test_size: int = 1024,
    data_seed: int = 0,
) -> TeacherStudent:
    """Regression of a random ReLU network's outputs on standard normal inputs by a ReLU network of `width`, `depth`.

    Parameters
    ----------
    width, depth : units per hidden layer and hidden layers of the student; `teacher_…` those of the teacher.
    inputs : numbers per example.
    noise : standard deviation of the noise on training targets, whose signal has mean square near 1.
    parametrization : "standard" or "mup"; they agree at `base_width` (128).
    train_size, test_size, data_seed : examples, and the seed of them and of the teacher.

    Raises `TypeError` or `ValueError` for a setting out of range.

    >>> data = teacher_student(inputs=4, train_size=8).data()
    >>> data.train_inputs.shape, data.train_targets.shape
    ((8, 4), (8,))
    """
    return TeacherStudent(
        width=width, depth=depth, parametrization=parametrization, base_width=base_width, inputs=inputs, noise=noise,
        train_size=train_size, test_size=test_size, data_seed=data_seed, teacher_width=teacher_width,
        teacher_depth=teacher_depth,
    )  # fmt: skip


def random_features(
    width: int = 128,
    *,
    inputs: int = 512,
    spectrum: float = 1.5,
    source: float = 1.5,
    activation: str = "linear",
    noise: float = 0.0,
    parametrization: str = "standard",
    base_width: int | None = None,
    train_size: int = 1024,
    test_size: int = 1024,
    data_seed: int = 0,
) -> RandomFeatureRegression:
    """Linear regression on `width` random projections of power-law inputs (Bordelon et al., arXiv 2402.01092).

    Parameters
    ----------
    width : how many features; only their readout is trained, from 0.
    inputs : dimensions of the inputs.
    spectrum : b of the inputs' variances λ_k = k^(−b).
    source : a of the target's power (w_k)²λ_k ∝ k^(−a), whose sum is 1.
    activation : "linear" as in the paper, or "relu" features.
    noise : standard deviation of the noise on training targets.
    parametrization, train_size, test_size, data_seed : as in `teacher_student`.

    Raises `TypeError` or `ValueError` for a setting out of range.

    >>> task = random_features(width=8, inputs=32, train_size=4)
    >>> task.data().train_inputs.shape, task.scores_accuracy
    ((4, 32), False)
    """
    return RandomFeatureRegression(
        width=width, depth=0, parametrization=parametrization, base_width=base_width, inputs=inputs, noise=noise,
        train_size=train_size, test_size=test_size, data_seed=data_seed, spectrum=spectrum, source=source,
        activation=activation,
    )  # fmt: skip
