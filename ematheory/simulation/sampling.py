"""What a step's gradient is made of: fresh normals for each cell, or the items of a finite data set in some order."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..problems import Problem, ReshuffledData
from .normal import GRADIENT_STREAM, STEPS_PER_CALL, STREAMS, box_muller, normals
from .philox import philox

# The streams of a data set's items and of the order in which they come (DESIGN.md, Noise).
DATA_STREAM, ORDER_STREAM = 2, 3
MOST_EPOCHS = 2**32

Array = np.ndarray[Any, Any]


class Source(Protocol):
    """The normals of each step, shape (points or 1, replicas, normals per cell's vector)."""

    def at(self, step: int) -> Array: ...


def source_of(
    problem: Problem, coefficients: Any, seed: int, first_replica: int, replicas: int, points: Array, dtype: Any
) -> Source:
    """The source of a problem's noise for some points (by their numbers) and replicas."""
    if isinstance(problem, ReshuffledData):
        batches = np.asarray(coefficients.batch_size[:, 0, 0], dtype=np.int64)
        columns = coefficients.batch_size.shape[-1]
        return Items(problem, seed, range(first_replica, first_replica + replicas), columns, points, batches, dtype)
    return Noise(seed, first_replica, replicas, problem.normals_per_step, points, dtype)


class Noise:
    """One standard normal per column and step, shape (points or 1, replicas, columns): one point's, where all share."""

    def __init__(
        self, seed: int, first_replica: int, replicas: int, columns: int, points: Array, dtype: Any,
        stream: int = GRADIENT_STREAM,
    ) -> None:  # fmt: skip
        shared = bool((points == points[0]).all())
        self.points = points[:1] if shared else points
        self.seed, self.first_replica, self.replicas, self.columns = seed, first_replica, replicas, columns
        self.dtype, self.stream = dtype, stream
        self.block = -1

    def at(self, step: int) -> Array:
        block, place = divmod(step, STEPS_PER_CALL)
        if block != self.block:
            self.block = block
            self.four = self.draw(block)
        return np.asarray(self.four[place], dtype=self.dtype)

    def draw(self, block: int) -> Array:
        steps = range(block * STEPS_PER_CALL, (block + 1) * STEPS_PER_CALL)
        replicas = range(self.first_replica, self.first_replica + self.replicas)
        return normals(self.seed, steps, range(self.columns), replicas, self.points, self.stream)


class Items:
    """The mean normal of each step's batch of items, shape (points, replicas, d).

    A replica's items are functions of its number and theirs, so that a data set takes no memory; its order through an
    epoch is that of random keys, one per item.
    """

    def __init__(
        self, problem: ReshuffledData, seed: int, replicas: range, columns: int, points: Array, batches: Array,
        dtype: Any,
    ) -> None:  # fmt: skip
        self.problem, self.seed, self.columns, self.dtype = problem, seed, columns, dtype
        self.replicas = np.arange(replicas.start, replicas.stop)
        self.batches, self.points = batches, points
        self.orders: dict[int, tuple[int, Array]] = {}

    def at(self, step: int) -> Array:
        mean = np.empty((len(self.batches), len(self.replicas), self.columns), dtype=self.dtype)
        pairs = np.stack([self.batches, self.points.astype(np.int64)])
        for batch, point in np.unique(pairs, axis=1).T.tolist():
            alike = (self.batches == batch) & (self.points == point)
            mean[alike] = self.batch_mean(self.items(step, batch, point), point)
        return mean

    def batch_mean(self, items: Array, point: int) -> Array:
        """The mean over a batch, shape (replicas, d), added up in the batch's order; `items` is (replicas, batch)."""
        total = np.zeros((len(self.replicas), self.columns), dtype=self.dtype)
        for column in items.T:
            total = total + self.data(column, point)
        return np.asarray(total / self.dtype.type(items.shape[1]))

    def data(self, items: Array, point: int) -> Array:
        """The normals of one item for each replica, shape (replicas, d)."""
        block, place = np.divmod(items, STEPS_PER_CALL)
        counter = (
            block[:, None], np.arange(self.columns), self.replicas[:, None], point * STREAMS + DATA_STREAM,
        )  # fmt: skip
        four = box_muller(philox(counter, self.seed))
        return np.asarray(np.take_along_axis(four, place[None, :, None], axis=0)[0], dtype=self.dtype)

    def items(self, step: int, batch: int, point: int) -> Array:
        """Which items make up a step's batch, shape (replicas, batch)."""
        first = step * batch
        if self.problem.sampling == "replaced":
            # 53 bits place an item; the shares of two items differ by at most 2⁻⁵³.
            places = (self.keys(np.arange(first, first + batch), 0, point) >> np.uint64(11)).astype(np.float64)
            return np.asarray(np.floor(places * 2.0**-53 * self.problem.size), dtype=np.int64)
        epoch, start = divmod(first, self.problem.size)
        return self.order(epoch, point)[:, start : start + batch]

    def order(self, epoch: int, point: int) -> Array:
        """The items in the order of this epoch, shape (replicas, N)."""
        if point not in self.orders or self.orders[point][0] != epoch:
            keys = self.keys(np.arange(self.problem.size), epoch, point)
            self.orders[point] = epoch, np.argsort(keys, axis=-1, kind="stable")
        return self.orders[point][1]

    def keys(self, numbers: Array, epoch: int, point: int) -> Array:
        """64 random bits for each replica and number, shape (replicas, numbers)."""
        if epoch >= MOST_EPOCHS:
            raise ValueError(f"a run must have fewer than {MOST_EPOCHS} epochs (2^32): the counter has no more numbers")
        high, low = np.divmod(numbers, 2**32)
        counter = (low, high + epoch, self.replicas[:, None], point * STREAMS + ORDER_STREAM)
        first, second, *_ = philox(counter, self.seed)
        return (first.astype(np.uint64) << np.uint64(32)) | second.astype(np.uint64)
