"""Drawing a network's parameters: in float64 from a seed, then rounded, so that every dtype starts from one place."""

from __future__ import annotations

import torch
from torch import nn

from ..determinism import generator
from .layers import Convolution, Linear, Table
from .parametrization import Role, output_factor, scaled_std

# The scale of a scale-invariant network's logits; with rows of norm 1 they are of order 1 without it.
LOGIT_SCALE = 4.0


class Initializer:
    """Makes layers one after another from one stream of numbers.

    `std` is the standard deviation of every weight; without it, it is √(gain/inputs). `scale_invariant` layers divide
    their rows by their norms and have no biases. `width_ratio` is muP's m.
    """

    def __init__(
        self,
        seed: int,
        dtype: torch.dtype,
        *,
        width_ratio: float = 1.0,
        scale_invariant: bool = False,
        std: float | None = None,
    ) -> None:
        self.source, self.dtype, self.std = generator(seed), dtype, std
        self.width_ratio, self.scale_invariant = width_ratio, scale_invariant

    def normal(self, *shape: int, std: float) -> nn.Parameter:
        return nn.Parameter(torch.randn(*shape, dtype=torch.float64, generator=self.source).mul_(std).to(self.dtype))

    def weight(self, *shape: int, role: Role, gain: float) -> nn.Parameter:
        """A weight with `gain` over its variance: of √(gain/inputs), or of √gain times the fixed `std`."""
        inputs = 1
        for size in shape[1:]:
            inputs *= size
        std = (gain / inputs) ** 0.5 if self.std is None else self.std * gain**0.5
        return self.normal(*shape, std=scaled_std(role, self.width_ratio, std, fan_in=self.std is None))

    def bias(self, outputs: int, wanted: bool) -> nn.Parameter | None:
        return nn.Parameter(torch.zeros(outputs, dtype=self.dtype)) if wanted and not self.scale_invariant else None

    def output_factor(self) -> float:
        return LOGIT_SCALE if self.scale_invariant else output_factor(self.width_ratio)

    def linear(
        self, inputs: int, outputs: int, *, role: Role = "hidden", gain: float = 1.0, bias: bool = True
    ) -> Linear:
        weight = self.weight(outputs, inputs, role=role, gain=gain)
        factor = self.output_factor() if role == "output" else 1.0
        return Linear(weight, self.bias(outputs, bias), role=role, unit=self.scale_invariant, factor=factor)

    def convolution(
        self, inputs: int, outputs: int, size: int, *, stride: int = 1, role: Role = "hidden"
    ) -> Convolution:
        """Without a bias: a normalisation follows, which has one. Variance 2/inputs, for the ReLU after it."""
        weight = self.weight(outputs, inputs, size, size, role=role, gain=2.0)
        made = Convolution(weight, None, role=role, unit=self.scale_invariant)
        made.stride = stride
        return made

    def table(self, rows: int, width: int, std: float) -> Table:
        """Vectors with entries of `std`; scale-invariant ones have norm √width, entries of order 1."""
        factor = float(width) ** 0.5 if self.scale_invariant else 1.0
        return Table(self.normal(rows, width, std=std), None, role="input", unit=self.scale_invariant, factor=factor)

    def layer_norm(self, width: int, bias: bool = True) -> nn.LayerNorm:
        """Over the last axis; in scale-invariant networks without gains, which would be a scale of their own."""
        return nn.LayerNorm(width, elementwise_affine=not self.scale_invariant, bias=bias, dtype=self.dtype)

    def group_norm(self, groups: int, channels: int) -> nn.GroupNorm:
        """Over an image's positions and each group of its channels; gains as in `layer_norm`."""
        return nn.GroupNorm(groups, channels, affine=not self.scale_invariant, dtype=self.dtype)
