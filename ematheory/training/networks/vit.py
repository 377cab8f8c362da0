"""A small vision transformer: patches as tokens, blocks without a mask, the mean token read out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .initializer import Initializer
from .network import Network
from .transformer import Block

POSITION_STD = 0.02


class ViT(Network):
    """Logits (n, classes) of images (n, channels, size, size), cut into patches of `patch` × `patch` pixels.

    Weights N(0, 1/inputs), biases 0, positions N(0, 0.02²). The patches' vectors are averaged after the last norm
    (Beyer et al., arXiv 2205.01580), so there is no class token.
    """

    def __init__(
        self,
        image: tuple[int, int],
        patch: int,
        width: int,
        depth: int,
        heads: int,
        classes: int,
        seed: int,
        dtype: torch.dtype,
        *,
        scale_invariant: bool = False,
        width_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        self.width_ratio, self.patch = width_ratio, patch
        channels, size = image
        make = Initializer(seed, dtype, width_ratio=width_ratio, scale_invariant=scale_invariant)
        self.patches = make.linear(channels * patch**2, width, role="input")
        self.positions = make.table((size // patch) ** 2, width, POSITION_STD)
        self.blocks = nn.ModuleList(Block(make, width, heads, causal=False) for _ in range(depth))
        self.norm = make.layer_norm(width)
        self.head = make.linear(width, classes, role="output")

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(cut(images, self.patch)) + self.positions.used()
        for block in self.blocks:
            tokens = block(tokens)
        return torch.as_tensor(self.head(self.norm(tokens).mean(dim=-2)))


def cut(images: Tensor, patch: int) -> Tensor:
    """Images (n, channels, height, width) as patches (n, patches, channels·patch²), row by row.

    >>> cut(torch.arange(16).reshape(1, 1, 4, 4), 2)[0, 1].tolist()
    [2, 3, 6, 7]
    """
    n, channels, height, width = images.shape
    split = images.reshape(n, channels, height // patch, patch, width // patch, patch)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, channels * patch**2)
