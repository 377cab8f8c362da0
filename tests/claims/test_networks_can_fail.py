"""What claims say of trained networks: made-up runs as the claim has them are confirmed, others refuted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ematheory as em
from ematheory import tasks
from ematheory.claims import Evidence, find, noisy_digits
from ematheory.claims.defazio2025 import late_gradients_of_networks as late
from ematheory.claims.kosson2024 import rotation_of_networks as adamw_turning
from ematheory.claims.li2020 import rotation_of_networks as sgd_turning
from ematheory.claims.malladi2022 import batch_of_networks as batches
from ematheory.claims.verdict import judge

SEEDS = 8
ON_BOTH = ["C06", "C14", "C20", "C25", "C34"]


def verdict(*findings):
    return judge(Evidence(findings))[0]


def spread(*shape):
    """Factors near 1, by about a hundredth."""
    return np.exp(0.01 * np.random.default_rng(0).standard_normal(shape))


def course(growth, shrinking):
    """Gradients and norms that change by so much from the middle of the run to its end, in every layer."""
    along = np.linspace(0, 1, len(late.SHARES))[:, None]
    along = np.where(np.arange(len(late.SHARES))[:, None] == late.MIDDLE, 0.0, along)
    factors = spread(SEEDS, len(late.SHARES), 3)
    return late.Course(np.exp(growth * along) * factors, np.exp(-shrinking * along) * factors)


def test_late_gradients():
    plain, corrected = course(0.6, 0.5), course(0.0, 0.1)
    assert verdict(*late.findings(plain, corrected)) == "confirmed"
    assert verdict(*late.findings(corrected, corrected)) == "refuted"
    assert verdict(*late.findings(plain, plain)) == "refuted"
    assert verdict(*late.findings(plain, course(0.4, 0.1))) == "refuted"


def test_late_gradients_are_those_of_the_last_steps(monkeypatch):
    """A few steps of training: growth is of the records that it is said to be of."""
    monkeypatch.setattr(late, "EPOCHS", 2)
    monkeypatch.setattr(late, "REACH", 0)
    monkeypatch.setitem(late.SEEDS, "quick", 2)
    seen = late.course(late.AdamC(lr=late.LR, weight_decay=late.DECAY, betas=late.BETAS), "quick")
    assert seen.gradient.shape == seen.norm.shape == (2, len(late.SHARES), 3)
    np.testing.assert_array_equal(seen.growth(), np.log(seen.gradient[:, -1] / seen.gradient[:, 1]))
    assert (seen.norm > 0).all()


def at_rest(rotation, norm):
    return noisy_digits.Rested(
        rotation * spread(SEEDS, 3), norm * spread(SEEDS, 3), np.ones((SEEDS, 3)), np.array([1.0, 4.0, 9.0])
    )


@pytest.mark.parametrize(("lr", "momentum"), sgd_turning.SETTINGS)
def test_rotation_under_sgd(lr, momentum):
    angle, norm = sgd_turning.rotation(lr, momentum), sgd_turning.norm(lr, momentum, np.ones((SEEDS, 3)))
    assert verdict(*sgd_turning.judged("", at_rest(angle, norm), lr, momentum)) == "confirmed"
    assert verdict(*sgd_turning.judged("", at_rest(1.2 * angle, norm), lr, momentum)) == "refuted"
    assert verdict(*sgd_turning.judged("", at_rest(angle, norm / 1.2), lr, momentum)) == "refuted"


def test_rotation_under_sgd_is_near_the_published():
    for lr, momentum in sgd_turning.SETTINGS:
        published = np.sqrt(2 * lr * sgd_turning.DECAY / (1 + momentum))
        assert sgd_turning.rotation(lr, momentum) == pytest.approx(published, rel=0.05)


def test_rotation_under_adamw():
    angle, norm = adamw_turning.rotation(), adamw_turning.weight_rms() * np.array([1.0, 2.0, 3.0])
    less = np.array([1.0, 1.0, 0.8])
    assert verdict(*adamw_turning.findings(at_rest(angle * less, norm))) == "confirmed"
    assert verdict(*adamw_turning.findings(at_rest(angle, norm))) == "refuted"
    assert verdict(*adamw_turning.findings(at_rest(1.2 * angle * less, norm))) == "refuted"
    assert verdict(*adamw_turning.findings(at_rest(angle * less, 1.3 * norm))) == "refuted"


def test_runs_come_to_rest(monkeypatch):
    """A few steps of training: rotations of SGD without momentum are ‖w'−w‖/‖w‖ to first order."""
    seen = noisy_digits.rested(sgd_turning.SGD(lr=0.01), width=8, epochs=1, seeds=range(2))
    np.testing.assert_allclose(seen.rotation, 0.01 * np.sqrt(seen.gradient_square) / seen.norm**2, rtol=0.02)
    network = tasks.digits_mlp(width=8).network(0, torch.float32)
    weights = [each.numel() for each in network.parameters() if each.dim() == 2]
    assert seen.sizes.tolist() == weights


def test_batch_rule():
    near, far = 0.05 + np.log(spread(SEEDS, 2)), -0.2 + np.log(spread(SEEDS, 2))
    assert verdict(batches.nearer(near, far)) == "confirmed"
    assert verdict(batches.nearer(-near, far)) == "confirmed"
    assert verdict(batches.nearer(far, near)) == "refuted"
    assert verdict(batches.nearer(far * 0.7, far)) == "refuted"


def test_within_is_of_either_sign():
    logs = np.log(spread(SEEDS, 3))
    assert verdict(noisy_digits.within("", logs + 0.05, 0.1)) == "confirmed"
    assert verdict(noisy_digits.within("", logs - 0.2, 0.1)) == "refuted"
    assert verdict(noisy_digits.within("", logs + 0.1, 0.1)) == "inconclusive"


@pytest.mark.parametrize("claim", ON_BOTH)
def test_networks_are_a_verdict_of_their_own_beyond_the_first_tier(claim):
    """What torch does with the claim's model says nothing of networks, and no tier confirms these without a run."""
    (found,) = find(claim)
    assert found.levels["networks"].run.__module__.endswith("_of_networks")
    assert found.levels["networks"].tiers == ("quick", "full")
    rows = {row["level"]: row for row in em.validate(claim, levels="trained", tier="smoke").verdicts}
    assert rows["trained"]["verdict"] == "confirmed"
    assert rows["networks"]["verdict"] == "not run"
    assert rows["networks"]["why"] == "runs in tier quick and full, this is smoke"
