"""torch.optim on a small network whose loss does not depend on the scale of either layer (R6, R7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...records import check_choice
from ...typing import FloatArray
from ..determinism import deterministic, generator

INPUTS, HIDDEN, BATCH = 8, 16, 16
SHAPES = ((HIDDEN, INPUTS), (HIDDEN,))
# What a gradient's element sums over on its way: the batch, the units, the inputs and the layer's norm.
TERMS = BATCH + HIDDEN + INPUTS + HIDDEN * INPUTS
KINDS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def invariant_run(
    kind: str, rates: FloatArray, *, weight_decay: float = 0.0, times_norm: int = 0, start: float = 1.0,
    buffer: float = 0.0, eps: float | FloatArray | None = None, moved: float = 0.0, seed: int = 0, **settings: Any,
) -> list[FloatArray]:  # fmt: skip
    """Both layers' weights after every step of a torch optimizer, each of shape (T + 1, size), in float64.

    Parameters
    ----------
    kind : ``"sgd"``, ``"adam"`` (whose decay is L2) or ``"adamw"``; `settings` are the optimizer's own.
    rates : η of each step, shape (T,), or of each layer (T, 2).
    times_norm : the power of the layer's own ‖w‖ that its rate is multiplied by.
    start : the norm of each layer at the start; the direction is the seed's.
    buffer : of SGD with momentum, the share of w₀ that its buffer starts with.
    eps : of the Adam family, one number or that of each step, shape (T,).
    moved : the relative size of a disturbance of the start, to see how a run amplifies one.

    Raises `ValueError` for another kind.

    >>> [layer.shape for layer in invariant_run("sgd", np.full(3, 0.1))]
    [(4, 128), (4, 16)]
    """
    check_choice("kind", kind, KINDS)
    rates = np.broadcast_to(np.reshape(rates, (len(rates), -1)), (len(rates), len(SHAPES)))
    each_eps = None if eps is None else np.broadcast_to(eps, len(rates))
    with deterministic():
        layers, source = starting(start, moved, seed), generator(seed + 1)
        groups = [{"params": [layer], "lr": 1.0} for layer in layers]
        optimizer = KINDS[kind](groups, weight_decay=weight_decay, foreach=False, **settings)
        if buffer:
            optimizer.state.update({each: {"momentum_buffer": (buffer * each).detach()} for each in layers})
        seen = [[flat(layer) for layer in layers]]
        for k, rate in enumerate(rates):
            optimizer.zero_grad()
            loss(layers, source).backward()  # type: ignore[no-untyped-call]
            for group, layer, each in zip(optimizer.param_groups, layers, rate, strict=True):
                group["lr"] = float(each) * float(layer.detach().norm()) ** times_norm
                if each_eps is not None:
                    group["eps"] = float(each_eps[k])
            optimizer.step()
            seen.append([flat(layer) for layer in layers])
    return [np.stack(layer) for layer in zip(*seen, strict=True)]


def starting(start: float, moved: float, seed: int) -> list[Tensor]:
    source, layers = generator(seed), []
    for shape in SHAPES:
        layer, other = (torch.randn(shape, dtype=torch.float64, generator=source) for _ in range(2))
        disturbed = layer / layer.norm() + moved * other / other.norm()
        layers.append((start * disturbed).requires_grad_())
    return layers


def loss(layers: list[Tensor], source: torch.Generator) -> Tensor:
    """Half the mean squared error on a batch of its own, the target being a product of two inputs."""
    inputs = torch.randn(BATCH, INPUTS, dtype=torch.float64, generator=source)
    first, second = (layer / layer.norm() for layer in layers)
    hidden = torch.tanh(inputs @ first.T * HIDDEN**0.5)
    return torch.as_tensor(((hidden @ second - inputs[:, 0] * inputs[:, 1]) ** 2).mean() / 2)


def flat(layer: Tensor) -> FloatArray:
    return layer.detach().reshape(-1).numpy().copy()


def rounding(run: list[FloatArray], disturbed: list[FloatArray], moved: float) -> float:
    """What rounding makes of the distance between two runs of the same directions, relative to the weights.

    In each a step rounds forward and back by up to `TERMS` roundings each way, and the norms once more. What that
    comes to is amplified as the disturbance `moved` of the start of `disturbed` is, at the most.
    """
    growth = max(relative(one, other).max() / moved for one, other in zip(run, disturbed, strict=True))
    return float(2 * 3 * TERMS * (len(run[0]) - 1) * 2.0**-53 * max(growth, 1.0))


def relative(one: FloatArray, other: FloatArray) -> FloatArray:
    """‖one − other‖/‖one‖ after every step."""
    return np.asarray(np.linalg.norm(one - other, axis=1) / np.linalg.norm(one, axis=1))
