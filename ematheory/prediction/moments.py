"""Means and covariances of the state (w, m) under affine steps: one step, many equal steps, the stationary state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from ..typing import FloatArray
from .linear import StepMap

# Below so many equal steps, stepping is cheaper than a matrix power.
FEW_STEPS = 8

Arrays: TypeAlias = tuple[FloatArray, ...]


class Moments(NamedTuple):
    """Of the state (w, m) of each coordinate: means, variances and the covariance, shape (points, d)."""

    weight_mean: FloatArray
    buffer_mean: FloatArray
    weight_variance: FloatArray
    covariance: FloatArray
    buffer_variance: FloatArray

    @property
    def means(self) -> tuple[FloatArray, FloatArray]:
        return self.weight_mean, self.buffer_mean

    @property
    def columns(self) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """Cov(w, m) as a matrix."""
        return (self.weight_variance, self.covariance), (self.covariance, self.buffer_variance)

    def at_point(self, weight: FloatArray, buffer: FloatArray) -> Moments:
        """The moments with this combination of the two in the weight's place; the covariance is left as it is."""
        if not buffer.any():
            return self
        mixed = weight * (weight * self.weight_variance + 2 * buffer * self.covariance)
        return self._replace(
            weight_mean=weight * self.weight_mean + buffer * self.buffer_mean,
            weight_variance=mixed + buffer * buffer * self.buffer_variance,
        )

    @property
    def mean_square(self) -> FloatArray:
        """E w² of each coordinate."""
        return self.weight_variance + self.weight_mean * self.weight_mean


def certain(weight: FloatArray, buffer: FloatArray | None = None) -> Moments:
    """The moments of a state that is known: this weight, and this buffer, or an empty one."""
    zero = np.zeros_like(weight)
    return Moments(weight, zero if buffer is None else buffer, zero, zero, zero)


def advance(x: Moments, a: StepMap) -> Moments:
    """The moments after one step: A x̄ + b and A P Aᵀ + e eᵀ."""
    if a.weight_buffer.any() or a.buffer_buffer.any():
        return advance_with_memory(x, a)
    return advance_without_memory(x, a)


def advance_without_memory(x: Moments, a: StepMap) -> Moments:
    """`advance` where the old buffer goes into nothing, as without momentum: the same numbers in half the work."""
    weight_row = a.weight_weight * x.weight_variance
    return Moments(
        a.weight_weight * x.weight_mean + a.weight_offset,
        a.buffer_weight * x.weight_mean + a.buffer_offset,
        weight_row * a.weight_weight + a.weight_noise * a.weight_noise,
        weight_row * a.buffer_weight + a.weight_noise * a.buffer_noise,
        a.buffer_weight * x.weight_variance * a.buffer_weight + a.buffer_noise * a.buffer_noise,
    )


def advance_with_memory(x: Moments, a: StepMap) -> Moments:
    weight_row = a.weight_weight * x.weight_variance + a.weight_buffer * x.covariance
    weight_column = a.weight_weight * x.covariance + a.weight_buffer * x.buffer_variance
    buffer_row = a.buffer_weight * x.weight_variance + a.buffer_buffer * x.covariance
    buffer_column = a.buffer_weight * x.covariance + a.buffer_buffer * x.buffer_variance
    return Moments(
        a.weight_weight * x.weight_mean + a.weight_buffer * x.buffer_mean + a.weight_offset,
        a.buffer_weight * x.weight_mean + a.buffer_buffer * x.buffer_mean + a.buffer_offset,
        weight_row * a.weight_weight + weight_column * a.weight_buffer + a.weight_noise * a.weight_noise,
        weight_row * a.buffer_weight + weight_column * a.buffer_buffer + a.weight_noise * a.buffer_noise,
        buffer_row * a.buffer_weight + buffer_column * a.buffer_buffer + a.buffer_noise * a.buffer_noise,
    )


class Affine(Protocol):
    """A step that is affine in the moments."""

    def linear(self) -> Any:
        """What it makes of the moments alone, without what it adds."""


class EqualSteps:
    """Many equal steps at once: a step as matrices on (means, 1) and (covariances, 1), and their powers.

    `advance(x, step)` takes and gives a tuple of `size` arrays, the first `means` of them means, the rest covariances.
    """

    def __init__(
        self, advance: Callable[..., Arrays], step: Affine, means: int, size: int, shape: tuple[int, ...]
    ) -> None:
        self.advance, self.step = advance, step
        zero = (np.zeros(shape),) * size
        one = np.ones(shape)
        images = [advance((*zero[:i], one, *zero[i + 1 :]), step.linear()) for i in range(size)]
        rest = advance(zero, step)
        self.parts = (slice(0, means), slice(means, size))
        self.matrices = [bordered(images[part], rest, part) for part in self.parts]
        self.powers: dict[int, list[FloatArray]] = {}

    def after(self, x: Arrays, steps: int) -> Arrays:
        """The means and covariances `steps` ≥ 0 equal steps later."""
        if steps < FEW_STEPS:
            for _ in range(steps):
                x = self.advance(x, self.step)
            return x
        if steps not in self.powers:
            self.powers[steps] = [np.linalg.matrix_power(matrix, steps) for matrix in self.matrices]
        found: list[FloatArray] = []
        for matrix, part in zip(self.powers[steps], self.parts, strict=True):
            vector = np.stack([*x[part], np.ones_like(x[0])], axis=-1)
            image = np.einsum("...ij,...j->...i", matrix, vector)
            found.extend(image[..., i] for i in range(image.shape[-1] - 1))
        return tuple(found)


