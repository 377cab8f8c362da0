"""torch.optim.AdamW on noisy quadratics: what is left of a push, from two runs with the same noise (E7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...typing import FloatArray
from ..determinism import deterministic, generator
from .injection import warmed


def pushed(
    record: Any, *, curvature: Sequence[float], push: float, steps: Sequence[int], vectors: int, size: int,
    seed: int = 0,
) -> FloatArray:  # fmt: skip
    """The mean distance of two runs whose weights started `push` apart, over it, shape (vectors, curvatures, steps).

    Gradients are h·w plus standard normal noise, the same in both runs; the state is warmed, so v̂ starts at 1 and is
    each run's own from there. A mean is over `size` weights.

    Parameters
    ----------
    record : an AdamW record with plain numbers for fields.
    steps : those after which the distance is taken, counted from 1, in increasing order.

    >>> import ematheory as em
    >>> still = em.AdamW(lr=0.5, weight_decay=1.0, betas=(0.0, 1 - 2.0**-20))
    >>> pushed(still, curvature=[0.0], push=1.0, steps=[1, 2], vectors=1, size=2).ravel().tolist()
    [0.5, 0.25]
    """
    with deterministic(), torch.no_grad():
        source, seen = generator(seed), []
        bent = torch.tensor(list(curvature), dtype=torch.float64)[:, None]
        weights = [torch.full((vectors, len(bent), size), start, dtype=torch.float64) for start in (0.0, push)]
        optimizer = warmed(record, weights)
        for step in range(1, steps[-1] + 1):
            noise = torch.randn(weights[0].shape, dtype=torch.float64, generator=source)
            for weight in weights:
                weight.grad = bent * weight + noise
            optimizer.step()
            if step in steps:
                seen.append((weights[1] - weights[0]).mean(dim=-1).numpy() / push)
    return np.stack(seen, axis=-1)
