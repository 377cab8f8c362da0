"""Levels that train networks come out otherwise when what they find is otherwise: made-up findings and tiny runs."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from ematheory.claims.bergsma2025b import collapse_of_networks
from ematheory.claims.lyu2024 import grokking
from ematheory.claims.verdict import judge
from ematheory.claims.wang2025 import best_decay_of_networks, learning_rate_transfer


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


SETTINGS = [grokking.Setting(0.03, decay) for decay in (0.8, 0.4, 0.2)]


def log_times(power, few=3.0, memorised=10.0):
    """Of eight seeds, shape (seeds, settings, 2): a time that is so many τ at the middle one, and goes as its power."""
    timescales = np.array([setting.timescale_steps for setting in SETTINGS * 2])
    understood = few * timescales[1] * (timescales / timescales[1]) ** power
    exact = np.log(np.stack([np.full(len(timescales), memorised), understood], axis=1))
    return exact + 0.02 * np.random.default_rng(0).normal(size=(8, *exact.shape))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (log_times(1.0), "confirmed"),
        (log_times(0.7), "refuted"),
        (log_times(0.0), "refuted"),
        (log_times(1.0, few=20.0), "refuted"),
        (log_times(1.0, few=0.5), "refuted"),
        (log_times(1.0, memorised=1000.0), "refuted"),
        (np.where(np.arange(8)[:, None, None] == 3, np.nan, log_times(1.0)), "inconclusive"),
    ],
)
def test_grokking(times, expected):
    """Another power, too many or too few τ, learning all at once, and a run that never understood are no pass."""
    evidence = grokking.judged(SETTINGS, SETTINGS, times)
    assert judge(evidence)[0] == expected


def test_a_tiny_run_memorises_and_does_not_understand_in_time(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(grokking, "EXTRA", 0)
    monkeypatch.setitem(grokking.SEEDS, "smoke", 2)
    memorised, understood = grokking.log_times(grokking.Setting(0.03, 1.0), "smoke").T
    assert (memorised < np.log(30)).all()
    assert np.isnan(understood).all()


def test_the_first_step_at_which_half_is_right():
    rows = [[0.0, 0.25, 0.75, 0.4], [0.0, 0.1, 0.2, 0.3], [0.0, 0.5, 0.4, 1.0]]
    accuracy = xr.DataArray(rows, dims=("seed", "step"), coords={"step": [0, 10, 20, 30]})
    np.testing.assert_array_equal(grokking.first_reached(accuracy), [15.0, np.nan, 10.0])


def curves(wider, control, seeds=16, noise=1e-4):
    """Losses of a base, a wider network and a control, shape (seeds, 3, 4), from each one's rise over the last loss."""
    rises = np.outer([1.0, wider, control], [0.12, 0.05, 0.02, 0.0])
    losses = np.array([3.0, 2.5, 3.2])[:, None] * (1 + rises)
    return losses * (1 + noise * np.random.default_rng(0).normal(size=(seeds, *losses.shape)))


@pytest.mark.parametrize(
    ("wider", "control", "noise", "expected"),
    [
        (1.0, 0.5, 1e-4, "confirmed"),
        (1.1, 0.5, 1e-4, "refuted"),
        (1.05, 1.0, 1e-4, "refuted"),
        (1.0, 0.5, 1e-2, "inconclusive"),
    ],
)
def test_collapse_of_networks(wider, control, noise, expected):
    """Another curve than the base's refutes, and so does one farther from it than that of another τ_run."""
    evidence = collapse_of_networks.judged((16, 24), curves(wider, control, noise=noise))
    assert judge(evidence)[0] == expected


def test_collapse_is_drawn_with_the_error_of_each_curve_less_the_base():
    """Also where what all curves share varies from seed to seed, which the difference does not see."""
    apart = curves(1.1, 0.5, seeds=200, noise=1e-3)
    shared = 1 + 0.1 * np.random.default_rng(1).normal(size=(200, 1, 1)) * np.array([1.0, 1.0, 1.0, 0.0])
    wider, control = collapse_of_networks.judged((16, 24), apart * shared).figures[0].curves
    over = apart / apart[:, :, -1:] * shared
    expected = (over[:, 1] - over[:, 0]).std(axis=0, ddof=1) / np.sqrt(200)
    np.testing.assert_allclose(wider.standard_errors, expected, rtol=0.1, atol=1e-15)
    assert (control.standard_errors[:3] > 0).all()


def test_best_decays_are_drawn_with_their_errors(monkeypatch):
    """A valley around λ = 400/N, deep enough that its vertex's error is that of a parabola's linear term."""
    logs = np.log(best_decay_of_networks.DECAYS)

    def losses(size, tier):
        noise = 0.002 * np.random.default_rng(size).normal(size=(24, len(logs)))
        return 0.02 * (logs - np.log(400 / size)) ** 2 + noise

    monkeypatch.setattr(best_decay_of_networks, "losses", losses)
    (curve,) = best_decay_of_networks.trained("full").figures[0].curves
    np.testing.assert_allclose(curve.measured, 400 / curve.x, rtol=0.1)
    # But for the last, near the grid's end: of the slope over 5 places s apart, 0.002/√24/(s√10), over the curvature
    # 2·0.02; and up to 1.31 times that where the vertex is s/2 off a place. A bootstrap of 24 seeds is good to 15 %.
    expected = 0.002 / np.sqrt(24) / ((logs[1] - logs[0]) * np.sqrt(10)) / 0.04
    over = (curve.standard_errors / curve.measured)[:3] / expected
    assert (over > 0.85).all()
    assert (over < 1.31 * 1.15).all()


def test_tokens_follow_parameters_and_decay_keeps_the_timescale(monkeypatch):
    """A tiny run: τ_run is that asked for in all weights, whose number sets the length."""
    torch_training = pytest.importorskip("ematheory.training.loop")
    monkeypatch.setattr(collapse_of_networks, "TOKENS_PER_PARAMETER", 0.5)
    monkeypatch.setattr(collapse_of_networks, "EVALUATED", 16)
    monkeypatch.setitem(collapse_of_networks.SEEDS, "smoke", 1)
    seen, real = [], torch_training.train

    def watched(*given, **options):
        seen.append(real(*given, **{**options, "observables": ["test_loss", "timescale_steps"]}))
        return seen[-1]

    monkeypatch.setattr("ematheory.training.train", watched, raising=False)
    for width in (16, 24):
        assert collapse_of_networks.Setting(width).losses("smoke").shape == (1, 4)
    narrow, wide = (run.step.values[-1] for run in seen)
    assert wide / narrow == pytest.approx(9696 / 4928, rel=0.1)
    for run in seen:
        # At each place the rates of all groups have decayed alike, and with them their timescales.
        peak = run.timescale_steps.isel(step=0)
        np.testing.assert_allclose(peak, peak.values.flat[0])
