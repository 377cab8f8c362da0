"""Classification of images by a perceptron, a residual network or a vision transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...records import Interval, check_choice, check_whole
from .scalable import ScalableTask

if TYPE_CHECKING:
    import torch

    from ..networks import Network

ARCHITECTURES = ("mlp", "resnet", "vit")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ImageTask(ScalableTask):
    """Images of `image` = (channels, size) in `classes`; `architecture` says which network.

    `width` and `depth` are units and hidden layers of the perceptron ("mlp"), channels of the first stage and blocks
    per stage of the "resnet", the vectors' width and blocks of the "vit", which has `heads`. `scale_invariant` divides
    every row of every weight by its norm. `train_size`: train on the first so many examples only.
    """

    architecture: str = "mlp"
    heads: int | None = None
    scale_invariant: bool = False
    train_size: int | None = None

    image: ClassVar[tuple[int, int]]
    classes: ClassVar[int]
    patch: ClassVar[int]
    stages: ClassVar[int]
    # The usual width, depth and heads of each architecture.
    usual: ClassVar[dict[str, tuple[int, int, int | None]]]

    def __post_init__(self) -> None:
        check_choice("network", self.architecture, ARCHITECTURES)
        super().__post_init__()
        self.check_free_scale(self.scale_invariant)
        if self.train_size is not None:
            check_whole("train_size", self.train_size, Interval(1))
        if self.architecture == "vit":
            self.check_heads(self.heads)
        elif self.heads is not None:
            raise ValueError(f"heads belong to network='vit', got {self.heads} with {self.architecture!r}")
        if self.architecture == "resnet":
            self.check_groups()

    def check_groups(self) -> None:
        if self.width % 4:
            raise ValueError(f"width must be a multiple of the 4 groups of a resnet's normalisation, got {self.width}")
        check_whole("depth", self.depth, Interval(1))

    def usual_width(self) -> int:
        return self.usual[self.architecture][0]

    def network(self, seed: int, dtype: torch.dtype) -> Network:
        """The network at its start: drawn in float64 from `seed` alone, then rounded to `dtype`."""
        return {"mlp": self.perceptron, "resnet": self.resnet, "vit": self.vit}[self.architecture](seed, dtype)

    def perceptron(self, seed: int, dtype: torch.dtype) -> Network:
        from ..networks import Perceptron, ScaleInvariantPerceptron

        channels, size = self.image
        sizes = (channels * size**2, *[self.width] * self.depth, self.classes)
        if self.scale_invariant:
            return ScaleInvariantPerceptron(sizes, seed, dtype)
        return Perceptron(sizes, seed, dtype, self.width_ratio)

    def resnet(self, seed: int, dtype: torch.dtype) -> Network:
        from ..networks import ResNet

        return ResNet(
            self.image[0], self.width, self.depth, self.stages, self.classes, seed, dtype,
            scale_invariant=self.scale_invariant, width_ratio=self.width_ratio,
        )  # fmt: skip

    def vit(self, seed: int, dtype: torch.dtype) -> Network:
        from ..networks import ViT

        assert self.heads is not None
        return ViT(
            self.image, self.patch, self.width, self.depth, self.heads, self.classes, seed, dtype,
            scale_invariant=self.scale_invariant, width_ratio=self.width_ratio,
        )  # fmt: skip
