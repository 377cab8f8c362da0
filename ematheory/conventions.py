"""Weight-decay conventions: one record per framework of what λ means there; translation.py goes between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .records import check_choice
from .typing import Value

# What multiplies λ in the decay per step α_k, the share of the weight that the step takes away, and the powers of η
# and of the multiplier s_k in it, η_k = η s_k: η_k, s_k, η_k²/η, η_k², 1.
PER_LR, INDEPENDENT, CORRECTED, SQUARED, ALONE = "lr", "multiplier", "lr²/peak", "lr²", "nothing"
POWERS = {PER_LR: (1, 1), INDEPENDENT: (0, 1), CORRECTED: (1, 2), SQUARED: (2, 2), ALONE: (0, 0)}
# No α_k of this kind: λw enters the gradient; λ acts on tensors that the optimizer picks from the data.
L2, DETECTED = "gradient", "detection"

NO_TIMESCALE = (
    "for what that λ takes from a weight depends on its gradients (Adam divides λw by √v, SGD's momentum multiplies "
    "it by up to 1/(1−μ)); translate between AdamW's conventions, or simulate() both"
)
NO_LAMBDA = {
    L2: f"adds λw to the gradient, {NO_TIMESCALE}",
    DETECTED: (
        "scales its decay by a ratio, and projects its update, on the tensors that it finds to be scale-invariant "
        "from their gradients; no λ does that elsewhere"
    ),
}


@dataclass(frozen=True)
class Convention:
    """What one framework means by weight decay.

    framework : its name, ``"torch.optim.AdamW"``.
    multiplies : the decay per step is α_k = η_k λ (``"lr"``), s_k λ (``"multiplier"``), η_k² λ/η (``"lr²/peak"``),
        η_k² λ (``"lr²"``) or λ_k (``"nothing"``: the user schedules it), with η_k = η s_k the rate of step k and s_k
        its schedule's multiplier. ``"gradient"``: λw is added to the gradient. ``"detection"``: it depends on the data.
    order : the decay comes ``"before"`` or ``"with"`` the step, on the old weight (the same algebra, other bits), or
        ``"after"`` it, on the new one. None for L2.
    epsilon : ``"outside"`` the bias-corrected root, m̂/(√v̂ + ε), ``"inside"`` it, m̂/√(v̂ + ε), or outside the
        ``"uncorrected"`` root ("epsilon hat"), with the correction in the step size, √(1−β₂^k) m̂/(√v + ε). None where
        there is no root.
    default_weight_decay : the framework's default; None where the source gives none.
    source : where it stands.
    checked : ``"run"`` against the installed framework by the tests, or ``"read"``: from its source, not run.
    update : the family of the update that the decay goes with.
    note : what else differs.
    """

    framework: str
    multiplies: str
    order: str | None
    epsilon: str | None
    default_weight_decay: float | None
    source: str
    checked: str
    update: str = "adam"
    note: str = ""

    def decay_per_step(self, weight_decay: Value, lr: Value, multiplier: Value = 1.0) -> Value:
        """α_k for λ = `weight_decay`, the peak rate η = `lr` and s_k = `multiplier`.

        Raises `ValueError` for L2 and AdamP, which multiply no weight by a number of their own.

        >>> TORCH_ADAMW.decay_per_step(0.1, lr=1e-2, multiplier=0.5)
        0.0005
        """
        if self.multiplies in NO_LAMBDA:
            raise ValueError(f"{self.framework} has no decay per step: it {NO_LAMBDA[self.multiplies]}")
        of_lr, of_multiplier = POWERS[self.multiplies]
        return raised(lr, of_lr) * raised(multiplier, of_multiplier) * weight_decay

    def eps_outside(self, eps: Value, step: Value, beta2: Value) -> Value:
        """The ε outside the corrected root that gives update number `step` of this framework's `eps`.

        >>> round(KERAS.eps_outside(1e-7, step=1, beta2=0.99), 12)
        1e-06
        """
        return eps / (1 - beta2**step) ** 0.5 if self.epsilon == "uncorrected" else eps


def raised(value: Value, power: int) -> Value:
    """value^power for a power of 0, 1, 2, in as few roundings as there can be."""
    return 1.0 if power == 0 else value if power == 1 else value * value


TORCH_ADAMW = Convention(
    framework="torch.optim.AdamW", multiplies=PER_LR, order="before", epsilon="outside", default_weight_decay=1e-2,
    source="torch/optim/adam.py: param.mul_(1 - lr * weight_decay)", checked="run",
)  # fmt: skip
TORCH_ADAM = Convention(
    framework="torch.optim.Adam", multiplies=L2, order=None, epsilon="outside", default_weight_decay=0.0,
    source="torch/optim/adam.py: grad = grad.add(param, alpha=weight_decay)", checked="run",
)  # fmt: skip
TORCH_SGD = Convention(
    framework="torch.optim.SGD", multiplies=L2, order=None, epsilon=None, default_weight_decay=0.0,
    source="torch/optim/sgd.py: grad = grad.add(param, alpha=weight_decay)", checked="run", update="sgd",
)  # fmt: skip
TORCH_MUON = Convention(
    framework="torch.optim.Muon", multiplies=PER_LR, order="before", epsilon=None, default_weight_decay=0.1,
    source="torch/optim/_muon.py: param.mul_(1 - lr * weight_decay)", checked="run", update="muon",
    note="the decay takes the rate as given, not the one adjusted to the matrix's shape",
)  # fmt: skip
PAPER = Convention(
    framework="paper", multiplies=INDEPENDENT, order="with", epsilon="outside", default_weight_decay=None,
    source="arXiv 1711.05101, algorithm 2", checked="read",
)  # fmt: skip
OPTAX = Convention(
    framework="optax.adamw", multiplies=PER_LR, order="with", epsilon="outside", default_weight_decay=1e-4,
    source="optax/_src/alias.py: adamw chains scale_by_adam, add_decayed_weights, scale_by_learning_rate",
    checked="run", note="weight_decay may be a schedule of its own; eps_root is added inside the root",
)  # fmt: skip
KERAS = Convention(
    framework="keras.optimizers.AdamW", multiplies=PER_LR, order="before", epsilon="uncorrected",
    default_weight_decay=4e-3,
    source="keras/src/optimizers/base_optimizer.py: _apply_weight_decay", checked="run",
    note="weight_decay means the same in every Keras 3 optimizer; ε is 1e-7 by default",
)  # fmt: skip
TF_ADDONS = Convention(
    framework="tensorflow_addons.AdamW", multiplies=ALONE, order="before", epsilon="uncorrected",
    default_weight_decay=None,
    source="tensorflow_addons/optimizers/weight_decay_optimizers.py: var.assign_sub(weight_decay * var)",
    checked="read", note="λ is not multiplied by anything: a schedule of the rate needs one of λ beside it",
)  # fmt: skip
TIMM = Convention(
    framework="timm.AdamW", multiplies=PER_LR, order="before", epsilon="outside", default_weight_decay=1e-2,
    source="timm/optim/adamw.py: wd_scale = lr", checked="run",
)  # fmt: skip
TIMM_CORRECTED = replace(
    TIMM, framework="timm.AdamW(corrected_weight_decay=True)", multiplies=CORRECTED,
    source="timm/optim/adamw.py: wd_scale = lr**2 / max_lr",
)  # fmt: skip
TRANSFORMERS = Convention(
    framework="transformers.AdamW", multiplies=PER_LR, order="after", epsilon="uncorrected", default_weight_decay=0.0,
    source="transformers/optimization.py, until version 4.48: p.add_(p, alpha=-lr * weight_decay) after the step",
    checked="run", note="the legacy optimizer; Trainer has long used torch.optim.AdamW. ε is 1e-6 by default",
)  # fmt: skip
APEX = Convention(
    framework="apex.FusedAdam", multiplies=PER_LR, order="with", epsilon="outside", default_weight_decay=0.0,
    source="apex/csrc/multi_tensor_adam.cu, ADAM_MODE_1: update + decay * p", checked="read",
    note="with adam_w_mode=True, its default",
)  # fmt: skip
MEGATRON = replace(APEX, framework="megatron.FusedAdam", default_weight_decay=1e-2, note="Apex's FusedAdam")
FAIRSEQ = Convention(
    framework="fairseq.Adam", multiplies=PER_LR, order="before", epsilon="uncorrected", default_weight_decay=0.0,
    source="fairseq/optim/adam.py: p.add_(p, alpha=-weight_decay * lr)", checked="read",
)  # fmt: skip
BITSANDBYTES = Convention(
    framework="bitsandbytes.AdamW", multiplies=PER_LR, order="before", epsilon="outside", default_weight_decay=1e-2,
    source="bitsandbytes/backends: p *= 1 - lr * weight_decay", checked="read", note="on CPUs and with Triton",
)  # fmt: skip
BITSANDBYTES_CUDA = replace(
    BITSANDBYTES, framework="bitsandbytes.AdamW(cuda)", order="after", source="bitsandbytes/csrc/kernels.cu",
    note="on CUDA, decay multiplies the new weight",
)  # fmt: skip
DEEPSPEED = Convention(
    framework="deepspeed.CPUAdam", multiplies=PER_LR, order="before", epsilon="outside", default_weight_decay=0.0,
    source="deepspeed/csrc/adam/cpu_adam.cpp", checked="read", note="with adamw_mode=True, its default",
)  # fmt: skip
COMPOSER = Convention(
    framework="composer.DecoupledAdamW", multiplies=INDEPENDENT, order="before", epsilon="outside",
    default_weight_decay=1e-5, source="composer/optim/decoupled_weight_decay.py: decay_factor = lr / initial_lr",
    checked="run", note="s_k is η_k over the rate that the optimizer was made with, taken here to be the peak",
)  # fmt: skip
BIG_VISION = Convention(
    framework="big_vision", multiplies=INDEPENDENT, order="with", epsilon=None, default_weight_decay=None,
    source="big_vision/optax.py: weight decay added after the rate, times the schedule", checked="read",
)  # fmt: skip
SCHEDULE_FREE_ADAMC = Convention(
    framework="schedulefree.AdamC", multiplies=SQUARED, order="before", epsilon="outside", default_weight_decay=None,
    source="the Schedule-Free repository's AdamC reference, lr² times decay", checked="read",
)  # fmt: skip
MODDED_NANOGPT = Convention(
    framework="modded_nanogpt.Adam", multiplies=SQUARED, order="before", epsilon="outside", default_weight_decay=None,
    source="modded-nanogpt, its distributed Adam: lr² times decay", checked="read",
)  # fmt: skip
ADAMP = Convention(
    framework="adamp.AdamP", multiplies=DETECTED, order="before", epsilon="outside", default_weight_decay=0.0,
    source="adamp/adamp.py: p.mul_(1 - lr * weight_decay * wd_ratio)", checked="run",
    note="η_k λ where nothing is detected, η_k λ·wd_ratio where it is",
)  # fmt: skip
SGDP = Convention(
    framework="adamp.SGDP", multiplies=DETECTED, order="before", epsilon=None, default_weight_decay=0.0,
    source="adamp/sgdp.py: p.mul_(1 - lr * weight_decay * wd_ratio / (1 - momentum))", checked="run", update="sgd",
    note="η_k λ/(1−μ) where nothing is detected, times wd_ratio where it is",
)  # fmt: skip
MLX = Convention(
    framework="mlx.AdamW", multiplies=PER_LR, order="before", epsilon="outside", default_weight_decay=1e-2,
    source="mlx/optimizers: parameter * (1 - lr * weight_decay)", checked="run",
    note="no bias correction unless bias_correction=True, with which the weights are the same",
)  # fmt: skip
MUP = Convention(
    framework="mup.MuAdamW", multiplies=PER_LR, order="before", epsilon="outside", default_weight_decay=1e-2,
    source="mup/optim.py: group['lr'] /= width_mult; group['weight_decay'] *= width_mult", checked="run",
    note="at width m matrices train with η/m and λm: ηλ, and so the decay per step, stays what it was",
)  # fmt: skip

CONVENTIONS = {
    convention.framework: convention
    for convention in (
        TORCH_ADAMW, PAPER, OPTAX, KERAS, TF_ADDONS, TIMM, TIMM_CORRECTED, TRANSFORMERS, APEX, MEGATRON, FAIRSEQ,
        BITSANDBYTES, BITSANDBYTES_CUDA, DEEPSPEED, COMPOSER, BIG_VISION, SCHEDULE_FREE_ADAMC, MODDED_NANOGPT, MLX, MUP,
        TORCH_MUON, TORCH_ADAM, TORCH_SGD, ADAMP, SGDP,
    )
}  # fmt: skip


def convention(framework: str) -> Convention:
    """The record of a framework, by its name or by what is before the dot where one record alone has that.

    Raises `ValueError` listing the known ones.

    >>> convention("composer").framework
    'composer.DecoupledAdamW'
    """
    if framework in CONVENTIONS:
        return CONVENTIONS[framework]
    short = [name for name in CONVENTIONS if name.split(".")[0] == framework]
    if len(short) != 1:
        check_choice("framework", framework, short or CONVENTIONS, [name.split(".")[0] for name in CONVENTIONS])
    return CONVENTIONS[short[0]]
