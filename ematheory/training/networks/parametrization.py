"""How starting weights, outputs and learning rates follow the width: one number m, and a role for each parameter.

m = width / base width under muP (Tensor Programs V, arXiv 2203.03466, Table 8), and 1 in the standard parametrization,
where nothing changes. At m = 1 the two are the same network, bit for bit. The role of a parameter says which of its
sides grow with the width: an "input" weight's outputs only (as biases, gains and positions do), both of a "hidden"
one, an "output" weight's inputs only.
"""

from __future__ import annotations

from typing import Literal

Role = Literal["input", "hidden", "output"]


def lr_multiplier(role: Role, width_ratio: float, adaptive: bool) -> float:
    """What multiplies the learning rate of a parameter under muP.

    `adaptive` optimizers' steps do not depend on the gradient's scale (Adam, Lion, sign descent): hidden weights take
    1/m of the rate. SGD's do: the others take m times the rate.

    >>> [lr_multiplier(role, 4.0, True) for role in ("input", "hidden", "output")]
    [1.0, 0.25, 1.0]
    >>> [lr_multiplier(role, 4.0, False) for role in ("input", "hidden", "output")]
    [4.0, 1.0, 4.0]
    """
    if adaptive:
        return 1.0 / width_ratio if role == "hidden" else 1.0
    return 1.0 if role == "hidden" else float(width_ratio)


def scaled_std(role: Role, width_ratio: float, std: float, fan_in: bool) -> float:
    """The standard deviation of starting weights, of which `std` is the standard parametrization's at this width.

    `fan_in` says that `std` already falls as 1/√inputs. Under muP a hidden weight's does so, and an output weight's
    stays what it is at the base width, because its outputs are divided by m.

    >>> scaled_std("hidden", 4.0, 0.02, fan_in=False), scaled_std("output", 4.0, 0.125, fan_in=True)
    (0.01, 0.25)
    """
    if fan_in:
        return std * width_ratio**0.5 if role == "output" else std
    return std / width_ratio**0.5 if role == "hidden" else std


def output_factor(width_ratio: float) -> float:
    """What muP multiplies the outputs by: 1/m."""
    return 1.0 / width_ratio


def attention_scale(head_width: int, width_ratio: float) -> float:
    """What multiplies q·k: 1/√d, and under muP √(base d)/d, which is the same at the base width.

    >>> attention_scale(16, 1.0), attention_scale(64, 4.0)
    (0.25, 0.0625)
    """
    return float((head_width * width_ratio) ** -0.5)
