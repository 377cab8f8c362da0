"""The best decay, timescale or schedule: each level is refuted when another is said to be best."""

from __future__ import annotations

import numpy as np
import pytest
from breaking import verdict

import ematheory as em
from ematheory.claims import Evidence, simulated
from ematheory.claims.bergsma2025a import rankings
from ematheory.claims.wang2025 import best_decay_by_size, optimum, reshuffling
from ematheory.claims.zhang2019 import adamw_ridge, best_decay, best_decay_runs


def test_reshuffling_numeric(monkeypatch):
    """With the noise of independent draws nothing falls as 1/τ², and the best timescale is no shorter."""
    assert verdict(reshuffling.numeric("smoke")) == "confirmed"
    monkeypatch.setattr(reshuffling, "reshuffled", reshuffling.independent)
    assert verdict(reshuffling.numeric("smoke")) == "refuted"


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_optimum_numeric(monkeypatch, factor):
    """A best timescale that is off by a hundredth stays off however many steps there are."""
    assert verdict(Evidence((optimum.order(100.0),))) == "confirmed"
    right = optimum.predicted
    monkeypatch.setattr(optimum, "predicted", lambda signal: factor * right(signal))
    assert verdict(Evidence((optimum.order(100.0),))) == "refuted"
    assert verdict(optimum.numeric("smoke")) == "refuted"


def test_optimum_that_falls_as_a_power():
    steps = 10.0 ** np.arange(3, 7)
    best = np.array([optimum.measured(int(n), optimum.PER_SAMPLE * n) for n in steps])
    assert verdict(Evidence(optimum.falling(steps, best))) == "confirmed"
    assert verdict(Evidence(optimum.falling(steps, 0.3 * (steps / 1000) ** -0.1))) == "refuted"


def test_optimum_is_that_of_the_discrete_risk():
    """The sum of squared coefficients, and a slope that is the risk's."""
    steps, signal, y = 50, 3.0, 4.0
    keep, rate = 1 - y / steps, y / steps
    summed = signal * keep ** (2 * steps) + steps * np.sum((rate * keep ** np.arange(steps)) ** 2)
    assert optimum.risk(y, steps, signal) == pytest.approx(summed, rel=1e-13)
    change = (optimum.risk(y + 1e-5, steps, signal) - optimum.risk(y - 1e-5, steps, signal)) / 2e-5
    assert optimum.slope(y, steps, signal) == pytest.approx(change, rel=1e-8)


def test_rankings(monkeypatch):
    """Ranked by the published order, which has linear before cosine, the averages contradict it."""
    assert verdict(rankings.numeric("smoke")) == "confirmed"
    swapped = dict(rankings.SCHEDULES, cosine=rankings.SCHEDULES["linear"], linear=rankings.SCHEDULES["cosine"])
    monkeypatch.setattr(rankings, "SCHEDULES", swapped)
    assert verdict(rankings.numeric("smoke")) == "refuted"


def off_by(result, factor):
    """The derived forms of a run's best decay with one of them off by a factor."""
    right = best_decay.derived
    return lambda name: lambda **given: (factor if name == result else 1.0) * right(name)(**given)


@pytest.mark.parametrize("batch", [1.0, 16.0])
def test_best_decay_onset(monkeypatch, batch):
    """At another length than the derived onset decay helps already, or not yet."""
    right = best_decay.onset(batch)
    assert verdict(Evidence(best_decay.onsets(batch))) == "confirmed"
    for wrong in (right - 1, right + 1):
        monkeypatch.setattr(best_decay, "onset", lambda batch, at=wrong: at)
        assert verdict(Evidence(best_decay.onsets(batch))) == "refuted"


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_best_decay_distance(monkeypatch, factor):
    assert verdict(Evidence((best_decay.distance(4.0, "smoke"),))) == "confirmed"
    monkeypatch.setattr(best_decay, "derived", off_by("transient", factor))
    assert verdict(Evidence((best_decay.distance(4.0, "smoke"),))) == "refuted"


def test_best_decay_ridge(monkeypatch):
    """A best decay that fell as 1/T would keep the share of the run, and one off the ridge would not come to it."""
    right = best_decay.best
    monkeypatch.setattr(best_decay, "best", lambda batch, steps: right(batch, steps) / steps)
    assert verdict(Evidence((best_decay.shares(4.0, "smoke")[0],))) == "refuted"
    monkeypatch.setattr(best_decay, "best", lambda batch, steps: 1.01 * right(batch, steps))
    assert verdict(Evidence((best_decay.approach(1.0, "smoke"),))) == "refuted"


