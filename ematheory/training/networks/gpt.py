"""nanoGPT's architecture: token and position vectors, pre-LN blocks with causal attention, the head tied to them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .initializer import Initializer
from .layers import unit_rows
from .network import Network
from .transformer import Block

# GPT-2's standard deviation of every weight; projections back into the residual stream have 0.02/√(2·depth).
STD = 0.02


class GPT(Network):
    """Next-token logits (n, tokens, vocabulary) of int64 tokens (n, tokens), at most `context` of them.

    The vectors of the tokens are also the rows of the head. `bias`: biases in linear maps and norms, as GPT-2 has them
    and nanoGPT may leave out. No dropout. `scale_invariant`: every parameter's rows are divided by their norms.
    """

    def __init__(
        self,
        vocabulary: int,
        context: int,
        width: int,
        depth: int,
        heads: int,
        seed: int,
        dtype: torch.dtype,
        *,
        bias: bool = False,
        scale_invariant: bool = False,
        width_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        self.width_ratio = width_ratio
        make = Initializer(seed, dtype, width_ratio=width_ratio, scale_invariant=scale_invariant, std=STD)
        self.logit_factor = make.output_factor()
        self.tokens, self.positions = make.table(vocabulary, width, STD), make.table(context, width, STD)
        self.blocks = nn.ModuleList(
            Block(make, width, heads, causal=True, bias=bias, residual_gain=1 / max(2 * depth, 1)) for _ in range(depth)
        )
        self.norm = make.layer_norm(width, bias)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[-1], device=tokens.device)
        hidden = self.tokens(tokens) + self.positions(places)
        for block in self.blocks:
            hidden = block(hidden)
        return self.logits(self.norm(hidden))

    def logits(self, hidden: Tensor) -> Tensor:
        """The tied head: inner products with the tokens' vectors (of norm 1 where scale-invariant), times a factor."""
        vectors = unit_rows(self.tokens.weight) if self.tokens.unit else self.tokens.weight
        logits = functional.linear(hidden, vectors)
        return logits if self.logit_factor == 1 else self.logit_factor * logits
