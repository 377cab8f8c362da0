"""Noisy quadratics and batch sizes: each level is refuted when its rule or its moments are others."""

from __future__ import annotations

import pytest
from breaking import small, verdict

import ematheory as em
from ematheory.claims import Evidence
from ematheory.claims.malladi2022 import batch_rules
from ematheory.claims.zhang2019 import critical_batch, moment_closure, moment_closure_runs, noisy_quadratic


def test_noisy_quadratic_simulated(monkeypatch):
    """The closed form with the first decay in place of each: λ = 0.01 and 0.1 are then wrong."""
    small(monkeypatch, noisy_quadratic, STEPS=200)
    right = em.predict

    def without_decay(problem, optimizer, **run):
        return right(problem, optimizer.substituted(weight_decay=0 * optimizer.weight_decay), **run)

    monkeypatch.setattr(em, "predict", without_decay, raising=False)
    assert verdict(noisy_quadratic.simulated("smoke")) == "refuted"


@pytest.mark.slow
def test_critical_batch(monkeypatch):
    """A preconditioner that makes the curvatures more uneven has the smallest critical batch."""
    monkeypatch.setattr(critical_batch, "POWER", -0.5)
    assert verdict(critical_batch.numeric("smoke")) == "refuted"


@pytest.mark.parametrize("broken", ["momentum", "preconditioning", "averaged iterates"])
def test_critical_batch_simulated(monkeypatch, broken):
    """A preconditioner that makes curvatures more uneven, in the place of any method, is refuted."""
    methods = dict(critical_batch.METHODS)
    methods[broken] = critical_batch.Method(power=-0.5 if broken != "averaged iterates" else 0.5)
    monkeypatch.setattr(critical_batch, "METHODS", methods)
    assert verdict(critical_batch.simulated("smoke")) == "refuted"


def closure_without_covariance(own):
    """What 3/8 of v's relative variance alone would make of drift and noise."""
    alone = moment_closure.variance_alone(own)
    return {"drift_factor": alone, "noise_factor": alone**2}


@pytest.mark.parametrize("result", ["drift_factor", "noise_factor"])
def test_moment_closure(monkeypatch, result):
    """Without Cov(m, v) a factor is still off at first order; 1 % of another one leaves no order at all."""
    settings = [moment_closure.Averages(4 * size, size) for size in (1 / 16, 1 / 32, 1 / 64, 1 / 128)]
    closure = moment_closure.closed(settings)
    right = moment_closure.factor
    assert verdict(Evidence(tuple(moment_closure.orders("fixed ratio", settings, closure)))) == "confirmed"
    for wrong in (lambda asked, own: closure_without_covariance(own)[asked], lambda *asked: 1.01 * right(*asked)):

        def replaced(asked, own, wrong=wrong):
            return (wrong if asked == result else right)(asked, own)

        monkeypatch.setattr(moment_closure, "factor", replaced)
        assert verdict(Evidence(tuple(moment_closure.orders("fixed ratio", settings, closure)))) == "refuted"


def test_moment_closure_of_predict(monkeypatch):
    """With v at its mean the closure's drift would be off at first order."""
    settings = [moment_closure.Averages(4 * size, size) for size in (1 / 16, 1 / 32, 1 / 64)]
    frozen = moment_closure.closed(settings)
    frozen[:, 0] = 1
    assert verdict(Evidence(tuple(moment_closure.orders("frozen", settings, frozen)))) == "refuted"


EXPONENTS = [
    (label, letter) for label, rule in batch_rules.RULES.items() for letter in rule.base(0.01)
    # On white noise of one size v is the same whatever it forgets.
    if letter != "c_2" or rule.signal
]  # fmt: skip


@pytest.mark.parametrize(("label", "letter"), EXPONENTS)
def test_batch_rules_simulated(monkeypatch, label, letter):
    """An exponent that is off by a half is refuted by what was simulated, whichever it is."""
    rule = batch_rules.RULES[label]
    wrong = {**rule.powers(), letter: rule.powers()[letter] + 0.5}
    monkeypatch.setattr(batch_rules.Rule, "powers", lambda self: wrong)
    run = lambda *given, **options: em.simulate(*given, **options, replicas=16_384, seed=14)  # noqa: E731
    runs = batch_rules.pair(run, rule, batch_rules.SIZE, wrong)
    simulated_only = [each for each in batch_rules.judged(label, rule, runs, 16_384) if hasattr(each, "measured")]
    assert verdict(Evidence(tuple(simulated_only))) == "refuted"


@pytest.mark.slow
def test_batch_rules_trained(monkeypatch):
    """Every rule comes out, and none with its rate's power a quarter off."""
    assert verdict(batch_rules.trained("smoke")) == "confirmed"
    right = batch_rules.Rule.powers
    monkeypatch.setattr(batch_rules.Rule, "powers", lambda rule: {**right(rule), "eta": right(rule)["eta"] + 0.25})
    assert verdict(batch_rules.trained("smoke")) == "refuted"


@pytest.mark.parametrize("result", ["drift_factor", "noise_factor"])
def test_moment_closure_runs(monkeypatch, result):
    """A factor that is off by 3 %, and a memory of v that is four times as long."""
    right, record = moment_closure_runs.factor, moment_closure_runs.AdamW

    def off(asked, own):
        return (1.03 if asked == result else 1.0) * right(asked, own)

    monkeypatch.setattr(moment_closure_runs, "factor", off)
    assert verdict(moment_closure_runs.examined("smoke")) == "refuted"
    monkeypatch.undo()
    monkeypatch.setattr(moment_closure_runs, "AdamW", lambda beta2, **given: record(beta2=1 - (1 - beta2) / 4, **given))
    assert verdict(moment_closure_runs.examined("smoke")) == "refuted"
