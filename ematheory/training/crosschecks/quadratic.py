"""torch.optim on noisy quadratics: what is left of a push, from two runs with the same noise (E7), and whole runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ...typing import FloatArray
from ..determinism import deterministic, generator
from ..optimizers import at_one_point, build, plan, set_step
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


def quadratic_run(
    problem: NoisyQuadratic, optimizer: Any, *, steps: int, record: Sequence[int], schedule: Any = None,
    copies: int, seed: int = 0,
) -> FloatArray:  # fmt: skip
    """Independent copies of a problem's one coordinate under its torch optimizer, shape (records, copies).

    torch.optim.SGD has no per-LR decay: there the weights are multiplied by 1 − ηλ before the step.

    >>> import ematheory as em
    >>> flat = em.NoisyQuadratic(curvature=1.0, noise=0.0, init=2.0)
    >>> quadratic_run(flat, em.SGD(lr=0.5), steps=2, record=[1, 2], copies=1).ravel().tolist()
    [1.0, 0.5]
    """
    own = at_one_point(optimizer)
    by_hand = isinstance(own, SGD) and own.decay == "per_lr"
    built = dataclasses.replace(own, decay="l2", weight_decay=0.0) if by_hand else own
    decay, run = plan(own, steps, schedule).decay_per_step, plan(built, steps, schedule)
    bent, spread, optimum, start = one_coordinate(problem)
    with deterministic(), torch.no_grad():
        weight, source, seen = torch.full((copies,), start, dtype=torch.float64), generator(seed), []
        torch_optimizer = build(built, [weight])
        for k in range(1, steps + 1):
            noise = torch.randn(copies, dtype=torch.float64, generator=source)
            weight.grad = bent * (weight - optimum) + spread * noise
            if by_hand:
                weight.mul_(1 - float(decay[k - 1]))
            set_step(torch_optimizer, run, k)
            torch_optimizer.step()
            if k in record:
                seen.append(weight.numpy().copy())
    return np.stack(seen)


def one_coordinate(problem: NoisyQuadratic) -> tuple[float, float, float, float]:
    """h, the standard deviation of the gradient, θ* and w₀."""
    fields = (problem.curvature, problem.noise, problem.optimum, problem.init, problem.batch_size)
    bent, noise, optimum, start, batch = (float(np.asarray(each).item()) for each in fields)
    return bent, (noise / batch) ** 0.5, optimum, start
