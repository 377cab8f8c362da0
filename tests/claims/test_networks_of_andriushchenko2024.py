"""The levels of C23 and C25 on networks say what made-up runs show, whichever it is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ematheory.claims import Evidence
from ematheory.claims.andriushchenko2024 import effective_lr_of_networks, products
from ematheory.claims.verdict import judge

SEEDS = 16
RATES = np.tile(products.RATES, len(products.LRS))
LRS = np.repeat(products.LRS, len(products.RATES))


def verdicts(*findings):
    return [outcome.verdict for outcome in judge(Evidence(findings))[1]]


def noisy(values, size=0.02):
    source = np.random.default_rng(0)
    return values[:, None] * np.exp(size * source.normal(size=(len(values), SEEDS)))


def made_up(product, *, jacobian=-0.2, average=0.5):
    """A valley of the loss, and noise, by a product of η and λ; an average that is nearer to the fine-tuned."""
    near = {frozenset(("average", "fine_tuned")): average, frozenset(("average", "snapshots")): 0.6}
    near[frozenset(("fine_tuned", "snapshots"))] = 0.7
    noise = 40 * product

    def distance(*pair):
        return noisy(noise * near.get(frozenset(pair), 1.0))

    valley = np.exp(0.3 * np.log(product / 1.2e-3) ** 2)
    return SimpleNamespace(loss=lambda model: noisy(valley), distance=distance, jacobian_norms=noisy(RATES**jacobian))


def outcomes(monkeypatch, check):
    monkeypatch.setattr(products, "measured", lambda tier: check)
    return verdicts(*products.trained("quick").findings)


def test_products(monkeypatch):
    """What follows ηλ is confirmed; a valley and a noise that follow λ, the others as before, are not."""
    assert outcomes(monkeypatch, made_up(RATES)) == ["confirmed"] * 6
    by_decay = RATES / LRS * products.LRS[1]
    assert outcomes(monkeypatch, made_up(by_decay))[:2] == ["refuted"] * 2


def test_products_of_other_networks(monkeypatch):
    """An average that is farther off than the iterate, and a Jacobian that grows with ηλ."""
    found = outcomes(monkeypatch, made_up(RATES, average=1.5, jacobian=0.2))
    assert [found[2], found[5]] == ["refuted"] * 2
    assert [found[0], found[1], found[3], found[4]] == ["confirmed"] * 4


def test_a_valley_that_the_grid_does_not_show_decides_nothing(monkeypatch):
    check = made_up(RATES)
    check.loss = lambda model: noisy(RATES)
    assert outcomes(monkeypatch, check)[0] == "inconclusive"


def test_crossing():
    assert products.crossing(np.arange(4.0), np.array([0.0, 1.0, 3.0, 2.0]), 2.0) == pytest.approx(1.5)
    assert np.isnan(products.crossing(np.arange(3.0), np.zeros(3), 2.0))


def test_effective_rates(monkeypatch):
    """Curves that are matched to nothing, or a network where matching helps without invariance."""
    control = effective_lr_of_networks.CONTROL

    def ratios(of_invariant, of_control):
        def runs(setting, tier, seeds):
            middle = of_control if setting == control else of_invariant
            far = {"plain": 1.0}
            return [SimpleNamespace(distance={"matched": each, **far}.get) for each in noisy(np.array([middle]))[0]]

        monkeypatch.setattr(effective_lr_of_networks, "runs", runs)
        return verdicts(*effective_lr_of_networks.of_networks("quick"))

    assert ratios(0.2, 1.5) == ["confirmed"] * 2
    assert ratios(0.8, 0.8) == ["refuted"] * 2
