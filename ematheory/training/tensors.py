"""The array namespace that an optimizer's `update` sees on torch tensors: the Update contract's operations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

sqrt = torch.sqrt
where = torch.where
zeros_like = torch.zeros_like


def sign(x: Tensor) -> Tensor:
    """−1, 0 or 1 as two comparisons, like every other backend; NaN gives 0, which torch.sign would keep."""
    return torch.where(x > 0, 1.0, torch.where(x < 0, -1.0, 0.0)).to(x.dtype)


def dot(x: Tensor, y: Tensor) -> Any:
    """Σ x_i y_i over the last axis, which is kept with length 1: summed in float64, in the dtype of `x`."""
    return (x.to(torch.float64) * y.to(torch.float64)).sum(-1, keepdim=True).to(x.dtype)
