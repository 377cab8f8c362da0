"""A linear readout of fixed random features: only the readout is trained."""

from __future__ import annotations

import torch
from torch import Tensor

from .initializer import Initializer
from .network import Network


class RandomFeatures(Network):
    """v·Ax, or v·√2·relu(Ax), of inputs (n, inputs): shape (n, 1).

    A, shape (width, inputs), has entries N(0, 1/`power`), drawn from `seed` and not trained; with `power` the mean
    squared norm of the inputs every feature has mean square 1. v starts at 0, as in arXiv 2402.01092.
    """

    features: Tensor

    def __init__(
        self,
        inputs: int,
        width: int,
        power: float,
        seed: int,
        dtype: torch.dtype,
        *,
        relu: bool = False,
        width_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        self.width_ratio, self.relu = width_ratio, relu
        make = Initializer(seed, dtype, width_ratio=width_ratio)
        self.register_buffer("features", make.normal(width, inputs, std=power**-0.5).detach())
        self.readout = make.linear(width, 1, role="output", gain=0.0, bias=False)

    def forward(self, examples: Tensor) -> Tensor:
        hidden = examples @ self.features.T
        if self.relu:
            hidden = 2**0.5 * torch.relu(hidden)
        return torch.as_tensor(self.readout(hidden))
