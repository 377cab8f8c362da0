"""Weight-decay conventions: one record per framework of what λ means there, and λ translated from one to another."""

from __future__ import annotations

from dataclasses import dataclass

from .records import NON_NEGATIVE, POSITIVE, check_choice, check_values
from .typing import Value

# What multiplies λ in the decay per step α_k, which takes α_k of the weight away; "gradient": λw enters the gradient.
PER_LR, INDEPENDENT, L2 = "lr", "multiplier", "gradient"


@dataclass(frozen=True)
class Convention:
    """What one framework means by weight decay.

    The decay per step is α_k = η_k λ (`multiplies` = "lr"), s_k λ ("multiplier"), with η_k = η s_k the rate of the
    step and s_k its schedule's multiplier, or λw is added to the gradient ("gradient") and there is no α_k.
    """

    framework: str
    multiplies: str
    order: str | None  # "before" or "with" the step, on the old weight; None for L2
    epsilon: str | None  # "outside": added outside the bias-corrected root; None where there is no root
    default_weight_decay: float | None  # None: the source gives none
    source: str
    checked: str  # "run": against the installed framework, by the tests; "read": from its source, not run

    def decay_per_step(self, weight_decay: Value, lr: Value, multiplier: Value = 1.0) -> Value:
        """α_k for λ = `weight_decay`, the peak rate η = `lr` and s_k = `multiplier`.

        Raises `ValueError` for L2, which multiplies no weight by a number of its own.

        >>> TORCH_ADAMW.decay_per_step(0.1, lr=1e-2, multiplier=0.5)
        0.0005
        """
        if self.multiplies == L2:
            raise ValueError(f"{self.framework} adds λw to the gradient: it has no decay per step, {NO_TIMESCALE}")
        return lr * multiplier * weight_decay if self.multiplies == PER_LR else multiplier * weight_decay


NO_TIMESCALE = (
    "for what that λ takes from a weight depends on its gradients (Adam divides λw by √v, SGD's momentum multiplies "
    "it by up to 1/(1−μ)); translate between AdamW's conventions, or simulate() both"
)

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
    source="torch/optim/sgd.py: grad = grad.add(param, alpha=weight_decay)", checked="run",
)  # fmt: skip
PAPER = Convention(
    framework="paper", multiplies=INDEPENDENT, order="with", epsilon="outside", default_weight_decay=None,
    source="arXiv 1711.05101, algorithm 2", checked="read",
)  # fmt: skip

CONVENTIONS = {convention.framework: convention for convention in (TORCH_ADAMW, TORCH_ADAM, TORCH_SGD, PAPER)}


def convention(framework: str) -> Convention:
    """The record of a framework. Raises `ValueError` listing the known ones."""
    check_choice("framework", framework, CONVENTIONS)
    return CONVENTIONS[framework]


def translate_weight_decay(weight_decay: float, source: str, target: str, lr: float) -> float:
    """The λ that makes `target` decay by the same α_k at every step as `source` does with `weight_decay`.

    `lr` is the peak learning rate η; the schedule does not matter between these conventions. Raises `ValueError` for
    an unknown framework, a value out of range, or L2 on one side alone, with the reason.

    >>> translate_weight_decay(1e-4, "paper", "torch.optim.AdamW", lr=1e-3)
    0.1
    """
    check_values("weight_decay", weight_decay, NON_NEGATIVE)
    check_values("lr", lr, POSITIVE)
    given, wanted = convention(source), convention(target)
    if given == wanted:
        return weight_decay
    for side in (given, wanted):
        if side.multiplies == L2:
            raise ValueError(
                f"weight_decay cannot be translated from {given.framework} to {wanted.framework}: {side.framework} "
                f"adds λw to the gradient, {NO_TIMESCALE}"
            )
    return float(given.decay_per_step(weight_decay, lr) / wanted.decay_per_step(1.0, lr))
