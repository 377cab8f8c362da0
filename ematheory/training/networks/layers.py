"""Linear maps, convolutions and tables of vectors whose weights may be used through their directions alone.

Each says its role when the width grows (see `parametrization.py`), and is made by `Initializer`, which draws it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .parametrization import Role


def unit_rows(weight: Tensor) -> Tensor:
    """The rows (filters, for a convolution) divided by their norms, without an ε: that would break the invariance.

    Norms of bfloat16 weights are summed in float32 and the result is rounded once.
    """
    wide = weight.to(torch.float32) if weight.dtype == torch.bfloat16 else weight
    rows = tuple(range(1, wide.dim()))
    return (wide / wide.square().sum(dim=rows, keepdim=True).sqrt()).to(weight.dtype)


class Weighted(nn.Module):
    """A layer with one weight. `unit`: its rows are divided by their norms, so that their scale does not matter.

    `factor` multiplies what comes of the weight, not the bias.
    """

    def __init__(
        self, weight: nn.Parameter, bias: nn.Parameter | None, *, role: Role, unit: bool = False, factor: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = weight
        self.register_parameter("bias", bias)
        self.bias: nn.Parameter | None
        self.role: Role = role
        self.unit, self.factor = unit, factor

    def used(self) -> Tensor:
        """The weight as the function uses it."""
        weight = unit_rows(self.weight) if self.unit else self.weight
        return weight if self.factor == 1 else self.factor * weight


class Linear(Weighted):
    """x ↦ factor·Wx + b over the last axis; W has shape (outputs, inputs)."""

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.linear(inputs, self.used(), self.bias)


class Convolution(Weighted):
    """A convolution that keeps the image's size, divided by the stride; W is (outputs, inputs, size, size)."""

    stride = 1

    def forward(self, images: Tensor) -> Tensor:
        padding = self.weight.shape[-1] // 2
        return functional.conv2d(images, self.used(), self.bias, stride=self.stride, padding=padding)


class Table(Weighted):
    """A vector for each token or position: rows of a weight of shape (rows, width)."""

    def forward(self, tokens: Tensor) -> Tensor:
        return functional.embedding(tokens, self.used())
