"""predict under every word of decay, ε and bias correction: simulated where it is followed, refused where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import ematheory as em

RUN: dict[str, Any] = {"steps": 60, "schedule": em.Cosine(final=0.1, warmup=0.2), "record": [1, 5, 20, 60]}
# So much noise that no sign is so nearly certain that a few thousand replicas would not see it turn.
PROBLEM = em.NoisyQuadratic(curvature=[1.0, 0.3], optimum=[0.5, -0.2], noise=1.0, batch_size=2)
SHARED: dict[str, Any] = {"lr": 0.02, "betas": (0.8, 0.98), "eps": 0.05}
ADAM: dict[str, Any] = {"weight_decay": 2.0, **SHARED}
# Closures state their error; the moments of SGD are exact.
FOLLOWED = [
    em.SGD(lr=0.2, weight_decay=0.3, momentum=0.5, decay="independent"),
    em.SGD(lr=0.2, weight_decay=0.3, momentum=0.5, nesterov=True, decay="corrected"),
    em.AdamW(**ADAM, bias_correction=False),
    em.AdamW(**ADAM, eps_placement="uncorrected"),
    em.AdamW(**ADAM, decay="corrected", eps_placement="uncorrected"),
    em.AdamW(**ADAM, decay="cautious", eps_placement="uncorrected"),
    em.AdamW(weight_decay=0.04, **SHARED, decay="independent"),
    em.NAdam(**ADAM, decay="corrected"),
    em.AdEMAMix(weight_decay=0.04, **SHARED, decay="independent"),
    em.Lion(lr=0.02, weight_decay=0.04, decay="independent"),
    em.SignSGD(lr=0.02, weight_decay=2.0, momentum=0.5, decay="corrected"),
    em.ScheduleFreeAdamW(weight_decay=0.04, **SHARED, decay="independent"),
]
REFUSED = [
    (em.AdamW(lr=0.1, decay_order="after"), "AdamW with decay after the step: the moments are of steps that decay the"),
    (em.AdamC(lr=0.1, decay_order="after"), "AdamC with decay after the step"),
    (em.AdamW(lr=0.1, eps_placement="inside"), "AdamW with ε inside the root: the moments are of steps divided by"),
    (em.SGD(lr=0.1, momentum=0.5, decay="cautious"), "SGD with cautious decay: the mask of weights .* AdamW alone"),
    (em.Lion(lr=0.1, decay="cautious"), "Lion with cautious decay"),
    (em.SignSGD(lr=0.1, decay="cautious"), "SignSGD with cautious decay"),
    (em.NAdam(lr=0.1, decay="cautious"), "NAdam with cautious decay"),
    (em.AdEMAMix(lr=0.1, decay="cautious"), "AdEMAMix with cautious decay"),
]


def words(record: Any) -> str:
    return f"{type(record).__name__}-{record.decay}-{record.variant}-{getattr(record, 'eps_placement', '')}"


@pytest.mark.parametrize("optimizer", FOLLOWED, ids=words)
def test_a_simulation_is_what_was_predicted(optimizer: Any) -> None:
    found = em.simulate(
        PROBLEM, optimizer, replicas=4000, seed=11, observables=["weight_mean", "weight_variance"], **RUN
    )
    expected = em.predict(PROBLEM, optimizer, observables=["weight_mean", "weight_variance"], **RUN)
    # Of so many standard errors none of the 8 numbers is off but once in a thousand such tests.
    beyond = stats.norm.isf(0.5e-3 / 8)
    for name in ("weight_mean", "weight_variance"):
        stated = expected[f"{name}_error"].values if f"{name}_error" in expected else 0.0
        off = np.abs(found[name] - expected[name]).values
        assert (off <= beyond * found[f"{name}_sem"].values + stated + 1e-12).all(), name


@pytest.mark.parametrize("decay", ["independent", "corrected"])
def test_sgd_s_words_are_per_lr_decay_of_another_number_at_a_constant_rate(decay: str) -> None:
    lam = 0.3 / 0.2 if decay == "independent" else 0.3
    ours = em.predict(PROBLEM, em.SGD(lr=0.2, weight_decay=0.3, momentum=0.5, decay=decay), steps=40)
    same = em.predict(PROBLEM, em.SGD(lr=0.2, weight_decay=lam, momentum=0.5, decay="per_lr"), steps=40)
    np.testing.assert_allclose(ours.risk, same.risk, rtol=1e-13)


def test_at_rest_bias_correction_and_the_uncorrected_root_are_gone() -> None:
    plain = em.predict(PROBLEM, em.AdamW(**ADAM))
    for words_of in ({"bias_correction": False}, {"eps_placement": "uncorrected"}):
        np.testing.assert_allclose(em.predict(PROBLEM, em.AdamW(**ADAM, **words_of)).risk, plain.risk, rtol=1e-12)


def test_on_pure_noise_too() -> None:
    walk = em.RandomWalk(size=3, noise=0.7, init=0.4)
    for words_of in ({"bias_correction": False}, {"eps_placement": "uncorrected"}):
        own = em.AdamW(**ADAM, **words_of)
        at_rest, plain = em.predict(walk, own), em.predict(walk, em.AdamW(**ADAM))
        np.testing.assert_allclose(at_rest.weight_mean_square, plain.weight_mean_square, rtol=1e-12)
        found, expected = em.simulate(walk, own, replicas=2000, seed=3, **RUN), em.predict(walk, own, **RUN)
        stated = expected.weight_mean_square_error if "weight_mean_square_error" in expected else 0.0
        off = np.abs(found.weight_mean_square - expected.weight_mean_square)
        assert bool((off <= 4.0 * found.weight_mean_square_sem + stated + 1e-12).all())


@pytest.mark.parametrize(("optimizer", "message"), REFUSED)
def test_what_the_moments_do_not_follow_is_refused_by_name(optimizer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.predict(PROBLEM, optimizer, steps=5)
    with pytest.raises(ValueError, match="use simulate"):
        em.predict(PROBLEM, optimizer)
