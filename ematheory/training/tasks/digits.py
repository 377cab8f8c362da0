"""scikit-learn's images of digits, and perceptrons, a residual network and a vision transformer to classify them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ...records import Interval, check_values, check_whole
from .. import require
from .images import ImageTask
from .scalable import check_train_size
from .task import Split


@lru_cache(maxsize=4)
def digits(test_share: float, split_seed: int) -> Split:
    """scikit-learn's 1797 real 8×8 images of digits, shuffled by `split_seed` and split: shapes (n, 1, 8, 8) and (n,).

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
    standard = ((images - mean) / np.where(spread > 0, spread, 1.0)).reshape(-1, 1, 8, 8)
    classes = classes.astype(np.int64)
    return Split(standard[train], classes[train], standard[test], classes[test])


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Digits(ImageTask):
    """Classification of scikit-learn's digits; made by `digits_mlp`, `digits_resnet`, `digits_vit`.

    `test_share` of the images, chosen by `split_seed`, are kept for testing. Pixels are standardised by all of the
    others, whatever `train_size`, so that the examples of a smaller one are the first of a larger one's.
    """

    test_share: float = 0.2
    split_seed: int = 0
    label_noise: float = 0.0

    image = (1, 8)
    classes = 10
    patch = 2
    stages = 2
    usual = {"mlp": (128, 2, None), "resnet": (8, 1, None), "vit": (32, 2, 4)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("split_seed", self.split_seed, Interval(0))
        check_values("test_share", self.test_share, Interval(0.0, 1.0, closed_low=False))
        check_values("label_noise", self.label_noise, Interval(0.0, 1.0, closed_high=True))

    def data(self) -> Split:
        """Standardised images (n, 1, 8, 8) and classes 0…9 (n,). Raises `ModuleNotFoundError` without scikit-learn."""
        whole = digits(self.test_share, self.split_seed)
        size = check_train_size(self.train_size, len(whole.train_targets))
        targets = mislabelled(whole.train_targets, self.label_noise, self.split_seed)
        return whole._replace(train_inputs=whole.train_inputs[:size], train_targets=targets[:size])


def mislabelled(targets: npt.NDArray[np.int64], share: float, seed: int) -> npt.NDArray[np.int64]:
    """The classes 0…9, shape (n,), with that share of them, chosen by the seed, moved to another class."""
    source = np.random.default_rng([seed, len(targets)])
    wrong = source.permutation(len(targets))[: round(share * len(targets))]
    moved = targets.copy()
    moved[wrong] = (moved[wrong] + source.integers(1, 10, len(wrong))) % 10
    return moved


def digits_mlp(
    width: int = 128,
    depth: int = 2,
    *,
    scale_invariant: bool = False,
    parametrization: str = "standard",
    base_width: int | None = None,
    train_size: int | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
    label_noise: float = 0.0,
) -> Digits:
    """Digits with a ReLU network of `depth` hidden layers of `width` units, with biases.

    Parameters
    ----------
    width, depth : units per hidden layer, hidden layers.
    scale_invariant : every row of every weight is divided by its norm (no ε), and there are no biases, so that the
        function is exactly invariant under w → c·w, c > 0, of any parameter.
    parametrization : "standard" or "mup"; `base_width` (128) is where the two agree.
    train_size : train on the first so many images (of 1438); by default all.
    test_share, split_seed : the share of the 1797 images kept for testing, and the seed that chooses them.
    label_noise : the share of the training images that get a wrong class, once and for all; a network that is too
        small to learn them by heart keeps a loss and gradients to the end.

    Raises `TypeError` or `ValueError` for a setting out of range.

    >>> digits_mlp(width=32).data().train_inputs.shape
    (1438, 1, 8, 8)
    """
    return Digits(
        architecture="mlp", width=width, depth=depth, scale_invariant=scale_invariant, parametrization=parametrization,
        base_width=base_width, train_size=train_size, test_share=test_share, split_seed=split_seed,
        label_noise=label_noise,
    )  # fmt: skip


def digits_scale_invariant(width: int = 128, depth: int = 2, *, test_share: float = 0.2, split_seed: int = 0) -> Digits:
    """`digits_mlp(scale_invariant=True)`: exactly invariant under w → c·w, c > 0, of all trained parameters.

    >>> digits_scale_invariant(width=32) == digits_mlp(width=32, scale_invariant=True)
    True
    """
    return digits_mlp(width, depth, scale_invariant=True, test_share=test_share, split_seed=split_seed)


def digits_resnet(
    width: int = 8,
    depth: int = 1,
    *,
    scale_invariant: bool = False,
    parametrization: str = "standard",
    base_width: int | None = None,
    train_size: int | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
) -> Digits:
    """Digits with a residual network: two stages of `depth` blocks, `width` channels at 8×8 and twice as many at 4×4.

    Group normalisation (4 groups), no running statistics. Other settings as in `digits_mlp`; the base width is 8.

    >>> digits_resnet().width
    8
    """
    return Digits(
        architecture="resnet", width=width, depth=depth, scale_invariant=scale_invariant,
        parametrization=parametrization, base_width=base_width, train_size=train_size, test_share=test_share,
        split_seed=split_seed,
    )  # fmt: skip


def digits_vit(
    width: int = 32,
    depth: int = 2,
    *,
    heads: int = 4,
    scale_invariant: bool = False,
    parametrization: str = "standard",
    base_width: int | None = None,
    train_size: int | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
) -> Digits:
    """Digits with a vision transformer on 16 patches of 2×2 pixels: `depth` blocks of `width`, `heads` heads.

    Other settings as in `digits_mlp`; the base width is 32.

    >>> digits_vit(width=64, parametrization="mup").width_ratio
    2.0
    """
    return Digits(
        architecture="vit", width=width, depth=depth, heads=heads, scale_invariant=scale_invariant,
        parametrization=parametrization, base_width=base_width, train_size=train_size, test_share=test_share,
        split_seed=split_seed,
    )  # fmt: skip
