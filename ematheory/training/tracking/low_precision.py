"""The decay that bfloat16 weights lose to rounding (THEORY.md §8): expected from ηλ, and measured by torch's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ...simulation.bfloat16 import nearest
from .forecast import NAN
from .measuring import sampled
from .rows import Row
from .tensors import Tracked

# The significands of bfloat16 between two powers of two.
SIGNIFICANDS = range(128, 256)


def lost(each: Tracked, alpha: float, group: dict[str, Any]) -> Row:
    """What rounding takes back of the decay α of this tensor; nothing for other weights than bfloat16.

    A fused step adds decay and update before it rounds: it has no decay step of its own to be lost.
    """
    if each.tensor.dtype != torch.bfloat16 or not 0 < alpha < 1:
        return {}
    loops = uses_foreach(group, [each.tensor])
    measured = NAN if group.get("fused") else decay_lost(each.weights, each.start.places, alpha, loops)
    return {"decay_lost": measured, "decay_lost_predicted": decay_lost_predicted(alpha)}


def lost_together(rows: Iterable[tuple[Row, int]]) -> Row:
    """The same of a group, from its tensors' rows and sizes: over all of its bfloat16 coordinates."""
    mine = [(row, size) for row, size in rows if "decay_lost" in row]
    total = sum(size for _, size in mine)
    kinds = ("decay_lost", "decay_lost_predicted") if total else ()
    return {kind: sum(size * row[kind] for row, size in mine) / total for kind in kinds}


@torch.no_grad()
def decay_lost(tensor: Tensor, places: Tensor, decay_per_step: float, foreach: bool) -> float:
    """The share of a bfloat16 tensor's sampled coordinates that multiplying by 1 − α as torch does it leaves alone."""
    weights = sampled(tensor, places)
    weights = weights[weights != 0]
    kept = 1 - decay_per_step
    shrunk = torch._foreach_mul([weights], kept)[0] if foreach else weights.clone().mul_(kept)
    return float((shrunk == weights).double().mean()) if len(weights) else NAN


def decay_lost_predicted(decay_per_step: float) -> float:
    """That share where significands are spread log-uniformly (Benford), as those of weights over several binades are.

    >>> round(decay_lost_predicted(2.0**-9), 12), decay_lost_predicted(0.01)
    (1.0, 0.0)
    """
    import numpy as np

    significands = np.array(SIGNIFICANDS, dtype=np.float32)
    stays = nearest((significands.astype(np.float64) * (1 - decay_per_step)).astype(np.float32)) == significands
    places = significands.astype(np.float64)
    return float(np.log2((places + 1) / places)[stays].sum())


def uses_foreach(group: dict[str, Any], tensors: Iterable[Tensor]) -> bool:
    """Whether torch's loop over a group multiplies its tensors in one foreach call: its default on a GPU alone."""
    if group.get("foreach") is not None:
        return bool(group["foreach"])
    return all(tensor.device.type != "cpu" for tensor in tensors)
