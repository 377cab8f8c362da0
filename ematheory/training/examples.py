"""A task's examples as tensors: whole on the device where they are in memory, else the rows of a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .determinism import generator
from .tasks import Split

# A batch of the evaluation holds at least as many numbers of input as this, or as many examples as a step's batch.
EVALUATED = 2**16


class Examples:
    """Inputs and targets whose first axis counts examples.

    Floats are rounded to `dtype`, whole numbers (tokens, classes) become int64.
    """

    def __init__(self, inputs: Any, targets: Any, dtype: torch.dtype, device: str) -> None:
        self.dtype, self.device, self.size = dtype, device, len(targets)
        # Only a plain array is in memory already: others are mapped from files, or converted when rows are taken.
        self.arrays = [self.tensor(part) if type(part) is np.ndarray else part for part in (inputs, targets)]

    def first(self, most: int | None) -> Examples:
        """The first so many examples, in the same memory; all for None."""
        twin = copy(self)
        twin.size = self.size if most is None else min(most, self.size)
        return twin

    def tensor(self, values: Any) -> Tensor:
        array = np.ascontiguousarray(values)
        kind = self.dtype if array.dtype.kind == "f" else torch.int64
        # Other whole numbers (uint16 tokens) are widened in NumPy: torch has few operations on them.
        wide = array if array.dtype.kind == "f" else array.astype(np.int64)
        return torch.tensor(wide).to(device=self.device, dtype=kind)

    def take(self, chosen: Any) -> tuple[Tensor, Tensor]:
        """The inputs and targets of some examples: a tensor of their places, or a slice."""
        inputs, targets = (self.rows(part, chosen) for part in self.arrays)
        return inputs, targets

    def rows(self, part: Any, chosen: Any) -> Tensor:
        if isinstance(part, Tensor):
            if isinstance(chosen, slice):
                return part[chosen]
            # Whole rows are copied, where an index would look up each number.
            return part.index_select(0, chosen.flatten().to(part.device)).view(*chosen.shape, *part.shape[1:])
        return self.tensor(part[chosen if isinstance(chosen, slice) else chosen.numpy()])

    def chunks(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All examples in order, so many at a time that memory stays bounded."""
        numbers = max(1, int(np.prod(self.arrays[0].shape[1:])))
        step = max(batch_size, EVALUATED // numbers)
        return (self.take(slice(at, min(at + step, self.size))) for at in range(0, self.size, step))


def both_parts(
    data: Split, dtype: torch.dtype, device: str, evaluate: int | None
) -> tuple[Examples, dict[str, Examples]]:
    """The examples to train on, and those that are scored: "train" and "test", the first `evaluate` of each."""
    train = Examples(data.train_inputs, data.train_targets, dtype, device)
    test = Examples(data.test_inputs, data.test_targets, dtype, device)
    return train, {"train": train.first(evaluate), "test": test.first(evaluate)}


class Place(NamedTuple):
    """Where the order of the batches is: the generator's state at the start of this epoch, and the next example."""

    epoch: Tensor
    at: int


class Batches:
    """Places of one batch after another, each epoch in an order drawn from `seed`, without end."""

    def __init__(self, examples: int, batch_size: int, seed: int) -> None:
        self.examples, self.batch_size, self.source = examples, batch_size, generator(seed)
        self.draw()

    def draw(self) -> None:
        self.epoch, self.at = self.source.get_state(), 0
        self.order = torch.randperm(self.examples, generator=self.source)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Tensor:
        if self.at + self.batch_size > self.examples:
            self.draw()
        self.at += self.batch_size
        return self.order[self.at - self.batch_size : self.at]

    @property
    def place(self) -> Place:
        return Place(self.epoch, self.at)

    def go_to(self, place: Place) -> None:
        """Continue as if the batches before this place had been taken."""
        self.source.set_state(place.epoch)
        self.draw()
        self.at = place.at
