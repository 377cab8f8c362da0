"""What is measured on the tensors themselves, at recorded steps only: norms, rotations, and samples of coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .forecast import NAN


class Start(NamedTuple):
    """A tensor's weights when tracking began: some of its coordinates, their places, and ‖w_0‖² of all."""

    places: Tensor
    weights: Tensor
    square: float


class Measured(NamedTuple):
    """One step of one tensor: ‖w‖² before and after, ‖w'−w‖², and ‖g‖²."""

    before: float
    after: float
    difference: float
    gradient: float

    def joined(self, other: Measured) -> Measured:
        return Measured(*(x + y for x, y in zip(self, other, strict=True)))


class Projection(NamedTuple):
    """Of a sample: Σ w w_0 and Σ w_0², scaled up to the whole tensor, and the first one's sampling variance."""

    product: float
    square: float
    variance: float

    def joined(self, other: Projection) -> Projection:
        return Projection(*(x + y for x, y in zip(self, other, strict=True)))

    @property
    def left(self) -> float:
        """The share of the initial weights: the projection of w on w_0; NaN where w_0 is 0."""
        return self.product / self.square if self.square > 0 else NAN

    @property
    def left_sem(self) -> float:
        return math.sqrt(self.variance) / self.square if self.square > 0 else NAN


def squares(tensors: Sequence[Tensor]) -> list[float]:
    """The sum of each tensor's squares, in float64, with one transfer from each device.

    On the CPU with torch's foreach; elsewhere one by one, for its norms of long lists were wrong on CUDA
    (pytorch issue 140066).
    """
    if not tensors:
        return []
    if all(tensor.device.type == "cpu" for tensor in tensors):
        norms = list(torch._foreach_norm(list(tensors), 2, dtype=torch.float64))
    else:
        norms = [torch.linalg.vector_norm(tensor, dtype=torch.float64).to(tensors[0].device) for tensor in tensors]
    found = torch.stack([norm.reshape(()) for norm in norms]).tolist()
    return [norm * norm for norm in found]


def transferred(tensors: Sequence[Tensor]) -> list[float]:
    """The number in each of these tensors of one element, with one transfer from each device and dtype."""
    together: dict[Any, list[int]] = {}
    for place, tensor in enumerate(tensors):
        together.setdefault((tensor.device, tensor.dtype), []).append(place)
    found = [NAN] * len(tensors)
    for places in together.values():
        numbers = torch.stack([tensors[place].reshape(()) for place in places]).to(torch.float64).tolist()
        for place, number in zip(places, numbers, strict=True):
            found[place] = number
    return found


def of_gradients(tensors: Sequence[Tensor | None]) -> list[float]:
    """‖g‖² of each; NaN without a gradient, or where None stands for a tensor whose gradient is not asked for."""
    dense = [None if tensor is None else dense_values(tensor.grad) for tensor in tensors]
    found = iter(squares([grad for grad in dense if grad is not None]))
    return [NAN if grad is None else next(found) for grad in dense]


def dense_values(gradient: Tensor | None) -> Tensor | None:
    """A sparse gradient's summed values; a dense one as it is."""
    if gradient is None:
        return None
    if gradient.layout == torch.strided:
        return torch.view_as_real(gradient) if gradient.is_complex() else gradient
    return gradient.coalesce().values() if gradient.layout == torch.sparse_coo else gradient.to_dense()


@torch.no_grad()
def started(tensor: Tensor, sample: int, seed: int) -> Start:
    """Up to `sample` coordinates of a tensor, drawn with a seed of its own where it has more."""
    size = tensor.numel()
    if size <= sample:
        places = torch.arange(size, device="cpu")
    else:
        # On the CPU, whatever the default device is: every device then samples the same places.
        drawn = torch.randint(size, (sample,), generator=torch.Generator().manual_seed(seed), device="cpu")
        places = torch.unique(drawn)
    places = places.to(tensor.device)
    return Start(places, sampled(tensor, places), squares([tensor.detach()])[0])


def sampled(tensor: Tensor, places: Tensor) -> Tensor:
    return tensor.detach().reshape(-1)[places]


def projections(tensors: Sequence[Tensor], starts: Sequence[Start]) -> list[Projection]:
    """The projection of each tensor on its start."""
    rows: list[Tensor] = []
    for tensor, start in zip(tensors, starts, strict=True):
        first, now = start.weights.to(torch.float64), sampled(tensor, start.places).to(torch.float64)
        square, product = first @ first, first @ now
        # Where w_0 is 0 there is no projection, and nothing uncertain about that.
        rest = now - torch.where(square > 0, product / square, 0.0) * first
        rows.append(torch.stack([product, square, (first * rest) @ (first * rest)]))
    found: list[tuple[float, float, float]] = (
        torch.stack([row.to(rows[0].device) for row in rows]).tolist() if rows else []
    )
    return [
        scaled(*row, tensor.numel(), len(start.places))
        for row, tensor, start in zip(found, tensors, starts, strict=True)
    ]


def scaled(product: float, square: float, rest: float, size: int, sample: int) -> Projection:
    """Up to the whole tensor; nothing is uncertain where every coordinate was taken."""
    factor = size / sample if sample else 0.0
    return Projection(factor * product, factor * square, factor**2 * rest if sample < size else 0.0)
