"""C03: Theorem 1, what a scale-invariant network's training does not depend on, and that ε belongs to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...optimizers import SGD, AdamW
from ...problems import NoisyQuadratic, Problem, ScaleInvariant
from ...schedules import Cosine
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Fails, Figure, largest
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import derived, engine

TORCH_SEED = 0
WIDTH = {"smoke": 32, "quick": 128, "full": 256}
EPOCHS = {"smoke": 2, "quick": 10, "full": 40}
# Powers of two scale every float exactly, so nothing may differ, not even the last bit.
SCALES = (2.0, 0.25)
# Relative to the largest weight; below it a difference could still be rounding that training has amplified.
AMPLIFIED_ROUNDING = 1e-6

# Simulated: gradients at right angles to the weights that fall as 1/‖w‖, ε near their size, and what is recorded.
SIMULATED = AdamW(lr=0.01, weight_decay=0.5, betas=(0.9, 0.99), eps=0.02)
START, SIZE, SEED, RECORD = 0.5, 256, 3, (1, 10, 100, 500)
REPLICAS = {"smoke": 16, "quick": 128, "full": 512}
# No power of two: here the theorem holds up to rounding alone.
INEXACT = 3.0


def simulated(tier: str) -> Evidence:
    """Runs and their rescaled twins under a schedule, weight by weight; what one update misses with ε as it was."""
    scales = factors()
    invariant, other = (
        ScaleInvariant(size=SIZE, init=START * scales), NoisyQuadratic(curvature=1.0, init=START * scales)
    )  # fmt: skip
    right, kept = rescaled(scales), rescaled(scales, rescale_eps=False)
    twins, isa = weights(invariant, right, tier)
    rounding = 8 * RECORD[-1] * 2.0**-53
    findings = [
        Exact(
            f"c = {scale:g}: weights/c of every replica", away(twins, place), 0.0 if scale in SCALES else rounding,
            twins[place].size, "exact in binary" if scale in SCALES else "eight roundings a step, none amplified",
        )
        for place, scale in enumerate(scales.values[1:], start=1)
    ]  # fmt: skip
    controls = [
        Fails(what, away(weights(problem, optimizer, tier)[0], 1), AMPLIFIED_ROUNDING, twins[1].size,
              f"c = {SCALES[0]:g}; relative to the largest weight")
        for what, problem, optimizer in (
            ("ε not rescaled", invariant, kept), ("a gradient that is not scale-invariant", other, right)
        )
    ]  # fmt: skip
    return Evidence((*findings, first_missed(tier), *controls), (chosen_seed(SEED),), isa=isa)


def factors() -> xr.DataArray:
    """c, of the run itself first."""
    return xr.DataArray([1.0, *SCALES, INEXACT], dims="scale")


def rescaled(scale: Any, rescale_eps: bool = True) -> AdamW:
    """(cη, λ/c, ε/c)."""
    base = SIMULATED
    eps = base.eps / scale if rescale_eps else base.eps
    return base.substituted(lr=base.lr * scale, weight_decay=base.weight_decay / scale, eps=eps)


def weights(problem: Problem, optimizer: Any, tier: str, **run: Any) -> tuple[FloatArray, str]:
    """Every weight of every replica at every record over c, c along the first axis, and the instruction set."""
    import ematheory as em

    run = {"steps": RECORD[-1], "record": list(RECORD), "schedule": Cosine(final=0.1, warmup=0.1), **run}
    replicas = REPLICAS[tier]
    seen = em.simulate(
        problem, optimizer, **run, replicas=replicas, trajectories=range(replicas), seed=chosen_seed(SEED)
    )
    values = seen.trajectory.transpose("scale", ...).values
    scale = np.asarray(problem.init).reshape(-1, *[1] * (values.ndim - 1)) / START
    return values / scale, engine(seen)


def away(twins: FloatArray, place: int) -> float:
    """How far a twin's weights over c are from the run's, relative to the run's largest weight."""
    return float(np.abs(twins[place] - twins[0]).max() / np.abs(twins[0]).max())


