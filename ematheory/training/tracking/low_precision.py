"""The decay that bfloat16 weights lose to rounding (THEORY.md §8): expected from ηλ, and measured by torch's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...simulation.bfloat16 import nearest
from .forecast import NAN
from .measuring import alike, brought
from .rows import Row

# The significands of bfloat16 between two powers of two.
SIGNIFICANDS = range(128, 256)


def lost(samples: Mapping[int, Tensor], alpha: float, group: dict[str, Any]) -> dict[int, Row]:
    """What rounding takes back of the decay α of a group's bfloat16 tensors, whose samples these are by their places.

    It is measured on the samples. A fused step adds decay and update before it rounds: it has no decay step of its own
    to be lost.
    """
    if not samples or not 0 < alpha < 1:
        return {}
    mine, predicted = list(samples.values()), decay_lost_predicted(alpha)
    measured = [NAN] * len(mine) if group.get("fused") else decay_lost(mine, alpha, uses_foreach(group, mine))
    rows = ({"decay_lost": each, "decay_lost_predicted": predicted} for each in measured)
    return dict(zip(samples, rows, strict=True))


def lost_together(rows: Iterable[tuple[Row, float]]) -> Row:
    """The same of a group, from its bfloat16 tensors' rows and sizes: over all of their coordinates."""
    mine = list(rows)
    total = sum(size for _, size in mine)
    kinds = ("decay_lost", "decay_lost_predicted") if total else ()
    return {kind: sum(size * row[kind] for row, size in mine) / total for kind in kinds}


@torch.no_grad()
def decay_lost(samples: Sequence[Tensor], decay_per_step: float, foreach: bool) -> list[float]:
    """The share of each sample's bfloat16 weights that multiplying by 1 − α as torch does it leaves alone.

    Weights of 0 do not count; NaN where there are no others.
    """
    found = [NAN] * len(samples)
    for places in alike(samples):
        mine = [samples[place] for place in places]
        weights, kept = torch.cat(mine), 1 - decay_per_step
        shrunk = torch._foreach_mul([weights], kept)[0] if foreach else weights.clone().mul_(kept)
        # 1 where a weight stays, 0 where it moves, and -1 for those of 0.
        (stays,) = brought([(shrunk == weights).to(torch.int8) - 2 * (weights == 0)])
        for place, each in zip(places, np.split(stays, np.cumsum(list(map(len, mine)))[:-1]), strict=True):
            found[place] = float(each[each >= 0].mean()) if (each >= 0).any() else NAN
    return found


def decay_lost_predicted(decay_per_step: float) -> float:
    """That share where significands are spread log-uniformly (Benford), as those of weights over several binades are.

    >>> round(decay_lost_predicted(2.0**-9), 12), decay_lost_predicted(0.01)
    (1.0, 0.0)
    """
    significands = np.array(SIGNIFICANDS, dtype=np.float32)
    stays = nearest((significands.astype(np.float64) * (1 - decay_per_step)).astype(np.float32)) == significands
    places = significands.astype(np.float64)
    return float(np.log2((places + 1) / places)[stays].sum())


def uses_foreach(group: dict[str, Any], tensors: Iterable[Tensor]) -> bool:
    """Whether torch's loop over a group multiplies its tensors in one foreach call: its default on a GPU alone."""
    if group.get("foreach") is not None:
        return bool(group["foreach"])
    return all(tensor.device.type != "cpu" for tensor in tensors)
