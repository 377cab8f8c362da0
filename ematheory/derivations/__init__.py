"""derive(): the relations of the theory as machine-checked derivations, one file per topic, loaded when asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from ..records import check_choice

if TYPE_CHECKING:
    from ..optimizers import Optimizer
    from .derivation import Derivation

# Each derivation's name and its topic, the module of this package whose DERIVATIONS maps the name to its maker.
TOPICS: dict[str, str] = {
    "adamw-ema": "ema",
    "constant-rate": "constant_rate",
    "gradient-kernel": "gradient_kernel",
    "nesterov-kernel": "nesterov_kernel",
    "ademamix-kernel": "ademamix_kernel",
    "nadam-kernel": "nadam_kernel",
    "noise-response": "noise_response",
    "adamw-random-walk": "random_walk",
    "orthogonal-updates": "orthogonal_updates",
    "adamw-transient": "adamw_transient",
    "adamw-transient-corrected": "adamw_transient",
    "weight-rms": "weight_rms",
    "lion-random-walk": "lion_random_walk",
    "cautious-random-walk": "cautious_walk",
    "cautious-mask": "cautious_mask",
    "scale-invariant-sgd": "scale_invariant_sgd",
    "scale-invariant-momentum-l2": "scale_invariant_momentum",
    "scale-invariant-momentum-per-lr": "scale_invariant_momentum",
    "scale-invariant-adam-l2": "scale_invariant_adam",
    "adamp-growth": "projected_momentum",
    "relative-clipping": "relative_clipping",
    "fixed-norm": "fixed_norm",
    "exponential-lr-sgd": "exponential_lr",
    "exponential-lr-momentum": "exponential_lr_momentum",
    "exponential-lr-adamw": "exponential_lr_adamw",
    "effective-learning-rate": "effective_lr",
    "slow-decay": "slow_decay",
    "implicit-warmup": "implicit_warmup",
    "theorem-1": "theorem_1",
    "conventions": "translation",
    "momentum-l2": "momentum_l2",
    "momentum-oscillation": "momentum_oscillation",
    "momentum-per-lr": "momentum_per_lr",
    "momentum-nesterov": "momentum_nesterov",
    "adam-l2-decay": "adam_l2",
    "sgd-quadratic": "sgd_quadratic",
    "heavy-ball-l2": "heavy_ball",
    "heavy-ball-per-lr": "heavy_ball",
    "heavy-ball-mean": "heavy_ball_mean",
    "adamw-quadratic": "adamw_quadratic",
    "moment-closure": "moment_closure",
    "iterate-averaging": "iterate_averaging",
    "preconditioning": "preconditioning",
    "best-decay": "best_decay",
    "best-decay-run": "run_decay",
    "momentum-variance": "momentum_variance",
    "map-prior": "map_prior",
    "scaling-sgd": "scaling_sgd",
    "scaling-momentum": "scaling_momentum",
    "scaling-adam-noise": "scaling_adam",
    "scaling-adam-signal": "scaling_adam",
    "scaling-model-ema": "scaling_ema",
    "data-decay": "data_decay",
    "normalised-decay": "normalised_decay",
    "width-decay": "width_decay",
    "surge": "surge",
    "alignment": "alignment",
    "iid-targets": "iid_targets",
    "reshuffling": "reshuffling",
    "reshuffled-risk": "reshuffled_risk",
    "schedule-risk": "schedule_risk",
    "schedule-free": "schedule_free",
    "update-bound": "update_bound",
    "weight-bound": "weight_bound",
    "kkt-points": "kkt_points",
    "muon-bound": "muon_bound",
    "amos-decay": "amos_decay",
    "float32-decay": "float32_decay",
    "bfloat16-decay": "bfloat16_decay",
    "uniform-averaging": "uniform_averaging",
    "uniform-averaging-proportional-decay": "uniform_averaging",
    "kernel-constant": "schedule_kernels",
    "kernel-linear": "schedule_kernels",
    "kernel-linear-to-zero": "schedule_kernels",
    "kernel-cosine": "schedule_kernels",
    "kernel-wsd": "schedule_kernels",
    "kernel-wsd-sqrt": "schedule_kernels",
    "kernel-inverse-sqrt": "schedule_kernels",
    "kernel-exponential": "schedule_kernels",
    "kernel-harmonic": "schedule_kernels",
    "kernel-warmup": "warmup_kernel",
    "discretisation": "discretisation",
}

__all__ = ["TOPICS", "derive", "names"]


def names() -> tuple[str, ...]:
    """The names that `derive` knows."""
    return tuple(TOPICS)


def derive(name: str, optimizer: Optimizer | None = None) -> Derivation:
    """The derivation called `name`; `.verify()` runs its checks, `.text()` and `.markdown()` show it.

    For "adamw-ema" an `optimizer` record may be given: the same identity is then derived from its own update, or
    refused. Raises `ValueError` listing the known names; with the reason for an optimizer whose weights are no
    exponential moving average of its updates (Adam with L2, cautious AdamW, SGD with L2 and momentum); and for an
    optimizer given to another derivation.

    >>> derive("adamw-ema").name
    'adamw-ema'
    >>> from ematheory import Adam
    >>> derive("adamw-ema", Adam(lr=1e-3, weight_decay=0.1))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: Adam with L2 is no EMA of its updates: no constant multiplies the weight; ...
    """
    check_choice("derivation", name, TOPICS)
    if optimizer is None:
        return registered(name)
    if name != "adamw-ema":
        raise ValueError(
            f"optimizer is for the derivation 'adamw-ema'; {name!r} is about one optimizer, got {optimizer!r}"
        )
    from .ema import ema_identity

    return ema_identity(optimizer)


@cache
def registered(name: str) -> Derivation:
    topic = import_module(f".{TOPICS[name]}", __name__)
    derivation: Derivation = topic.DERIVATIONS[name]()
    return derivation