def bordered(images: Sequence[Arrays], rest: Arrays, part: slice) -> FloatArray:
    """The matrix of an affine map on (x, 1) from what it makes of the unit vectors and of 0."""
    columns = [np.stack(np.broadcast_arrays(*column[part]), axis=-1) for column in (*images, rest)]
    matrix = np.stack(columns, axis=-1)
    last = np.zeros_like(matrix[..., :1, :])
    last[..., -1] = 1.0
    return np.asarray(np.concatenate([matrix, last], axis=-2))


class MomentMap:
    """Many equal steps of `Moments`."""

    def __init__(self, step: StepMap, shape: tuple[int, ...]) -> None:
        self.equal = EqualSteps(lambda x, a: advance(Moments(*x), a), step, 2, len(Moments._fields), shape)

    def after(self, x: Moments, steps: int) -> Moments:
        return Moments(*self.equal.after(x, steps))


def stationary(a: StepMap, lost: FloatArray) -> Moments:
    """The moments that a stable step leaves as they are; `lost`, shape (points, d), is 1 − A_ww, free of cancellation.

    With D = I − A: D x̄ = b, and D P + P Dᵀ − D P Dᵀ = e eᵀ, which unlike P − A P Aᵀ loses nothing at small rates.
    The weight is measured in units of its noise over the buffer's, about the learning rate, or the equations for P
    would differ so much in size that solving them mixes the large into the small.
    """
    unit, offset, noise = in_units(a, lost)
    d = np.empty((*lost.shape, 2, 2))
    d[..., 0, 0], d[..., 0, 1] = lost, -a.weight_buffer / unit
    d[..., 1, 0], d[..., 1, 1] = -a.buffer_weight * unit, 1 - a.buffer_buffer
    mean = solved(d, offset)
    spread = settled_covariance(d, noise[..., :, None] * noise[..., None, :])
    return Moments(
        mean[..., 0] * unit,
        mean[..., 1],
        spread[..., 0, 0] * unit * unit,
        spread[..., 0, 1] * unit,
        spread[..., 1, 1],
    )


def settled_covariance(d: FloatArray, noise: FloatArray) -> FloatArray:
    """P of D P + P Dᵀ − D P Dᵀ = noise, all of shape (…, n, n)."""
    entries = places(d.shape[-1])
    found = solved(lyapunov(d), np.stack([noise[..., i, j] for i, j in entries], axis=-1))
    covariance = np.empty_like(d)
    for place, (i, j) in enumerate(entries):
        covariance[..., i, j] = covariance[..., j, i] = found[..., place]
    return covariance


def solved(matrix: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0], dtype=np.float64)


def in_units(a: StepMap, lost: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The weight's unit, and b and e, shape (points, d, 2), with the weight in it."""
    full = np.broadcast_arrays(a.weight_offset, a.buffer_offset, a.weight_noise, a.buffer_noise, lost)[:4]
    noisy = (full[2] != 0) & (full[3] != 0)
    unit = np.where(noisy, np.abs(full[2]) / np.where(noisy, np.abs(full[3]), 1.0), 1.0)
    return unit, np.stack([full[0] / unit, full[1]], axis=-1), np.stack([full[2] / unit, full[3]], axis=-1)


def places(n: int) -> tuple[tuple[int, int], ...]:
    """The entries of a symmetric n×n matrix."""
    return tuple(combinations_with_replacement(range(n), 2))


def lyapunov(d: FloatArray) -> FloatArray:
    """P ↦ D P + P Dᵀ − D P Dᵀ as a matrix on the entries of P."""
    n = d.shape[-1]
    entries = places(n)
    matrix = np.empty((*d.shape[:-2], len(entries), len(entries)))
    for column, (i, j) in enumerate(entries):
        basis = np.zeros((n, n))
        basis[i, j] = basis[j, i] = 1.0
        right = basis @ np.swapaxes(d, -1, -2)
        image = d @ basis + right - d @ right
        matrix[..., column] = np.stack([image[..., p, q] for p, q in entries], axis=-1)
    return matrix
