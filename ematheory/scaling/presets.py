"""Published scaling rules as the invariants that they keep, with what each says nothing of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..records import check_choice


@dataclass(frozen=True)
class Preset:
    """A published rule.

    keep : the names of its invariants.
    source : where it is stated.
    drops : what the rule leaves out without a word.
    """

    name: str
    keep: tuple[str, ...]
    source: str
    drops: str


MEMORIES = ("momentum_memory", "second_moment_memory")

PRESETS: Mapping[str, Preset] = {
    each.name: each
    for each in (
        Preset(
            "wang2025", ("timescale_epochs", "feature_learning"), "Wang & Aitchison, arXiv 2405.13698",
            "η does not follow B, nor do β₁, β₂ and ε; more epochs make the timescale a smaller share of the run",
        ),
        Preset(
            "malladi2022", ("adam_drift", "adam_diffusion", *MEMORIES, "epsilon_share", "timescale_samples"),
            "Malladi et al., arXiv 2205.10287, with decay kept per sample, which the paper has not",
            "gradients must be noise-dominated at both batch sizes; N, width and depth move nothing",
        ),
        Preset(
            "mup", ("feature_learning", "init_variance", "weight_decay"), "Yang et al., arXiv 2203.03466, Adam",
            "the timescale in steps grows with the width at fixed λ; B, N and depth move nothing",
        ),
        Preset(
            "completep",
            ("feature_learning", "init_variance", "epsilon_depth", "timescale_steps"),
            "Dey et al., arXiv 2505.01618; its depth exponent of ε from memory",
            "the residual branches' multiplier 1/depth is the model's, not a hyperparameter here; B and N move nothing",
        ),
        Preset(
            "power-lines", ("lr", "power_law_timescale"),
            "Bergsma et al., arXiv 2505.13738, read in a secondary source",
            "holds up to a critical batch size; η stays, and with the width it follows the paper's muP only under "
            "keep=('power_law_timescale', 'feature_learning') in the preset's place; where tokens per parameter "
            "change, the interval given is of the exponent's error alone",
        ),
        Preset(
            "nanochat", ("adam_drift", "run_fraction"), "nanochat's training script: λ ∝ √(B/B_ref)·D_ref/D, η ∝ √B",
            "it also decays λ to zero by a cosine, masks the decay and uses Muon for matrices; β₁, β₂, ε stay",
        ),
        Preset(
            "fan2025", ("feature_learning", "sublayer_gain"), "Fan et al., arXiv 2510.15262",
            "the timescale grows as √m; vectors train with η and λ = 0 of their own; B, N and depth move nothing",
        ),
        Preset(
            "busbridge2023", ("ema_memory", "adam_drift", *MEMORIES, "epsilon_share"),
            "Busbridge et al., arXiv 2307.13813, with Adam's square-root rule",
            "weight decay has no rule and stays, so the timescale in samples changes",
        ),
    )
}  # fmt: skip


def find(name: str) -> Preset:
    """The preset called `name`. Raises `ValueError` listing the known ones."""
    check_choice("preset", name, PRESETS)
    return PRESETS[name]
