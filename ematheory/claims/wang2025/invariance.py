"""C03: Theorem 1, what a scale-invariant network's training does not depend on, and that ε belongs to it."""

from __future__ import annotations

from typing import Any

from ...optimizers import AdamW
from ...schedules import Cosine
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Fails, Figure, largest
from ..proof import proof

WIDTH = {"smoke": 32, "quick": 128, "full": 256}
EPOCHS = {"smoke": 2, "quick": 10, "full": 40}
# Powers of two scale every float exactly, so nothing may differ, not even the last bit.
SCALES = (2.0, 0.25)
# Relative to the largest weight; below it a difference could still be rounding that training has amplified.
AMPLIFIED_ROUNDING = 1e-6


def trained(tier: str) -> Evidence:
    """A run and its twin under torch.optim.AdamW; twins that keep ε, or whose network is not invariant, must part."""
    from ...training import crosschecks, tasks

    optimizer = AdamW(lr=1e-2, weight_decay=0.1, eps=1e-3)
    options: dict[str, Any] = {"epochs": EPOCHS[tier], "schedule": Cosine(final=0.1, warmup=0.1)}
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
        seeds=(0,),
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
        "trained": Level(trained, needs=("torch", "sklearn")),
    },
)
