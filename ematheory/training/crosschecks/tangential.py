"""torch.optim on scale-invariant weights with nothing to learn: noise at right angles to them that falls as 1/‖w‖."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...records import check_choice
from ...typing import FloatArray
from ..determinism import deterministic, generator
from ..observables import angle, length
from .invariant_runs import KINDS

DECAYS = ("torch", "per_lr")


@dataclass(frozen=True, eq=False)
class Walk:
    """What is recorded of independent vectors, each of shape (records, vectors), by the step that led to a record."""

    norm: FloatArray  # ‖w‖ after the step
    rotation: FloatArray  # radians from before the step to after it
    gradient_norm: FloatArray  # ‖g‖ of the step


def tangential_walk(
    kind: str, rates: FloatArray, decays: FloatArray, *, start: float, vectors: int, size: int,
    record: Sequence[int], spread: float = 1.0, decay: str = "torch", seed: int = 0, **settings: Any,
) -> Walk:  # fmt: skip
    """Walk `vectors` vectors of `size` weights with a torch optimizer, in float64.

    Parameters
    ----------
    kind : ``"sgd"``, ``"adam"`` or ``"adamw"``; `settings` are the optimizer's own.
    rates, decays : η and torch's weight_decay of each step, shape (T,).
    start : ‖w‖ at the start.
    record : steps, counted from 1, in increasing order.
    spread : σ̃, the root mean square of a gradient's elements at ‖w‖ = 1, before the part along w is taken out.
    decay : ``"torch"`` leaves it to the optimizer; ``"per_lr"`` multiplies the weights by 1 − ηλ before the step, which
        torch.optim.SGD does not offer.

    Raises `ValueError` for another kind or decay.

    >>> import numpy as np
    >>> walk = tangential_walk("sgd", np.full(2, 0.1), np.zeros(2), start=1.0, vectors=3, size=8, record=[1, 2])
    >>> bool((walk.norm[1] > walk.norm[0]).all())
    True
    """
    check_choice("kind", kind, KINDS)
    check_choice("decay", decay, DECAYS)
    seen = []
    with deterministic(), torch.no_grad():
        source = generator(seed)
        weight = torch.randn(vectors, size, dtype=torch.float64, generator=source)
        weight *= start / length(weight)
        optimizer = KINDS[kind]([weight], lr=1.0, foreach=False, **settings)
        (group,) = optimizer.param_groups
        for k, (rate, each) in enumerate(zip(rates, decays, strict=True), start=1):
            weight.grad = tangential_noise(weight, spread, source)
            before = weight.clone() if k in record else None
            group["lr"], group["weight_decay"] = float(rate), 0.0 if decay == "per_lr" else float(each)
            if decay == "per_lr":
                weight.mul_(1 - float(rate * each))
            optimizer.step()
            if before is not None:
                seen.append((length(weight), angle(before, weight), length(weight.grad)))
    columns = (torch.stack(column).squeeze(-1).numpy() for column in zip(*seen, strict=True))
    return Walk(*columns)


def tangential_noise(weight: Tensor, spread: float, source: torch.Generator) -> Tensor:
    """Of each vector on its own: normal numbers less their part along the weights, over the norm."""
    noise = torch.randn(weight.shape, dtype=torch.float64, generator=source).mul_(spread)
    square = (weight * weight).sum(dim=-1, keepdim=True)
    along = (noise * weight).sum(dim=-1, keepdim=True) / square
    return noise.sub_(along * weight).div_(square.sqrt())
