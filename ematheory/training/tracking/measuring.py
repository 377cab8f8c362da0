"""What is measured on the tensors themselves, at recorded steps only: norms, rotations, and samples of coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...typing import FloatArray
from .forecast import NAN


class Start(NamedTuple):
    """A tensor's weights when tracking began: some of its coordinates, their places less `shift`, and ‖w_0‖² of all."""

    places: Tensor
    weights: Tensor
    square: float
    shift: int = 0

    def shifted(self, shift: int) -> Tensor:
        """The places, counted from so many before the tensor's first."""
        return self.places + (shift - self.shift) if shift != self.shift else self.places


class Measured(NamedTuple):
    """One step of several tensors, an array of one number each: ‖w‖² before and after, ‖w'−w‖², and ‖g‖²."""

    before: FloatArray
    after: FloatArray
    difference: FloatArray
    gradient: FloatArray


class Projection(NamedTuple):
    """Of samples of several tensors: Σ w w_0 and Σ w_0², scaled up to all of each, and the former's variance."""

    product: FloatArray
    square: FloatArray
    variance: FloatArray

    @property
    def left(self) -> FloatArray:
        """The share of the initial weights: the projection of w on w_0; NaN where w_0 is 0."""
        return self.over_square(self.product)

    @property
    def left_sem(self) -> FloatArray:
        return self.over_square(np.sqrt(self.variance))

    def over_square(self, numbers: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            return np.where(self.square > 0, numbers / self.square, NAN)


def alike(tensors: Sequence[Tensor | None]) -> list[list[int]]:
    """The places of the tensors of each device and dtype; those of None and of empty tensors are in none."""
    found: dict[Any, list[int]] = {}
    for place, tensor in enumerate(tensors):
        if tensor is not None and tensor.numel():
            found.setdefault((tensor.device, tensor.dtype), []).append(place)
    return list(found.values())


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """The norms of tensors of one device and dtype, in float64.

    None may be empty: before torch 2.6 a CUDA device's norms of lists with such were wrong (pytorch issue 140066).
    """
    return torch.stack(torch._foreach_norm(list(tensors), 2, dtype=torch.float64))


def brought(vectors: Sequence[Tensor]) -> list[FloatArray]:
    """The numbers of vectors in float64, with one transfer from each device."""
    devices = {vector.device for vector in vectors}
    found: dict[int, FloatArray] = {}
    for device in devices:
        mine = [place for place, vector in enumerate(vectors) if vector.device == device]
        joined = torch.cat([vectors[place].to(torch.float64) for place in mine]).cpu().numpy()
        ends = list(accumulate(len(vectors[place]) for place in mine))
        found.update(zip(mine, np.split(joined, ends[:-1]), strict=True))
    return [found[place] for place in range(len(vectors))]


def scattered(rest: FloatArray, groups: Sequence[Sequence[int]], values: Sequence[FloatArray]) -> FloatArray:
    """An array with each group's values at its places, and those of `rest` elsewhere."""
    found = rest.copy()
    for places, numbers in zip(groups, values, strict=True):
        found[places] = numbers
    return found


def squares(tensors: Sequence[Tensor]) -> FloatArray:
    """The sum of each tensor's squares, in float64, with one transfer from each device."""
    groups = alike(tensors)
    found = brought([norms([tensors[place] for place in group]) for group in groups])
    return scattered(np.zeros(len(tensors)), groups, [norm * norm for norm in found])


def transferred(tensors: Sequence[Tensor]) -> list[float]:
    """The number in each of these tensors of one element, with one transfer from each device."""
    groups = alike(tensors)
    found = brought([torch.stack([tensors[place].reshape(()) for place in group]) for group in groups])
    return scattered(np.full(len(tensors), NAN), groups, found).tolist()  # type: ignore[no-any-return]


def dense_values(gradient: Tensor | None) -> Tensor | None:
    """A sparse gradient's summed values; a dense one as it is."""
    if gradient is None:
        return None
    if gradient.layout == torch.strided:
        return torch.view_as_real(gradient) if gradient.is_complex() else gradient
    return gradient.coalesce().values() if gradient.layout == torch.sparse_coo else gradient.to_dense()


def drawn(size: int, sample: int, seed: int) -> Tensor:
    """The places of all coordinates, or of up to `sample` of them where there are more.

    They are drawn on the CPU, whatever the default device is, so that every device samples the same ones.
    """
    if size <= sample:
        return torch.arange(size, device="cpu")
    source = torch.Generator().manual_seed(seed)
    places: Tensor = torch.unique(torch.randint(size, (sample,), generator=source, device="cpu"))
    return places


@torch.no_grad()
def started(tensors: Sequence[Tensor], sample: int, seed: int) -> list[Start]:
    """Up to `sample` coordinates of each tensor, the first one's drawn with `seed`, the next one's with the next."""
    places = [drawn(tensor.numel(), sample, seed + i).to(tensor.device) for i, tensor in enumerate(tensors)]
    weights = [tensor.detach().reshape(-1)[chosen] for tensor, chosen in zip(tensors, places, strict=True)]
    return list(map(Start, places, weights, squares(tensors).tolist()))
