"""Momentum on a noisy quadratic in numbers: against predict, and what L2 and per-LR decay have in common."""

import pytest

import ematheory as em
from ematheory.derivations import derive

GIVEN = {"curvature": 0.7, "noise_variance": 2.0, "optimum": 1.5}


def called(decay, result, **values):
    function = derive(f"heavy-ball-{decay.replace('_', '-')}").function(result)
    return function(**{word: value for word, value in values.items() if word in function.words})


@pytest.mark.parametrize("decay", ["l2", "per_lr"])
@pytest.mark.parametrize("momentum", [0.3, 0.8])
def test_a_long_prediction_ends_at_the_stationary_risk(decay, momentum):
    problem = em.NoisyQuadratic(curvature=[0.7], noise=[2.0], optimum=1.5, init=-1.0)
    optimizer = em.SGD(lr=0.3, momentum=momentum, weight_decay=0.1, decay=decay)
    found = float(em.predict(problem, optimizer, steps=2000)["risk"].isel(step=-1))
    expected = called(decay, "stationary_risk", lr=0.3, weight_decay=0.1, momentum=momentum, **GIVEN)
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("result", ["stationary_variance", "stationary_mean", "stationary_risk"])
@pytest.mark.parametrize("decay", ["l2", "per_lr"])
def test_without_momentum_both_are_plain_sgd(decay, result):
    values = {"lr": 0.3, "weight_decay": 0.1, **GIVEN}
    function = derive("sgd-quadratic").function(result)
    plain = function(**{word: value for word, value in values.items() if word in function.words})
    assert called(decay, result, momentum=0.0, **values) == pytest.approx(plain, rel=1e-12)


def test_per_lr_decay_is_a_weaker_ridge_by_one_minus_momentum():
    """h θ*/(h + λ(1 − μ)): the same mean as L2 with λ(1 − μ)."""
    per_lr = called("per_lr", "stationary_mean", weight_decay=0.4, momentum=0.75, **GIVEN)
    assert per_lr == pytest.approx(called("l2", "stationary_mean", weight_decay=0.1, **GIVEN), rel=1e-14)
