"""Norms, rotations and effective rates at rest: each level is refuted when its law is another."""

from __future__ import annotations

import pytest
from breaking import by, small, verdict

import ematheory as em
from ematheory.claims import Evidence, simulated
from ematheory.claims.andriushchenko2024 import effective_lr
from ematheory.claims.defazio2025 import slow_decay
from ematheory.claims.kosson2024 import adam_l2, fixed_norm, orthogonal
from ematheory.claims.li2020 import equilibrium as scale_invariant
from ematheory.claims.wang2025 import equilibrium
from ematheory.claims.xie2024 import bounds

WRONG = {
    "orthogonal updates": lambda value, alpha, beta1: {
        **value, "weight_mean_square": value["weight_mean_square"] * (1 - beta1) / (1 + beta1), "update_cosine": 0.0
    },
    "small decay": lambda value, alpha, beta1: {**value, "rotation": (2 * alpha * (1 - beta1) / (1 + beta1)) ** 0.5},
    "cosine": lambda value, alpha, beta1: {**value, "cosine_after": value["cosine_before"]},
}  # fmt: skip


@pytest.mark.parametrize("wrong", ["orthogonal updates", "small decay"])
def test_equilibrium_simulated(monkeypatch, wrong):
    right = equilibrium.equilibrium_values
    monkeypatch.setattr(equilibrium, "frozen_order", lambda tier: equilibrium.Order("p", [4, 2, 1], [4, 2, 1], 1.0))
    monkeypatch.setattr(equilibrium, "equilibrium_values", lambda a, b: WRONG[wrong](right(a, b), a, b))
    assert verdict(equilibrium.simulated("smoke")) == "refuted"


def test_equilibrium_order(monkeypatch):
    """Held at a constant that is off by 1 %, v's error would stay as β₂ → 1."""
    held = equilibrium.held
    monkeypatch.setattr(equilibrium, "held", lambda lr, *rest: held(1.01 * lr, *rest))
    small(monkeypatch, equilibrium, ORDER_REPLICAS=3)
    assert verdict(Evidence((equilibrium.frozen_order("smoke"),))) != "confirmed"


@pytest.mark.parametrize("wrong", ["orthogonal updates", "cosine"])
def test_equilibrium_trained(monkeypatch, wrong):
    right = equilibrium.equilibrium_values
    monkeypatch.setattr(equilibrium, "equilibrium_values", lambda a, b: WRONG[wrong](right(a, b), a, b))
    assert verdict(equilibrium.trained("smoke")) == "refuted"


def test_orthogonal_updates(monkeypatch):
    """Without momentum the shortcut is right, and the level says so."""
    assert verdict(orthogonal.symbolic("smoke")) == "refuted"
    monkeypatch.setattr(orthogonal, "FORGETS", (1.0,))
    assert verdict(orthogonal.symbolic("smoke")) == "confirmed"


def test_slow_decay_simulated(monkeypatch):
    """Plain AdamW in AdamC's place: its norm falls as the rate does."""
    monkeypatch.setattr(slow_decay, "AdamC", em.AdamW)
    assert verdict(slow_decay.simulated("smoke")) == "refuted"


def test_effective_rates_trained(monkeypatch):
    """On a network too the published rates in the exact ones' place are refuted."""
    assert verdict(effective_lr.trained("smoke")) == "confirmed"
    right = effective_lr.matched
    monkeypatch.setattr(
        effective_lr,
        "matched",
        lambda name, form, *rest, **memory: right(name, effective_lr.PUBLISHED, *rest, **memory),
    )
    assert verdict(effective_lr.trained("smoke")) == "refuted"


def test_scale_invariant_sgd_trained(monkeypatch):
    """A fifth more decay moves the norm by 5 % and the rotation by 10 %."""
    assert verdict(scale_invariant.trained("smoke")) == "confirmed"
    right = scale_invariant.Kind.exact
    monkeypatch.setattr(scale_invariant.Kind, "exact", lambda kind, rate: right(kind, 1.2 * rate))
    assert verdict(scale_invariant.trained("smoke")) == "refuted"


def test_way_of_scale_invariant_sgd_trained(monkeypatch):
    assert verdict(Evidence((scale_invariant.torch_way("smoke"),))) == "confirmed"
    monkeypatch.setattr(scale_invariant, "mapped", by(1.05, scale_invariant.mapped))
    assert verdict(Evidence((scale_invariant.torch_way("smoke"),))) == "refuted"


