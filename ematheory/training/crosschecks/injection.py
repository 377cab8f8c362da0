"""torch.optim.AdamW fed gradients made up for it, in place of a loss: its state warmed so that v stays what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..optimizers import build

# Steps already behind it, as torch counts them: the largest count that float32, in which torch keeps it, holds exactly.
STEPS_BEHIND = 2**24 - 2**20


def warmed(record: Any, weights: Sequence[Tensor]) -> torch.optim.Optimizer:
    """torch's AdamW late in a run on gradients of variance 1: v̂ = 1, m = 0, bias correction over."""
    optimizer = build(record, weights, foreach=len(weights) > 1)
    for weight in weights:
        optimizer.state[weight] = {
            "step": torch.tensor(float(STEPS_BEHIND)),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.full_like(weight, 1 - record.beta2**STEPS_BEHIND),
        }
    return optimizer
