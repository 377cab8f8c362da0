"""The torch rows of the weight-decay conventions, against the installed torch, and λ translated between them."""

import inspect

import pytest
import torch

from ematheory import conventions
from ematheory.conventions import CONVENTIONS, convention, translate_weight_decay


@pytest.mark.parametrize("name", ["AdamW", "Adam", "SGD"])
def test_default_weight_decay_is_the_installed_torchs(name):
    default = inspect.signature(getattr(torch.optim, name)).parameters["weight_decay"].default
    assert convention(f"torch.optim.{name}").default_weight_decay == default


def one_step(kind, weight_decay, gradient=0.0):
    weight = torch.tensor([2.0], dtype=torch.float64)
    weight.grad = torch.full_like(weight, gradient)
    kind([weight], lr=0.1, weight_decay=weight_decay).step()
    return float(weight)


def test_what_multiplies_the_weight_in_torch():
    assert one_step(torch.optim.AdamW, 0.5) == pytest.approx(2 * (1 - 0.1 * 0.5), rel=1e-15)
    # L2 enters the gradient: Adam's first step is η whatever λ is, and SGD's is ηλw.
    assert one_step(torch.optim.Adam, 0.5) == pytest.approx(2 - 0.1, rel=1e-7)
    assert one_step(torch.optim.SGD, 0.5) == pytest.approx(2 - 0.1 * 0.5 * 2, rel=1e-15)


def test_translation_keeps_the_decay_per_step():
    lr, weight_decay = 3e-4, 0.1
    independent = translate_weight_decay(weight_decay, "torch.optim.AdamW", "paper", lr)
    assert independent == pytest.approx(lr * weight_decay, rel=1e-15)
    assert translate_weight_decay(independent, "paper", "torch.optim.AdamW", lr) == pytest.approx(
        weight_decay, rel=1e-15
    )
    for multiplier in (0.0, 0.3, 1.0):
        theirs = conventions.PAPER.decay_per_step(independent, lr, multiplier)
        assert theirs == pytest.approx(conventions.TORCH_ADAMW.decay_per_step(weight_decay, lr, multiplier), rel=1e-15)


def test_the_same_convention_keeps_the_number():
    for name in CONVENTIONS:
        assert translate_weight_decay(0.1, name, name, lr=1e-3) == 0.1


@pytest.mark.parametrize("l2", ["torch.optim.Adam", "torch.optim.SGD"])
def test_l2_is_refused_with_the_reason(l2):
    with pytest.raises(ValueError, match="adds λw to the gradient"):
        translate_weight_decay(0.1, l2, "torch.optim.AdamW", lr=1e-3)
    with pytest.raises(ValueError, match="depends on its gradients"):
        translate_weight_decay(0.1, "torch.optim.AdamW", l2, lr=1e-3)
    with pytest.raises(ValueError, match="no decay per step"):
        convention(l2).decay_per_step(0.1, lr=1e-3)


def test_wrong_input():
    with pytest.raises(ValueError, match=r"framework must be one of 'torch.optim.AdamW'"):
        translate_weight_decay(0.1, "jax", "paper", lr=1e-3)
    with pytest.raises(ValueError, match="weight_decay must be finite and >= 0"):
        translate_weight_decay(-0.1, "paper", "torch.optim.AdamW", lr=1e-3)
    with pytest.raises(ValueError, match="lr must be finite and > 0"):
        translate_weight_decay(0.1, "paper", "torch.optim.AdamW", lr=0.0)
