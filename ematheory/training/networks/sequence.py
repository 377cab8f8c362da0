"""A transformer that reads a few tokens and an equals sign, and answers at the sign: the network of grokking."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .initializer import Initializer
from .network import Network
from .transformer import Block


class SequenceClassifier(Network):
    """Logits (n, classes) of whole numbers (n, length), each 0…classes−1, to which "=" is appended inside.

    Causal pre-LN blocks; token and position vectors with entries of order 1, weights N(0, 1/inputs), a head of its own.
    """

    def __init__(
        self,
        classes: int,
        length: int,
        width: int,
        depth: int,
        heads: int,
        seed: int,
        dtype: torch.dtype,
        width_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        self.width_ratio, self.equals = width_ratio, classes
        make = Initializer(seed, dtype, width_ratio=width_ratio)
        self.tokens, self.positions = make.table(classes + 1, width, 1.0), make.table(length + 1, width, 1.0)
        self.blocks = nn.ModuleList(Block(make, width, heads, causal=True) for _ in range(depth))
        self.norm = make.layer_norm(width)
        self.head = make.linear(width, classes, role="output")

    def forward(self, numbers: Tensor) -> Tensor:
        hidden = self.tokens(functional.pad(numbers, (0, 1), value=self.equals)) + self.positions.used()
        for block in self.blocks:
            hidden = block(hidden)
        return torch.as_tensor(self.head(self.norm(hidden[..., -1, :])))
