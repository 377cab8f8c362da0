"""All tensors of one device and dtype end to end in one vector, so that a record asks little of a GPU.

There every operation costs a launch, some ten microseconds; these are as many for a thousand tensors as for one, but
for what torch's foreach operations split up.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .forecast import NAN
from .measuring import (
    Measured,
    Projection,
    Start,
    alike,
    brought,
    dense_values,
    norms,
    scaled,
    scattered,
    squared,
)  # fmt: skip


class Found(NamedTuple):
    """Of each tensor at a record: its step, its projection on its start, and its sample, still on its device."""

    measured: list[Measured]
    projections: list[Projection]
    samples: list[Tensor]


class Joined:
    """Tensors of one device and dtype, none of them empty; `members` are their places among those tracked.

    The samples' places are on the device, in each tensor; the sampled starts are on the CPU.
    """

    def __init__(self, members: Sequence[int], tensors: Sequence[Tensor], starts: Sequence[Start]) -> None:
        mine = [starts[i] for i in members]
        self.members, self.sizes = list(members), [tensors[i].numel() for i in members]
        self.counts = [len(start.places) for start in mine]
        self.device, self.dtype = tensors[members[0]].device, tensors[members[0]].dtype
        self.places = torch.cat([start.places.to(self.device) for start in mine])
        self.first = torch.cat([start.weights.cpu() for start in mine])
        begins = [end - size for end, size in zip(accumulate(self.sizes), self.sizes, strict=True)]
        self.begins, self.repeats = (torch.tensor(each, device=self.device) for each in (begins, self.counts))

    def starts(self, starts: Sequence[Start]) -> list[Start]:
        """The same starts in the joined vectors' memory."""
        parts = zip(
            self.members,
            self.places.split_with_sizes(self.counts),
            self.first.split_with_sizes(self.counts),
            strict=True,
        )
        return [starts[i]._replace(places=places, weights=weights) for i, places, weights in parts]

    def holds(self, tensors: Sequence[Tensor]) -> bool:
        """Whether all of its tensors still are where they were and of the dtype they had."""
        return all((tensors[i].device, tensors[i].dtype) == (self.device, self.dtype) for i in self.members)

    def flat(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return [tensors[i].reshape(-1) for i in self.members]

    def copied(self, tensors: Sequence[Tensor]) -> Tensor:
        """A copy of the tensors as they are now, end to end."""
        vector = torch.empty(sum(self.sizes), dtype=self.dtype, device=self.device)
        torch._foreach_copy_(vector.split_with_sizes(self.sizes), self.flat(tensors))
        return vector

    def motion(self, before: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """‖w‖ before, ‖w'‖ now and ‖w'−w‖ of each, one after the other; `before` then holds the tensors of now."""
        parts, flat = before.split_with_sizes(self.sizes), self.flat(tensors)
        old, new = norms(parts), norms(flat)
        torch._foreach_sub_(parts, flat)
        difference = norms(parts)
        torch._foreach_copy_(parts, flat)
        return torch.cat([old, new, difference])

    def sampled(self, vector: Tensor) -> Tensor:
        """The sampled coordinates, of all the tensors in `vector`."""
        shifts = torch.repeat_interleave(self.begins, self.repeats, output_size=len(self.places))
        return vector[self.places + shifts]

    def projections(self, now: NDArray[np.float64]) -> list[Projection]:
        """The projection of each tensor on its start, from the sampled coordinates, on the CPU."""
        first, begins = self.first.to(torch.float64).numpy(), np.cumsum([0, *self.counts[:-1]])

        def summed(terms: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.add.reduceat(terms, begins)

        with np.errstate(all="ignore"):  # weights may be infinite or NaN
            square, product = summed(first * first), summed(first * now)
            # Where w_0 is 0 there is no projection, and nothing uncertain about that.
            share = np.where(square > 0, product / square, 0.0)
            apart = first * (now - np.repeat(share, self.counts) * first)
            found = np.stack([product, square, summed(apart * apart)], axis=1).tolist()
        sizes = zip(found, self.sizes, self.counts, strict=True)
        return [scaled(product, square, rest, size, count) for (product, square, rest), size, count in sizes]


def joined(tensors: Sequence[Tensor], starts: Sequence[Start]) -> list[Joined]:
    """The tensors that are not empty, of each device and dtype."""
    return [Joined(members, tensors, starts) for members in alike(tensors)]


@torch.no_grad()
def found_at_start(parts: Sequence[Joined], tensors: Sequence[Tensor], starts: Sequence[Start]) -> Found:
    """Before the first step, which has no motion."""
    samples = [part.sampled(part.copied(tensors)) for part in parts]
    measured = [Measured(NAN, start.square, NAN, NAN) for start in starts]
    return Found(measured, *of_samples(parts, samples, brought(samples), tensors))


@torch.no_grad()
def found(
    parts: Sequence[Joined], copies: Sequence[Tensor], tensors: Sequence[Tensor], asked: Sequence[Tensor | None]
) -> Found:
    """At a step that `copies` were taken before, which are used up; all numbers in one transfer from each device.

    ‖g‖² is of the gradients of `asked`: NaN for None and where there is none.
    """
    gradients = [None if tensor is None else dense_values(tensor.grad) for tensor in asked]
    groups = alike(gradients)
    motions = [part.motion(copy, tensors) for part, copy in zip(parts, copies, strict=True)]
    samples = [part.sampled(copy) for part, copy in zip(parts, copies, strict=True)]
    sizes = [norms([each for i in group if (each := gradients[i]) is not None]) for group in groups]
    numbers = iter(brought([*motions, *samples, *sizes]))
    moved, taken = ([next(numbers) for _ in parts] for _ in range(2))
    nothing = [NAN if gradient is None else 0.0 for gradient in gradients]
    of_gradients = scattered(nothing, groups, list(map(squared, numbers)))
    measured = list(map(Measured, *of_motions(parts, moved, len(tensors)), of_gradients))
    return Found(measured, *of_samples(parts, samples, taken, tensors))


def of_motions(parts: Sequence[Joined], moved: Sequence[NDArray[np.float64]], count: int) -> list[list[float]]:
    """‖w‖² before, after and of the difference, of every tensor."""
    rows = [[squared(row) for row in np.split(numbers, 3)] for numbers in moved]
    members = [part.members for part in parts]
    return [scattered([0.0] * count, members, [row[kind] for row in rows]) for kind in range(3)]


def of_samples(
    parts: Sequence[Joined], samples: Sequence[Tensor], taken: Sequence[NDArray[np.float64]], tensors: Sequence[Tensor]
) -> tuple[list[Projection], list[Tensor]]:
    """Every tensor's projection and sample; `taken` are the samples' numbers."""
    projections = [Projection(0.0, 0.0, 0.0)] * len(tensors)
    apart = list(tensors)  # an empty tensor is its own sample
    for part, sample, numbers in zip(parts, samples, taken, strict=True):
        of_each = zip(part.members, part.projections(numbers), sample.split_with_sizes(part.counts), strict=True)
        for i, projection, own in of_each:
            projections[i], apart[i] = projection, own
    return projections, apart
