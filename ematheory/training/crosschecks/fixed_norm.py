"""AdamW's rotation at rest beside torch.optim.Adam's steps at a fixed norm, both on white noise (§7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...typing import FloatArray
from ..determinism import deterministic, generator
from ..observables import angle, length
from .injection import warmed


def turned(
    record: Any, *, norm: float, steps: int, last: int, vectors: int, size: int, relative_step: float | None = None,
    seed: int = 0,
) -> FloatArray:  # fmt: skip
    """The mean rotation of a step over the `last` of `steps`, in radians, shape (vectors,), in float64.

    Parameters
    ----------
    record : an AdamW (or Adam) record with plain numbers for fields, warmed so that v̂ starts at 1, β₂ near 1.
    norm : ‖w‖ of each of the `vectors` vectors of `size` weights at the start; gradients are standard normal.
    relative_step : None leaves the weights to torch. With a number ρ what torch's step changes is made ρ‖w‖ long, and
        the vector is then put back to its norm.

    >>> import ematheory as em
    >>> adam = em.Adam(lr=1.0, betas=(0.0, 1 - 2.0**-20))
    >>> found = turned(adam, norm=1.0, steps=2, last=1, vectors=2, size=4096, relative_step=0.1)
    >>> bool((abs(found - 0.1) < 0.001).all())
    True
    """
    with deterministic(), torch.no_grad():
        source = generator(seed)
        weight = torch.randn(vectors, size, dtype=torch.float64, generator=source)
        weight *= norm / length(weight)
        optimizer, total = warmed(record, [weight]), torch.zeros(vectors, dtype=torch.float64)
        for step in range(steps):
            weight.grad = torch.randn(vectors, size, dtype=torch.float64, generator=source)
            before = weight.clone()
            optimizer.step()
            if relative_step is not None:
                weight.copy_(put_back(before, weight - before, relative_step))
            if step >= steps - last:
                total += angle(before, weight).squeeze(-1)
    return np.asarray((total / last).numpy())


def put_back(before: Tensor, change: Tensor, relative_step: float) -> Tensor:
    """A change of ρ‖w‖, and the norm that there was."""
    moved = before + change * (relative_step * length(before) / length(change))
    return moved * (length(before) / length(moved))
