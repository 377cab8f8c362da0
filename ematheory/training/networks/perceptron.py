"""A perceptron, and one whose function does not depend on the scale of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..determinism import generator

# The scale of the scale-invariant network's logits; with rows of norm 1 they are of order 1 without it.
LOGIT_SCALE = 4.0


class Perceptron(nn.Module):
    """ReLU layers of the given sizes with biases: weights N(0, 2/fan-in) drawn in float64 from `seed`, biases 0."""

    def __init__(self, sizes: Sequence[int], seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        source = generator(seed)
        self.weights = nn.ParameterList(
            torch.randn(wide, fan_in, dtype=torch.float64, generator=source).mul_((2 / fan_in) ** 0.5).to(dtype)
            for fan_in, wide in pairwise(sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(wide, dtype=dtype) for wide in sizes[1:])

    def forward(self, images: Tensor) -> Tensor:
        hidden = images
        for weight, bias in list(zip(self.weights, self.biases, strict=True))[:-1]:
            hidden = torch.relu(functional.linear(hidden, weight, bias))
        return functional.linear(hidden, self.weights[-1], self.biases[-1])


class ScaleInvariantPerceptron(Perceptron):
    """ReLU layers whose weight rows are divided by their norms, without biases.

    A hidden layer is √2·relu(Ŵh), which keeps the mean square of its inputs; the logits are 4·Ŵh.
    """

    def __init__(self, sizes: Sequence[int], seed: int, dtype: torch.dtype) -> None:
        super().__init__(sizes, seed, dtype)
        del self.biases

    def forward(self, images: Tensor) -> Tensor:
        hidden = images
        for weight in list(self.weights)[:-1]:
            hidden = 2**0.5 * torch.relu(functional.linear(hidden, unit_rows(weight)))
        return LOGIT_SCALE * functional.linear(hidden, unit_rows(self.weights[-1]))


def unit_rows(weight: Tensor) -> Tensor:
    """The rows divided by their norms, without an ε: that would break the invariance."""
    return weight / weight.square().sum(dim=1, keepdim=True).sqrt()
