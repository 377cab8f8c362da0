"""The torch rows of the weight-decay conventions, against the installed torch."""

import inspect

import pytest
import torch

from ematheory.conventions import convention


@pytest.mark.parametrize("name", ["AdamW", "Adam", "SGD", "Muon"])
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


@pytest.mark.parametrize("l2", ["torch.optim.Adam", "torch.optim.SGD"])
def test_l2_has_no_decay_per_step(l2):
    with pytest.raises(ValueError, match="no decay per step"):
        convention(l2).decay_per_step(0.1, lr=1e-3)
