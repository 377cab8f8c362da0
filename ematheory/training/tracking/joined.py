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
from torch import Tensor
from torch._utils import _flatten_dense_tensors as end_to_end
from torch._utils import _unflatten_dense_tensors as apart

from ...typing import FloatArray
from .forecast import NAN
from .measuring import (
    Measured,
    Projection,
    Start,
    alike,
    brought,
    dense_values,
    norms,
    scattered,
)  # fmt: skip


class Found(NamedTuple):
    """Of each tensor at a record: its step, and its projection on its start.

    `samples` are of bfloat16 tensors alone, by their places, still on their devices.
    """

    measured: Measured
    projection: Projection
    samples: dict[int, Tensor]


class Joined:
    """Tensors of one device and dtype, none of them empty; `members` are their places among those tracked.

    The samples' places are on the device, in the joined vector; the sampled starts are on the CPU. Tensors are given as
    all that are tracked, complex ones as pairs of real numbers.
    """

    def __init__(self, members: Sequence[int], tensors: Sequence[Tensor], starts: Sequence[Start]) -> None:
        mine = [starts[i] for i in members]
        self.members, self.sizes = list(members), [tensors[i].numel() for i in members]
        self.counts = [len(start.places) for start in mine]
        self.device, self.dtype = tensors[members[0]].device, tensors[members[0]].dtype
        self.begins = [end - size for end, size in zip(accumulate(self.sizes), self.sizes, strict=True)]
        shifted = [start.shifted(begin) for start, begin in zip(mine, self.begins, strict=True)]
        self.places = torch.cat([places.to(self.device) for places in shifted])
        self.first = torch.cat([start.weights.cpu() for start in mine])
        self.firsts = np.cumsum([0, *self.counts[:-1]])
        self.factor = np.array(self.sizes) / np.array(self.counts)
        self.sampled_whole = bool((self.factor == 1).all())

    def starts(self, starts: Sequence[Start]) -> list[Start]:
        """The same starts in the joined vectors' memory."""
        parts = zip(
            self.members,
            self.places.split_with_sizes(self.counts),
            self.first.split_with_sizes(self.counts),
            self.begins,
            strict=True,
        )
        return [starts[i]._replace(places=places, weights=weights, shift=shift) for i, places, weights, shift in parts]

    def holds(self, tensors: Sequence[Tensor]) -> bool:
        """Whether all of its tensors still are where they were and of the dtype they had."""
        return all((tensors[i].device, tensors[i].dtype) == (self.device, self.dtype) for i in self.members)

    def copied(self, tensors: Sequence[Tensor]) -> Tensor:
        """A copy of the tensors as they are now, end to end."""
        mine = [tensors[i] for i in self.members]
        return end_to_end(mine) if len(mine) > 1 else mine[0].detach().clone().reshape(-1)  # type: ignore[no-untyped-call]

    def motion(self, before: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """‖w‖ before, ‖w'‖ now and ‖w'−w‖ of each, one after the other; `before` then holds the tensors of now."""
        now = [tensors[i] for i in self.members]
        parts = apart(before, now)  # type: ignore[no-untyped-call]
        both = norms([*parts, *now])
        torch._foreach_sub_(parts, now)
        difference = norms(parts)
        torch._foreach_copy_(parts, now)
        return torch.cat([both, difference])

    def sampled(self, vector: Tensor) -> Tensor:
        """The sampled coordinates, of all the tensors in `vector`."""
        return vector[self.places]

    def projection(self, now: FloatArray) -> Projection:
        """The projection of each tensor on its start, from the sampled coordinates, on the CPU."""
        first, factor = self.first.to(torch.float64).numpy(), self.factor
        with np.errstate(all="ignore"):  # weights may be infinite or NaN
            square, product = self.summed(first * first), self.summed(first * now)
            if self.sampled_whole:  # nothing is uncertain where every coordinate was taken
                return Projection(product, square, np.zeros_like(square))
            # Where w_0 is 0 there is no projection, and nothing uncertain about that.
            share = np.where(square > 0, product / square, 0.0)
            apart = first * (now - np.repeat(share, self.counts) * first)
            variance = np.where(factor > 1, factor**2 * self.summed(apart * apart), 0.0)
        return Projection(factor * product, factor * square, variance)  # up to the whole tensors

    def summed(self, terms: FloatArray) -> FloatArray:
        """Over each tensor's sample."""
        return np.add.reduceat(terms, self.firsts)


def joined(tensors: Sequence[Tensor], starts: Sequence[Start]) -> list[Joined]:
    """The tensors that are not empty, of each device and dtype."""
    return [Joined(members, tensors, starts) for members in alike(tensors)]


@torch.no_grad()
def found_at_start(parts: Sequence[Joined], tensors: Sequence[Tensor], starts: Sequence[Start]) -> Found:
    """Before the first step, which has no motion."""
    samples = [part.sampled(part.copied(tensors)) for part in parts]
    squares = np.array([start.square for start in starts])
    nothing = np.full(len(starts), NAN)
    return Found(
        Measured(nothing, squares, nothing, nothing), *of_samples(parts, samples, brought(samples), len(starts))
    )


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
    nothing = np.array([NAN if gradient is None else 0.0 for gradient in gradients])
    of_gradients = scattered(nothing, groups, [norm * norm for norm in numbers])
    measured = Measured._make([*of_motions(parts, moved, len(tensors)), of_gradients])
    return Found(measured, *of_samples(parts, samples, taken, len(tensors)))


def of_motions(parts: Sequence[Joined], moved: Sequence[FloatArray], count: int) -> FloatArray:
    """‖w‖² before, after and of the difference, of every tensor: shape (3, tensors)."""
    whole = np.zeros((3, count))
    for part, norm in zip(parts, moved, strict=True):
        whole[:, part.members] = (norm * norm).reshape(3, -1)
    return whole


def of_samples(
    parts: Sequence[Joined], samples: Sequence[Tensor], taken: Sequence[FloatArray], count: int
) -> tuple[Projection, dict[int, Tensor]]:
    """The projection of every tensor, and the samples of bfloat16 ones; `taken` are all samples' numbers."""
    whole, apart = np.zeros((3, count)), dict[int, Tensor]()
    for part, sample, numbers in zip(parts, samples, taken, strict=True):
        whole[:, part.members] = part.projection(numbers)
        if part.dtype == torch.bfloat16:
            apart.update(zip(part.members, sample.split_with_sizes(part.counts), strict=True))
    return Projection(*whole), apart