def test_best_decay_at_small_rates(monkeypatch):
    monkeypatch.setattr(best_decay, "derived", off_by("ridge_noise", 1.01))
    assert verdict(Evidence((best_decay.small_rate(),))) == "refuted"


def test_ridge_simulated(monkeypatch):
    """Decay that passes through the gradient makes a ridge of λ, whatever the batch."""
    monkeypatch.setattr(adamw_ridge, "AdamW", em.Adam)
    assert verdict(adamw_ridge.simulated("smoke")) == "refuted"


def test_optimum_simulated(monkeypatch):
    """A law that is off by a tenth is refuted, and so is the law of a constant rate under another schedule."""
    assert verdict(optimum.simulated("smoke")) == "confirmed"
    with monkeypatch.context() as patch:
        right = optimum.predicted
        patch.setattr(optimum, "predicted", lambda signal: 1.1 * right(signal))
        assert verdict(optimum.simulated("smoke")) == "refuted"
    runs = optimum.end_risks
    decaying = lambda *given, **run: runs(*given, **{**run, "schedule": em.Linear()})  # noqa: E731
    monkeypatch.setattr(optimum, "end_risks", decaying)
    assert verdict(optimum.simulated("smoke")) == "refuted"


@pytest.mark.slow
def test_rankings_simulated(monkeypatch):
    """The published order, linear before cosine, is refuted; so are risks that are off by a tenth."""
    assert verdict(rankings.simulated("smoke")) == "confirmed"
    with monkeypatch.context() as patch:
        patch.setattr(rankings, "ORDERS", (("linear", "constant"), ("linear", "cosine")))
        assert verdict(rankings.simulated("smoke")) == "refuted"
    right = rankings.stepped
    monkeypatch.setattr(rankings, "stepped", lambda *given: 1.1 * right(*given))
    assert verdict(rankings.simulated("smoke")) == "refuted"


def test_reshuffled_runs(monkeypatch):
    """Items drawn anew are not reshuffled ones, and the best timescale of independent draws is not the best."""
    assert verdict(reshuffling.simulated("smoke")) == "confirmed"
    right, problem = reshuffling.best, reshuffling.ReshuffledData
    monkeypatch.setattr(reshuffling, "best", lambda epochs, factor="reshuffled": right(epochs, "independent"))
    assert verdict(Evidence(tuple(reshuffling.optima("smoke")[0]))) == "refuted"
    monkeypatch.setattr(reshuffling, "ReshuffledData", lambda **given: problem(**{**given, "sampling": "replaced"}))
    assert verdict(Evidence(tuple(reshuffling.factors("smoke")[0]))) == "refuted"


def test_reshuffled_runs_off_by_a_tenth(monkeypatch):
    monkeypatch.setattr(reshuffling, "derived", lambda *names, **given: 1.1 * simulated.derived(*names, **given))
    assert verdict(Evidence(tuple(reshuffling.factors("smoke")[0]))) == "refuted"


@pytest.mark.parametrize("sampling", ["replaced", "reshuffled"])
def test_reshuffling_trained(monkeypatch, sampling):
    """Items in an order that is not the one said are refuted, whichever it is."""
    assert verdict(reshuffling.trained("smoke")) == "confirmed"
    right = reshuffling.torch_risks
    monkeypatch.setattr(reshuffling, "torch_risks", lambda *given: right(*given[:-1], sampling))
    assert verdict(reshuffling.trained("smoke")) == "refuted"


def test_best_decay_runs(monkeypatch):
    """Half of the ridge value is not the best, and slopes that are half as large again are not the runs'."""
    right = best_decay_runs.ridge
    monkeypatch.setattr(best_decay_runs, "ridge", lambda batch: right(batch) / 2)
    assert verdict(best_decay_runs.examined("smoke")) == "refuted"
    monkeypatch.undo()
    slopes = best_decay_runs.summed
    monkeypatch.setattr(best_decay_runs, "summed", lambda *names, **given: 1.5 * slopes(*names, **given))
    assert verdict(best_decay_runs.examined("smoke")) == "refuted"


def test_best_decay_by_size(monkeypatch):
    """A best decay that fell as 1/N², and one three times as large."""
    assert verdict(best_decay_by_size.numeric("smoke")) == "confirmed"
    right = best_decay_by_size.best
    monkeypatch.setattr(best_decay_by_size, "best", lambda size, *epochs, **one: right(size, *epochs, **one) / size)
    assert verdict(best_decay_by_size.numeric("smoke")) == "refuted"
    monkeypatch.setattr(best_decay_by_size, "best", lambda size: 3 * right(size))
    assert verdict(best_decay_by_size.simulated("smoke")) == "refuted"
