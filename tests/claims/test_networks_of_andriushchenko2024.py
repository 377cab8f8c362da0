"""The levels of C23, C25 and C43 on networks say what made-up runs show, whichever it is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ematheory.claims import Evidence
from ematheory.claims.andriushchenko2024 import effective_lr_of_networks, one_pass, products
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
        def runs(setting, tier, seeds, device):
            middle = of_control if setting == control else of_invariant
            far = {"plain": 1.0}
            return [SimpleNamespace(distance={"matched": each, **far}.get) for each in noisy(np.array([middle]))[0]]

        monkeypatch.setattr(effective_lr_of_networks, "runs", runs)
        return verdicts(*effective_lr_of_networks.of_networks("quick"))

    assert ratios(0.2, 1.5) == ["confirmed"] * 2
    assert ratios(0.8, 0.8) == ["refuted"] * 2


def diverging(losses):
    """A run of three epochs with these losses of the matched one."""
    given = {"decayed": np.full(3, 0.5), "matched": np.array(losses), "plain": np.full(3, 0.1)}
    distance = {run: float(np.abs(np.log(each / given["decayed"])).mean()) for run, each in given.items()}
    return SimpleNamespace(losses=given, distance=distance.get)


def test_a_run_that_diverges_counts_as_far(monkeypatch):
    """One does not decide, many do; the figure, which has no place for it, says that it shows the others."""
    checks = [diverging([0.5 + each, 0.5, 0.51]) for each in np.linspace(0.01, 0.02, 12)]
    monkeypatch.setattr(effective_lr_of_networks, "runs", lambda setting, tier, seeds, device: checks)
    monkeypatch.setitem(effective_lr_of_networks.EPOCHS, "quick", 3)
    assert verdicts(*effective_lr_of_networks.of_networks("quick"))[0] == "confirmed"
    checks.append(diverging([0.5, np.nan, np.nan]))
    assert verdicts(*effective_lr_of_networks.of_networks("quick"))[0] == "inconclusive"
    curve = effective_lr_of_networks.figure_of_networks("quick").curves[0]
    assert curve.label == "perceptron, momentum (12 of 13): matched"
    assert np.isfinite(curve.measured).all()
    checks += [diverging([0.5, np.nan, np.nan])] * 60
    assert verdicts(*effective_lr_of_networks.of_networks("quick"))[0] == "refuted"


def one_pass_made_up(gap=0.004, before=0.03, after=-0.03):
    """Losses of λ = 0 and 0.2 with noise, shape (points, seeds, records), with and without a difference to λ = 0."""
    records = one_pass.RECORDS
    over = np.where(np.arange(records) <= one_pass.BEFORE, before, after)
    unseen = 2.5 + np.array([0.0, 1.0])[:, None, None] * over + np.zeros((1, 8, 1))
    unseen = unseen + np.random.default_rng(1).normal(size=(2, 8, records)) * 0.002
    return SimpleNamespace(unseen=unseen, seen=unseen * (1 - gap * np.linspace(0.9, 1.1, 8)[:, None]))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ["confirmed"] * 3),
        ({"gap": 0.05}, ["refuted", "confirmed", "confirmed"]),
        ({"before": -0.03}, ["confirmed", "refuted", "confirmed"]),
        ({"after": 0.03}, ["confirmed", "confirmed", "refuted"]),
        ({"before": 0.0}, ["confirmed", "inconclusive", "confirmed"]),
    ],
)
def test_one_pass(monkeypatch, changed, expected):
    monkeypatch.setattr(one_pass, "measured", lambda tier: one_pass_made_up(**changed))
    assert verdicts(*one_pass.trained("quick").findings) == expected


def test_many_passes_are_not_one(monkeypatch):
    """Text that was gone through thirty times is known: the gap on real runs is far above what is taken for none."""
    from ematheory.training.crosschecks import one_pass as runs

    right = runs.one_pass
    monkeypatch.setattr(runs, "one_pass", lambda *given, **options: right(*given, **options, passes=30))
    for name, value in {"STEPS": {"quick": 60}, "SEEDS": {"quick": 6}, "DECAYS": {"quick": (0.0,)}}.items():
        monkeypatch.setattr(one_pass, name, value)
    check = one_pass.measured("quick")
    gap = (check.unseen - check.seen)[..., -1] / check.unseen[..., -1]
    assert verdicts(one_pass.below("gap", gap, one_pass.NO_GAP)) == ["refuted"]
