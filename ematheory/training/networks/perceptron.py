"""A perceptron, and one whose function does not depend on the scale of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .initializer import LOGIT_SCALE, Initializer
from .layers import unit_rows
from .network import Network
from .parametrization import Role, output_factor


def layer_role(layer: int, layers: int) -> Role:
    """A single layer has no side that grows: its role is one that changes nothing under an adaptive optimizer."""
    if layer == 0:
        return "input"
    return "output" if layer == layers - 1 else "hidden"


class Perceptron(Network):
    """ReLU layers of the given sizes with biases: weights N(0, 2/fan-in) drawn in float64 from `seed`, biases 0.

    Examples of any shape are flattened.
    """

    def __init__(self, sizes: Sequence[int], seed: int, dtype: torch.dtype, width_ratio: float = 1.0) -> None:
        super().__init__()
        layers = len(sizes) - 1
        self.width_ratio = width_ratio if layers > 1 else 1.0
        make = Initializer(seed, dtype, width_ratio=self.width_ratio)
        self.weights = nn.ParameterList(
            make.weight(wide, fan_in, role=layer_role(layer, layers), gain=2.0)
            for layer, (fan_in, wide) in enumerate(pairwise(sizes))
        )
        self.biases = nn.ParameterList(torch.zeros(wide, dtype=dtype) for wide in sizes[1:])

    def forward(self, examples: Tensor) -> Tensor:
        hidden = examples.flatten(1)
        for weight, bias in list(zip(self.weights, self.biases, strict=True))[:-1]:
            hidden = torch.relu(functional.linear(hidden, weight, bias))
        if self.width_ratio != 1:
            hidden = hidden * output_factor(self.width_ratio)
        return functional.linear(hidden, self.weights[-1], self.biases[-1])

    def roles(self) -> dict[str, Role]:
        layers = len(self.weights)
        weights = {f"weights.{layer}": layer_role(layer, layers) for layer in range(layers)}
        return {name: weights.get(name, "input") for name, _ in self.named_parameters()}


class ScaleInvariantPerceptron(Perceptron):
    """ReLU layers whose weight rows are divided by their norms, without biases.

    A hidden layer is √2·relu(Ŵh), which keeps the mean square of its inputs; the logits are 4·Ŵh.
    """

    def __init__(self, sizes: Sequence[int], seed: int, dtype: torch.dtype) -> None:
        super().__init__(sizes, seed, dtype)
        del self.biases

    def forward(self, examples: Tensor) -> Tensor:
        hidden = examples.flatten(1)
        for weight in list(self.weights)[:-1]:
            hidden = 2**0.5 * torch.relu(functional.linear(hidden, unit_rows(weight)))
        return LOGIT_SCALE * functional.linear(hidden, unit_rows(self.weights[-1]))

    def scale_invariant_parameters(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.named_parameters())


class TokenPerceptron(Perceptron):
    """A perceptron on whole numbers 0…tokens−1, each given as a one-hot vector: shape (n, count) to (n, outputs)."""

    def __init__(
        self, tokens: int, sizes: Sequence[int], seed: int, dtype: torch.dtype, width_ratio: float = 1.0
    ) -> None:
        super().__init__(sizes, seed, dtype, width_ratio)
        self.tokens = tokens

    def forward(self, examples: Tensor) -> Tensor:
        # functional.one_hot looks at its values, which a vectorised ensemble cannot.
        places = torch.arange(self.tokens, device=examples.device)
        return super().forward((examples[..., None] == places).to(self.weights[0].dtype))
