"""Levels that train networks come out otherwise when what they find is otherwise: made-up findings and tiny runs."""

from __future__ import annotations

import numpy as np
import pytest

from ematheory.claims.verdict import judge
from ematheory.claims.wang2025 import learning_rate_transfer


def valley(slope, widths, seeds, noise=0.01):
    """Losses of shape (seeds, widths, rates) with a best rate that goes as a power of the width."""
    transfer = learning_rate_transfer
    best = np.log(0.016) + slope * np.log(np.divide(widths, transfer.BASE))
    losses = 0.3 + 0.1 * (np.log(transfer.RATES) - best[:, None]) ** 2
    return losses + noise * np.random.default_rng(0).normal(size=(seeds, *losses.shape))


@pytest.mark.parametrize(
    ("kept", "fixed", "expected"),
    [(0.0, 0.4, "confirmed"), (0.3, 0.6, "refuted"), (0.0, -0.4, "refuted"), (0.0, 0.0, "inconclusive")],
)
def test_learning_rate_transfer(kept, fixed, expected):
    """A best rate that moves with λ ∝ m refutes, as does one that falls at a fixed λ; one that stays shows nothing."""
    widths = (16, 64)
    samples = {"λ ∝ m": valley(kept, widths, 24), "fixed λ": valley(fixed, widths, 24)}
    assert judge(learning_rate_transfer.judged(widths, samples))[0] == expected


def test_a_rule_changes_the_decay_of_wider_networks(monkeypatch):
    """Of a tiny run: at the base width a power of m changes nothing, at twice the width it does."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    monkeypatch.setattr(learning_rate_transfer, "EPOCHS", 1)
    monkeypatch.setattr(learning_rate_transfer, "SIZE", 64)
    monkeypatch.setitem(learning_rate_transfer.SEEDS, "smoke", 2)
    base, scaled = (learning_rate_transfer.losses(16, power, "smoke") for power in (0.0, 1.0))
    np.testing.assert_array_equal(base, scaled)
    fixed, scaled = (learning_rate_transfer.losses(32, power, "smoke") for power in (0.0, 1.0))
    assert fixed.shape == (2, 5)
    assert (fixed != scaled).all()
