"""scikit-learn's images of digits, and perceptrons to classify them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ...records import Interval, check_values, check_whole
from .. import require
from .task import Split, Task

if TYPE_CHECKING:
    import torch

    from ..networks import Perceptron

CLASSES = 10


@lru_cache(maxsize=4)
def digits(test_share: float, split_seed: int) -> Split:
    """scikit-learn's 1797 real 8×8 images of digits, shuffled by `split_seed` and split.

    Each pixel is centred and scaled by the training images' mean and standard deviation; pixels that never change
    are left at 0.
    """
    require("sklearn")
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    order = np.random.default_rng(split_seed).permutation(len(classes))
    cut = len(classes) - round(test_share * len(classes))
    if not 0 < cut < len(classes):
        raise ValueError(f"test_share must leave images to train and to test on, of {len(classes)}, got {test_share}")
    train, test = order[:cut], order[cut:]
    mean, spread = images[train].mean(axis=0), images[train].std(axis=0)
    standard = (images - mean) / np.where(spread > 0, spread, 1.0)
    classes = classes.astype(np.int64)
    return Split(standard[train], classes[train], standard[test], classes[test])


@dataclass(frozen=True, eq=False, repr=False)
class DigitsPerceptron(Task):
    """Classification of scikit-learn's digits with a ReLU network; made by `digits_mlp`, `digits_scale_invariant`.

    `depth` hidden layers of `width` units; `scale_invariant` says which network; `test_share` of the images, chosen
    by `split_seed`, are kept for testing.
    """

    width: int = 128
    depth: int = 2
    scale_invariant: bool = False
    test_share: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("width", 1), ("depth", 0), ("split_seed", 0)):
            check_whole(name, getattr(self, name), Interval(low))
        check_values("test_share", self.test_share, Interval(0.0, 1.0, closed_low=False))

    def data(self) -> Split:
        """Standardised images (n, 64) and classes 0…9 (n,). Raises `ModuleNotFoundError` without scikit-learn."""
        return digits(self.test_share, self.split_seed)

    def network(self, seed: int, dtype: torch.dtype) -> Perceptron:
        """The network at its start: drawn in float64 from `seed` alone, then rounded to `dtype`."""
        from ..networks import Perceptron, ScaleInvariantPerceptron

        kind = ScaleInvariantPerceptron if self.scale_invariant else Perceptron
        return kind((64, *[self.width] * self.depth, CLASSES), seed, dtype)


def digits_mlp(width: int = 128, depth: int = 2, *, test_share: float = 0.2, split_seed: int = 0) -> DigitsPerceptron:
    """Digits with a ReLU network of `depth` hidden layers of `width` units, with biases.

    Raises `TypeError` or `ValueError` for a width, depth, share or seed out of range.

    >>> digits_mlp(width=32)
    DigitsPerceptron(width=32, depth=2, scale_invariant=False, test_share=0.2, split_seed=0)
    """
    return DigitsPerceptron(width, depth, False, test_share, split_seed)


def digits_scale_invariant(
    width: int = 128, depth: int = 2, *, test_share: float = 0.2, split_seed: int = 0
) -> DigitsPerceptron:
    """Digits with a network whose function is exactly invariant under w → c·w, c > 0, of all trained parameters.

    Every row of every weight matrix, the readout's included, is divided by its norm in the forward pass (no ε); there
    are no biases and the scale of the logits is fixed. Raises as `digits_mlp` does.

    >>> digits_scale_invariant(width=32).scale_invariant
    True
    """
    return DigitsPerceptron(width, depth, True, test_share, split_seed)
