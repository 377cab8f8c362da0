"""torch.optim on finite data: AdamW's average over reshuffled items (T3), and SGD's mean under L2 (Q12)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...records import check_choice
from ...typing import FloatArray
from ..determinism import deterministic, generator

SAMPLINGS = ("reshuffled", "replaced")


def averaged_items(
    items: int, *, lr: float, weight_decay: float, eps: float, epochs: Sequence[int], width: int, replicas: int,
    sampling: str = "reshuffled", seed: int = 0,
) -> FloatArray:  # fmt: skip
    """The mean over `width` weights of (w − the items' mean)², shape (replicas, epochs), w from 1 under AdamW.

    The gradient is −1 times the item of the step; items are standard normal, each replica's its own. β₁ = 0, and with
    an `eps` beside which √v̂ is nothing w is the average of items that η, λ and ε make it.

    Parameters
    ----------
    items : M, of which an epoch visits each once (``"reshuffled"``) or draws as many anew (``"replaced"``).
    epochs : after which the distance is taken, in increasing order.

    >>> averaged_items(2, lr=1.0, weight_decay=0.5, eps=1.0, epochs=[1, 3], width=4, replicas=3).shape
    (3, 2)
    """
    check_choice("sampling", sampling, SAMPLINGS)
    with deterministic(), torch.no_grad():
        source, seen = generator(seed), []
        data = torch.randn(replicas, items, width, dtype=torch.float64, generator=source)
        weight = torch.ones(replicas, width, dtype=torch.float64)
        optimizer = torch.optim.AdamW(
            [weight], lr=lr, weight_decay=weight_decay, betas=(0.0, 0.5), eps=eps, foreach=False
        )
        for epoch in range(1, epochs[-1] + 1):
            for places in order(replicas, items, sampling, source).T:
                weight.grad = -data[torch.arange(replicas), places]
                optimizer.step()
            if epoch in epochs:
                seen.append(((weight - data.mean(dim=1)) ** 2).mean(dim=1).numpy())
    return np.stack(seen, axis=1)


def order(replicas: int, items: int, sampling: str, source: torch.Generator) -> Tensor:
    """Which item each step of an epoch sees, shape (replicas, items)."""
    if sampling == "replaced":
        return torch.randint(0, items, (replicas, items), generator=source)
    return torch.rand(replicas, items, generator=source).argsort(dim=1)


def regularised_means(
    items: FloatArray, curvature: FloatArray, *, lr: float, weight_decay: float, batch_size: int, steps: int,
    replicas: int, seed: int = 0,
) -> FloatArray:  # fmt: skip
    """The mean over the second half of a run of torch.optim.SGD with L2, shape (replicas, coordinates), from 0.

    The loss of item y is ½Σ h(w − y)²; every epoch takes the items in another order, in whole batches.

    Parameters
    ----------
    items : y, shape (N, coordinates), the same for each replica, N a multiple of `batch_size`.
    curvature : h, shape (coordinates,).

    >>> regularised_means(np.ones((4, 1)), np.ones(1), lr=0.5, weight_decay=1.0, batch_size=2, steps=200,
    ...                   replicas=2).ravel().tolist()
    [0.5, 0.5]
    """
    with deterministic():
        source, data, bent = generator(seed), torch.from_numpy(items), torch.from_numpy(curvature)
        weight = torch.zeros(replicas, items.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=lr, weight_decay=weight_decay)
        total, batches = torch.zeros_like(weight, requires_grad=False), len(items) // batch_size
        for step in range(steps):
            if step % batches == 0:
                places = order(replicas, len(items), "reshuffled", source).reshape(replicas, batches, batch_size)
            optimizer.zero_grad()
            # Each replica's own loss: the sum has the gradient of each.
            loss = ((weight[:, None] - data[places[:, step % batches]]) ** 2 * bent / 2).mean(dim=1).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += weight.detach() if step >= steps // 2 else 0.0
    return np.asarray((total / (steps - steps // 2)).numpy())
