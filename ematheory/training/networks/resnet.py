"""A small residual network of convolutions (He et al., arXiv 1512.03385) with group normalisation.

Group normalisation has no running statistics, so evaluation is training's function, an example's output does not
depend on its batch, and accumulated micro-batches give the full batch's gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .initializer import Initializer
from .network import Network

GROUPS = 4


class ResidualBlock(nn.Module):
    """relu(norm(conv(relu(norm(conv x)))) + shortcut); the shortcut is x, or a 1×1 convolution where sizes change."""

    def __init__(self, make: Initializer, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = make.convolution(inputs, channels, 3, stride=stride)
        self.first_norm = make.group_norm(GROUPS, channels)
        self.second = make.convolution(channels, channels, 3)
        self.second_norm = make.group_norm(GROUPS, channels)
        changes = stride != 1 or inputs != channels
        self.shortcut = make.convolution(inputs, channels, 1, stride=stride) if changes else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        hidden = torch.relu(self.first_norm(self.first(images)))
        return torch.relu(self.second_norm(self.second(hidden)) + self.shortcut(images))


class ResNet(Network):
    """Logits (n, classes) of images (n, channels, size, size).

    `stages` of `depth` blocks each; a stage after the first halves the image and doubles the `width` channels. The
    mean over positions is read out. Filters N(0, 2/inputs), the readout N(0, 1/inputs).
    """

    def __init__(
        self,
        channels: int,
        width: int,
        depth: int,
        stages: int,
        classes: int,
        seed: int,
        dtype: torch.dtype,
        *,
        scale_invariant: bool = False,
        width_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        self.width_ratio = width_ratio
        make = Initializer(seed, dtype, width_ratio=width_ratio, scale_invariant=scale_invariant)
        self.stem = make.convolution(channels, width, 3, role="input")
        self.stem_norm = make.group_norm(GROUPS, width)
        blocks: list[nn.Module] = []
        inputs = width
        for stage in range(stages):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(ResidualBlock(make, inputs, width * 2**stage, stride))
                inputs = width * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.head = make.linear(inputs, classes, role="output")

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.blocks(torch.relu(self.stem_norm(self.stem(images))))
        return torch.as_tensor(self.head(hidden.mean(dim=(-2, -1))))
