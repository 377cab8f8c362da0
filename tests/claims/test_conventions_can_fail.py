"""What λ means, and how it goes over to other set-ups: each level is refuted when that is another."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from breaking import small, verdict

import ematheory as em
from ematheory.claims.bergsma2025b import collapse, recipes
from ematheory.claims.loshchilov2019 import decay_of_l2, normalised
from ematheory.claims.wang2025 import prior, translation


def with_decay_times(right, factor):
    """A translation whose λ is off by a factor."""
    return lambda decay, *to, **how: right(factor * decay, *to, **how)


def test_translation_numeric(monkeypatch):
    small(monkeypatch, translation, SETTINGS=3, STEPS=20)
    assert verdict(translation.numeric("smoke")) == "confirmed"
    monkeypatch.setattr(translation, "translate", with_decay_times(em.translate, 2.0))
    assert verdict(translation.numeric("smoke")) == "refuted"


def test_translation_trained(monkeypatch):
    small(monkeypatch, translation, STEPS=30)
    assert verdict(translation.trained("smoke")) == "confirmed"
    module = importlib.import_module("ematheory.training.crosschecks.conventions")
    monkeypatch.setattr(module, "translate", with_decay_times(em.translate, 1.001))
    assert verdict(translation.trained("smoke")) == "refuted"


def test_published_recipes(monkeypatch):
    """Recipes on the law confirm it, recipes on another law refute it; the published ones decide nothing."""
    names, tokens, _ = recipes.timescales()
    noise = 1 + 0.05 * np.cos(np.arange(len(names)))
    assert verdict(recipes.numeric("smoke")) == "inconclusive"
    for exponent, expected in ((-0.527, "confirmed"), (-1.2, "refuted")):
        shares = 1.084 * tokens**exponent * noise
        monkeypatch.setattr(recipes, "timescales", lambda shares=shares: (names, tokens, shares))
        assert verdict(recipes.numeric("smoke")) == expected


def test_normalised_decay(monkeypatch):
    """A decay in proportion to 1/T would keep the timescale as a share of the run."""
    assert verdict(normalised.numeric("smoke")) == "confirmed"
    monkeypatch.setattr(normalised, "decay", lambda samples: 5 * normalised.BATCH / (samples * normalised.EPOCHS))
    assert verdict(normalised.numeric("smoke")) == "refuted"


def test_prior_numeric(monkeypatch):
    assert verdict(prior.numeric("smoke")) == "confirmed"
    right = prior.SGD
    monkeypatch.setattr(prior, "SGD", lambda lr, weight_decay: right(lr=lr, weight_decay=weight_decay * (1 + 1e-6)))
    assert verdict(prior.numeric("smoke")) == "refuted"


@pytest.mark.slow
def test_prior_trained(monkeypatch):
    assert verdict(prior.trained("smoke")) == "confirmed"
    right = prior.mean_weights
    monkeypatch.setattr(prior, "mean_weights", lambda size, decay, tier: right(size, 1.05 * decay, tier))
    assert verdict(prior.trained("smoke")) == "refuted"


@pytest.mark.parametrize("form", ["derived ratio", "limit"])
def test_decay_of_l2_trained(monkeypatch, form):
    """Neither a ratio off by 1e-6 nor per-LR decay in L2's place passes."""
    assert verdict(decay_of_l2.trained("smoke")) == "confirmed"
    if form == "derived ratio":
        right = decay_of_l2.expected_ratio
        monkeypatch.setattr(decay_of_l2, "expected_ratio", lambda: (1 + 1e-6) * right())
    else:
        left = decay_of_l2.left_by_torch
        monkeypatch.setattr(decay_of_l2, "left_by_torch", lambda decay, *setting: left("per_lr", *setting))
    assert verdict(decay_of_l2.trained("smoke")) == "refuted"


def test_decay_of_l2(monkeypatch):
    """If both decays were per learning rate, the ratio would be 1."""
    right = decay_of_l2.forgetting
    monkeypatch.setattr(decay_of_l2, "forgetting", lambda decay, tier: right("per_lr", tier))
    assert verdict(decay_of_l2.simulated("smoke")) == "refuted"


def test_collapse(monkeypatch):
    """With a sample's drift, noise and decay kept, at small steps, the curves do collapse, and the level says so."""
    assert verdict(collapse.simulated("smoke")) == "refuted"
    small(monkeypatch, collapse, REPLICAS=1024)
    monkeypatch.setattr(collapse, "BASE", collapse.Setting(0.125, 0.0125, 1.0))
    monkeypatch.setattr(collapse, "OTHERS", {"η and B halved": collapse.Setting(0.0625, 0.0125, 0.5)})
    assert verdict(collapse.simulated("smoke")) == "confirmed"
