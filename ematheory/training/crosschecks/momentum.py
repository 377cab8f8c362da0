"""torch.optim.SGD with momentum, fed gradients made up for it: the weights after every step (M1, M2)."""

from __future__ import annotations

import numpy as np
import torch

from ...records import check_choice
from ...typing import FloatArray
from ..determinism import deterministic

DECAYS = ("l2", "per_lr")


def driven(
    gradients: FloatArray, *, start: float | FloatArray, lr: float, momentum: float, weight_decay: float,
    decay: str = "l2", dampening: float = 0.0,
) -> FloatArray:  # fmt: skip
    """The weights of torch.optim.SGD, start included, shape (T + 1, size), in float64.

    Parameters
    ----------
    gradients : shape (T, size), that of each step, whatever the weights are.
    start : one number for every weight, or that of each, shape (size,).
    weight_decay : λ, with ``decay="l2"`` torch's own, added to the gradient. torch.optim.SGD has no per-LR decay: with
        ``decay="per_lr"`` the weights are multiplied by 1 − ηλ before the step, as torch.optim.AdamW does it.

    Raises `ValueError` for another decay.

    >>> driven(np.zeros((2, 1)), start=1.0, lr=0.5, momentum=0.5, weight_decay=1.0).ravel().tolist()
    [1.0, 0.5, 0.0]
    """
    check_choice("decay", decay, DECAYS)
    with deterministic(), torch.no_grad():
        weight = torch.tensor(np.broadcast_to(start, gradients.shape[1:]), dtype=torch.float64)
        own = weight_decay if decay == "l2" else 0.0
        optimizer = torch.optim.SGD([weight], lr=lr, momentum=momentum, weight_decay=own, dampening=dampening)
        seen = [weight.numpy().copy()]
        for gradient in torch.from_numpy(np.ascontiguousarray(gradients)):
            if decay == "per_lr":
                weight.mul_(1 - lr * weight_decay)
            weight.grad = gradient.clone()
            optimizer.step()
            seen.append(weight.numpy().copy())
    return np.stack(seen)
