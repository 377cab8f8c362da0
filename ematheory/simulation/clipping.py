"""Gradients clipped by their norm; csrc/core/clipping.h is the same in C++."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import vector_sum
from .groups import Groups, alike, folded

# What torch.nn.utils.clip_grad_norm_ adds to the norm.
MARGIN = 1e-6


def clip(gradient: Any, most: Any) -> Any:
    """g·min(1, c/(‖g‖ + 1e-6)) over the last axis; `most` is c, which broadcasts with the norms.

    The squares are made and summed in float64 in the promised order, the factor is a float64 that is cast to the
    gradient's dtype, and the product is of that dtype. An infinite norm makes 0·∞ = NaN of the infinite entries.

    >>> clip(np.array([3.0, 4.0]), 1.0).round(6).tolist()
    [0.6, 0.8]
    """
    given = np.asarray(gradient)
    wide = given.astype(np.float64)
    share = most / (np.sqrt(vector_sum(wide * wide)) + MARGIN)
    factor = np.where(share > 1, 1.0, share).astype(given.dtype)
    return given * factor[..., None]


def clip_each(gradient: Any, most: Any, groups: Groups) -> Any:
    """`clip` of each group's part of gradients (…, replicas, d), as torch clips one parameter group after another.

    >>> clip_each(np.array([[3.0, 4.0, 0.1]]), 1.0, (2, 1)).round(6).tolist()
    [[0.6, 0.8, 0.1]]
    """
    parts = [
        clip(folded(gradient, columns, size), most).reshape(gradient[..., columns].shape)
        for columns, size in alike(groups)
    ]
    return np.concatenate(parts, axis=-1)