def test_adam_l2_trained(monkeypatch):
    assert verdict(adam_l2.trained("smoke")) == "confirmed"
    right = adam_l2.at_rest
    monkeypatch.setattr(adam_l2, "at_rest", lambda *given, **named: tuple(1.05 * x for x in right(*given, **named)))
    assert verdict(adam_l2.trained("smoke")) == "refuted"


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("what", ["norm", "gradient"])
def test_slow_decay_trained(monkeypatch, name, what):
    """AdamW's powers in SGD's place, or the other way round; the cure not applied is a power of its own."""
    right = slow_decay.claimed_power
    other = {"sgd": "adamw", "adamw": "sgd"}
    course = slow_decay.fall(slow_decay.SLOW * slow_decay.RATE, 2)
    walks = {cured: slow_decay.walked_in_torch(name, cured, course, "smoke") for cured in (False, True)}
    findings = [*slow_decay.torch_exponents(name, False, walks[False], course)]
    assert verdict(Evidence(tuple(findings))) == "confirmed"
    assert verdict(Evidence(tuple(slow_decay.torch_exponents(name, True, walks[True], course)))) == "confirmed"
    assert verdict(Evidence(tuple(slow_decay.torch_exponents(name, True, walks[False], course)))) == "refuted"
    monkeypatch.setattr(
        slow_decay, "claimed_power",
        lambda kind, asked, cured: right(other[kind] if asked == what else kind, asked, cured),
    )  # fmt: skip
    assert verdict(Evidence(tuple(slow_decay.torch_exponents(name, False, walks[False], course)))) == "refuted"


@pytest.mark.slow
@pytest.mark.parametrize("result", ["relative_step", "rotation"])
def test_fixed_norm_trained(monkeypatch, result):
    assert verdict(fixed_norm.trained("smoke")) == "confirmed"
    right = fixed_norm.derived_values
    monkeypatch.setattr(
        fixed_norm, "derived_values", lambda asked, *given: (1.05 if asked == result else 1.0) * right(asked, *given)
    )
    monkeypatch.setattr(fixed_norm, "at_published_step", lambda *given, kept=fixed_norm.published_step: kept(*given))
    assert verdict(fixed_norm.trained("smoke")) == "refuted"


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_effective_learning_rates(monkeypatch, name):
    """The published form instead of the exact one, or the rate over another power of the norm."""
    other = {"SGD": effective_lr.MatchedSigns(), "Adam": effective_lr.MatchedSGD()}[name]
    monkeypatch.setitem(effective_lr.MATCHED, name, other)
    assert verdict(effective_lr.simulated("smoke")) == "refuted"
    monkeypatch.undo()
    monkeypatch.setattr(effective_lr, "MATCHED", {name: effective_lr.MATCHED[name]})
    monkeypatch.setattr(effective_lr, "EXACT", effective_lr.PUBLISHED)
    assert verdict(effective_lr.simulated("smoke")) == "refuted"


@pytest.mark.parametrize("factor", [0.95, 1.25])
def test_bounds_off(monkeypatch, factor):
    """Bounds that are smaller are passed, larger ones are not come near to."""
    monkeypatch.setattr(bounds, "derived", lambda *names, **given: factor * simulated.derived(*names, **given))
    assert verdict(bounds.simulated("smoke")) == "refuted"


def test_bounds_of_another_optimizer(monkeypatch):
    """Without its second bias correction AdamW's first updates are far larger: they are RMSprop's."""
    plain = em.RMSprop

    def without_correction(lr, weight_decay, betas, eps):
        return plain(lr=lr, weight_decay=weight_decay, beta2=betas[1], eps=eps)

    monkeypatch.setattr(bounds, "AdamW", without_correction)
    assert verdict(Evidence(tuple(bounds.updates(0.5, 0.6, "smoke")))) == "refuted"


def test_fixed_norm(monkeypatch):
    """The published step, or updates that do not remember, do not turn the weights by AdamW's angle."""
    right, record = fixed_norm.derived_values, fixed_norm.FixedNorm

    def published(result, rate, beta1):
        return fixed_norm.published_step(rate, beta1) if result == "relative_step" else right(result, rate, beta1)

    monkeypatch.setattr(fixed_norm, "derived_values", published)
    monkeypatch.setattr(fixed_norm, "at_published_step", lambda rate, beta1: right("rotation", rate, beta1))
    assert verdict(fixed_norm.simulated("smoke")) == "refuted"
    monkeypatch.undo()
    monkeypatch.setattr(fixed_norm, "FixedNorm", lambda lr, beta1: record(lr=lr, beta1=0.5 * beta1))
    assert verdict(fixed_norm.simulated("smoke")) == "refuted"


def test_orthogonal_updates_simulated(monkeypatch):
    """The level refutes the shortcut and not whatever it is given: the true mean square would have been confirmed."""

    def true(measured):
        given = {"decay_per_step": orthogonal.LR * simulated.LARGE_EPS * measured.weight_decay}
        rms = simulated.derived(
            "adamw-random-walk", "weight_rms", lr=orthogonal.LR, one_minus_beta1=1 - measured.beta1, **given
        )
        return rms**2

    assert verdict(orthogonal.simulated("smoke")) == "refuted"
    monkeypatch.setattr(orthogonal, "shortcut", true)
    assert verdict(orthogonal.simulated("smoke")) == "confirmed"