def first_missed(tier: str) -> Exact:
    """W'_1 − c·w_1 with ε as it was against the derived form, at the gradients that SGD shows for the same noise."""
    scales = factors()
    problem = ScaleInvariant(size=SIZE, init=START * scales)
    once: dict[str, Any] = {"steps": 1, "record": [1], "schedule": None}
    kept, _ = weights(problem, rescaled(scales, rescale_eps=False), tier, **once)
    moved, _ = weights(ScaleInvariant(size=SIZE, init=START * scales[:1]), SGD(lr=1.0), tier, **once)
    law = derived(
        "theorem-1", "first_missed_update", scale=scales, lr=SIMULATED.lr, eps=SIMULATED.eps,
        gradient=xr.DataArray(START - moved[0], dims=("replica", "step", "coordinate")),
    ).transpose("scale", ...)  # fmt: skip
    missed = kept - kept[0]
    off = np.abs(missed - law.values / scales.values[:, None, None, None]).max() / START
    reason = "a few roundings of the weight; the form's slope in the gradient, η(c − 1)/ε at most, is 1"
    return Exact(
        "what the first update misses with ε as it was, over c", float(off), 16 * 2.0**-53, missed.size, reason
    )


def trained(tier: str) -> Evidence:
    """A run and its twin under torch.optim.AdamW; twins that keep ε, or whose network is not invariant, must part."""
    from ...training import crosschecks, tasks

    optimizer = AdamW(lr=1e-2, weight_decay=0.1, eps=1e-3)
    seed = chosen_seed(TORCH_SEED)
    options: dict[str, Any] = {"epochs": EPOCHS[tier], "seed": seed, "schedule": Cosine(final=0.1, warmup=0.1)}
    invariant, other = tasks.digits_scale_invariant(width=WIDTH[tier]), tasks.digits_mlp(width=WIDTH[tier])
    twins = [crosschecks.theorem_one(invariant, optimizer, scale=scale, **options) for scale in SCALES]
    kept = crosschecks.theorem_one(invariant, optimizer, rescale_eps=False, **options)
    not_invariant = crosschecks.theorem_one(other, optimizer, **options)
    return Evidence(
        findings=(
            *(same(twin) for twin in twins),
            parts(kept, f"ε not rescaled (ε = 1e-3, √v̂ ≈ {kept.gradient_rms:.2g})"),
            parts(not_invariant, "a network that is not scale-invariant"),
        ),
        seeds=(seed,),
        figures=(losses(twins[0]),),
    )


def same(twin: Any) -> Exact:
    reason = "scaling by a power of two is exact in binary, so every bit agrees"
    worst = largest((twin.weight_residual, twin.loss_residual))
    return Exact(f"c = {twin.settings['scale']:g}: weights/c and losses", worst, 0.0, count(twin), reason)


def parts(twin: Any, what: str) -> Fails:
    reason = f"the losses part by {twin.loss_residual:.2g}"
    return Fails(what, twin.weight_residual, AMPLIFIED_ROUNDING, count(twin), reason)


def count(twin: Any) -> int:
    return int(twin.steps * twin.coordinates)


def losses(twin: Any) -> Figure:
    steps = range(1, twin.steps + 1)
    curve = Curve("twin with c = 2", list(steps), twin.losses, twin.twin_losses)
    return Figure("Batch loss of a run (line) and of its twin (marks)", "step", "cross-entropy, nats", (curve,))


CLAIM = Claim(
    id="C03",
    paper="wang2025",
    statement=(
        "Theorem 1: where net(x; w) = net(x; w/c), AdamW with (η, λ, ε, w_0) and with (cη, λ/c, ε/c, c·w_0) "
        "gives w'_t = c·w_t and the same function at every step. With ε left as it is, it does not."
    ),
    source="Wang & Aitchison, arXiv 2405.13698, Theorem 1",
    assumptions=(
        "every weight matrix is scale-invariant: net(x; w) = net(x; w/c) for all c > 0",
        "per-LR decay, so that ηλ is the same for both",
        "ε is rescaled with the weights",
    ),
    kinds=("exact",),
    levels={
        "symbolic": Level(proof("theorem-1")),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch", "sklearn")),
    },
)
