"""Addition modulo a number, of which some pairs are shown and the rest must be understood: where grokking is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...records import Interval, check_choice, check_values, check_whole
from .scalable import ScalableTask, check_train_size
from .task import Split

if TYPE_CHECKING:
    import torch

    from ..networks import Network

ARCHITECTURES = ("mlp", "transformer")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModularAddition(ScalableTask):
    """(a, b) ↦ a + b mod `modulus`; made by `modular_addition`.

    Of all modulus² pairs, shuffled by `split_seed`, the first `train_share` are for training, of which `train_size`
    are used; the others are the test.
    """

    modulus: int = 59
    architecture: str = "mlp"
    heads: int | None = None
    train_share: float = 0.5
    train_size: int | None = None
    split_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("network", self.architecture, ARCHITECTURES)
        check_whole("modulus", self.modulus, Interval(2))
        check_whole("split_seed", self.split_seed, Interval(0))
        check_values("train_share", self.train_share, Interval(0.0, 1.0, closed_low=False))
        if self.architecture == "transformer":
            self.check_heads(self.heads)
        elif self.heads is not None:
            raise ValueError(f"heads belong to network='transformer', got {self.heads} with {self.architecture!r}")

    def usual_width(self) -> int:
        return 128

    def data(self) -> Split:
        """Pairs, int64 of shape (n, 2), and their sums modulo the modulus, shape (n,)."""
        pairs = np.stack(np.divmod(np.arange(self.modulus**2), self.modulus), axis=1)
        pairs = pairs[np.random.default_rng(self.split_seed).permutation(len(pairs))]
        sums = pairs.sum(axis=1) % self.modulus
        cut = round(self.train_share * len(pairs))
        if not 0 < cut < len(pairs):
            raise ValueError(f"train_share must leave pairs on both sides, of {len(pairs)}, got {self.train_share}")
        size = check_train_size(self.train_size, cut)
        return Split(pairs[:size], sums[:size], pairs[cut:], sums[cut:])

    def network(self, seed: int, dtype: torch.dtype) -> Network:
        """The network at its start: drawn in float64 from `seed` alone, then rounded to `dtype`."""
        from ..networks import SequenceClassifier, TokenPerceptron

        if self.architecture == "mlp":
            sizes = (2 * self.modulus, *[self.width] * self.depth, self.modulus)
            return TokenPerceptron(self.modulus, sizes, seed, dtype, self.width_ratio)
        assert self.heads is not None
        return SequenceClassifier(
            self.modulus, 2, self.width, self.depth, self.heads, seed, dtype, width_ratio=self.width_ratio
        )


def modular_addition(
    modulus: int = 59,
    width: int = 128,
    depth: int = 1,
    *,
    network: str = "mlp",
    heads: int | None = None,
    parametrization: str = "standard",
    base_width: int | None = None,
    train_share: float = 0.5,
    train_size: int | None = None,
    split_seed: int = 0,
) -> ModularAddition:
    """Addition modulo `modulus`, from the pairs shown to the others.

    Parameters
    ----------
    modulus : there are modulus² pairs.
    network : "mlp", a ReLU network of `depth` layers of `width` on two one-hot vectors, or "transformer", `depth`
        causal blocks of `width` with `heads` (4) heads that read a, b and "=".
    parametrization : "standard" or "mup"; they agree at `base_width` (128).
    train_share, train_size, split_seed : the share of pairs that may be trained on, how many of these are, and the seed
        that chooses them.

    Raises `TypeError` or `ValueError` for a setting out of range.

    >>> task = modular_addition(modulus=7, train_share=0.5)
    >>> data = task.data()
    >>> data.train_inputs.shape, bool((data.train_inputs.sum(axis=1) % 7 == data.train_targets).all())
    ((24, 2), True)
    """
    if network == "transformer" and heads is None:
        heads = 4
    return ModularAddition(
        width=width, depth=depth, parametrization=parametrization, base_width=base_width, modulus=modulus,
        architecture=network, heads=heads, train_share=train_share, train_size=train_size, split_seed=split_seed,
    )  # fmt: skip
