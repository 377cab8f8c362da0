"""Decay in bfloat16 and float32: each level is refuted when the rounding or its effect is another."""

from __future__ import annotations

import numpy as np
import pytest
from breaking import verdict

from ematheory.claims import Evidence
from ematheory.claims.andriushchenko2024 import low_precision
from ematheory.claims.wang2025 import float32


def test_bfloat16(monkeypatch):
    """With a ninth bit of significand the thresholds are others."""
    assert verdict(low_precision.numeric("smoke")) == "confirmed"
    finer = lambda weights: np.ldexp(np.rint(np.frexp(weights)[0] * 512), np.frexp(weights)[1] - 9)  # noqa: E731
    monkeypatch.setattr(low_precision, "bfloat16", finer)
    assert verdict(low_precision.numeric("smoke")) == "refuted"


@pytest.mark.parametrize("wrong", ["separate", "multiplier_first", "together"])
def test_bfloat16_trained(monkeypatch, wrong):
    """Each of torch's code paths keeps to its own rule and to no other's; a mean that is off by 5 % is seen."""
    with monkeypatch.context() as patch:
        patch.setattr(low_precision, "RULES", dict.fromkeys(low_precision.RULES, getattr(low_precision, wrong)))
        findings = [low_precision.path_keeps_to_its_rule(path, "smoke") for path in low_precision.RULES]
        findings += [low_precision.update_is_added(path) for path in low_precision.RULES]
        assert verdict(Evidence(tuple(findings))) == "refuted"
    assert verdict(low_precision.trained("smoke")) == "confirmed"
    monkeypatch.setattr(low_precision, "kept", lambda rate, step: (1 - 1.05 * rate) ** step)
    assert verdict(low_precision.trained("smoke")) == "refuted"


def test_bfloat16_simulated(monkeypatch):
    assert verdict(low_precision.simulated("smoke")) == "confirmed"
    with monkeypatch.context() as patch:
        patch.setattr(low_precision, "kept", lambda rate, step: (1 - 1.05 * rate) ** step)
        assert verdict(low_precision.simulated("smoke")) == "refuted"
    monkeypatch.setattr(low_precision, "decayed", lambda rate, steps: low_precision.SIGNIFICANDS)
    assert verdict(low_precision.simulated("smoke")) == "refuted"


def test_float32_with_noise(monkeypatch):
    """An error of the multiplier does not average away; one that did would be refuted, simulated and in torch."""
    assert verdict(float32.simulated("smoke")) == "confirmed"
    assert verdict(float32.trained("smoke")) == "confirmed"
    right = float32.bound
    monkeypatch.setattr(float32, "bound", lambda rates: 0.8 * right(rates))
    assert verdict(float32.simulated("smoke")) == "refuted"
    assert verdict(float32.trained("smoke")) == "refuted"


def test_float32_is_repeated_bit_by_bit(monkeypatch):
    assert verdict(Evidence((float32.repeats_the_rounded_multiplier("single"),))) == "confirmed"
    monkeypatch.setattr(float32, "binade", lambda: np.ones(4), raising=True)
    monkeypatch.setattr(np, "float32", np.float64)
    assert verdict(Evidence((float32.repeats_the_rounded_multiplier("single"),))) == "refuted"


def test_float32(monkeypatch):
    """A multiplier with one bit more would be off by half as much, and apply more of the decay."""
    assert verdict(float32.numeric("smoke")) == "confirmed"
    monkeypatch.setattr(float32, "realised", lambda rates: 1 - np.rint((1 - rates) * 2.0**25) / 2.0**25)
    assert verdict(float32.numeric("smoke")) == "refuted"
