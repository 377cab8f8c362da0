"""The array namespace that coefficients, gradients and updates see on NumPy: the Update contract's operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic import vector_sum

sqrt = np.sqrt
where = np.where
zeros_like = np.zeros_like


def sign(x: Any) -> Any:
    """−1, 0 or 1 in the dtype of `x`, as two comparisons; NaN gives 0."""
    array = np.asarray(x)
    one = array.dtype.type(1)
    return np.where(array > 0, one, np.where(array < 0, -one, 0 * one))


def dot(x: Any, y: Any) -> Any:
    """Σ x_i y_i over the last axis, which is kept with length 1: summed in float64, returned in the dtype of `x`."""
    product = np.asarray(x, dtype=np.float64) * np.asarray(y, dtype=np.float64)
    return vector_sum(product)[..., None].astype(np.asarray(x).dtype)
