"""The batch rules that are derived are those that `rescale` solves for, in exponents and in their finite forms."""

from fractions import Fraction

import pytest
import sympy as sp

import ematheory as em
from ematheory.derivations import batch_scaling, derive
from ematheory.scaling import INVARIANTS

LETTERS = {
    "eta": "lr", "lambda": "weight_decay", "phi": "one_minus_beta1", "c": "one_minus_ema", "B": "batch_size",
    "c_1": "one_minus_beta1", "c_2": "one_minus_beta2", "epsilon": "eps",
}  # fmt: skip
ADAM = ("adam_drift", "adam_diffusion", "momentum_memory", "second_moment_memory", "epsilon_share")


def kept(name, prefix=""):
    """The monomials that a derivation keeps, in `rescale`'s words."""
    monomials = derive(name).step(f"{prefix}kept").equation.rhs
    return [{LETTERS[letter]: power for letter, power in batch_scaling.powers(e).items()} for e in monomials]


@pytest.mark.parametrize(
    ("name", "prefix", "invariants"),
    [
        ("scaling-sgd", "", ("sgd_drift", "sgd_diffusion", "sgd_l2_decay")),
        ("scaling-momentum", "L2: ", ("sgd_drift", "sgd_diffusion", "momentum_memory", "sgd_l2_decay")),
        ("scaling-momentum", "per LR: ", ("sgd_drift", "sgd_diffusion", "momentum_memory", "timescale_samples")),
        ("scaling-adam-noise", "per LR: ", (*ADAM, "timescale_samples")),
        ("scaling-adam-noise", "L2: ", (*ADAM, "adam_l2_decay")),
        (
            "scaling-adam-signal", "",
            ("adam_signal_drift", "momentum_memory", "second_moment_memory", "eps", "timescale_samples"),
        ),
        ("scaling-model-ema", "", ("ema_memory",)),
    ],
)  # fmt: skip
def test_the_invariants_are_those_of_rescale(name, prefix, invariants):
    """But for signs of the whole; what is kept at fixed momentum has no 1 − μ in it."""
    for found, invariant in zip(kept(name, prefix), invariants, strict=True):
        known = {
            k: v for k, v in INVARIANTS[invariant].powers.items() if name != "scaling-sgd" or k != "one_minus_beta1"
        }
        assert found in (known, {letter: -power for letter, power in known.items()})


def test_exponents_are_solved():
    eta, b = sp.symbols("eta B", positive=True)
    solve = batch_scaling.rule("", {"product": eta**2 / b}, (eta,), "η²/B")[0]
    assert solve.equation.rhs == sp.Tuple(sp.Rational(1, 2))
    assert batch_scaling.powers(eta**2 / sp.sqrt(b)) == {"eta": Fraction(2), "B": Fraction(-1, 2)}


def test_rules_that_clash_are_refused():
    eta, b = sp.symbols("eta B", positive=True)
    with pytest.raises(ValueError, match="drift, diffusion"):
        batch_scaling.rule("", {"drift": eta / b, "diffusion": eta**2 / b}, (eta,), "both")


def test_the_model_average_is_that_of_rescale():
    recipe = em.Recipe(lr=1e-3, weight_decay=0.1, batch_size=256, dataset_size=1e6, ema=0.999)
    found = em.rescale(recipe, batch_size=1024, keep="ema_memory").recipe.ema
    assert 1 - found == pytest.approx(derive("scaling-model-ema").function()(one_minus_ema=1 - 0.999, batch_factor=4))


def test_the_square_root_rule_is_that_of_the_preset():
    recipe = em.Recipe(lr=1e-3, weight_decay=0.1, batch_size=256, dataset_size=1e6)
    found = em.rescale(recipe, batch_size=4096, preset="malladi2022").recipe
    derived = derive("scaling-adam-noise").function("weight_decay")(lr=1e-3, decay_per_step=1e-4, batch_factor=16)
    assert (found.lr, found.weight_decay) == pytest.approx((4e-3, derived))


def test_the_exact_rule_goes_from_the_one_to_the_other():
    factor = derive("scaling-adam-noise").function("lr_factor")
    assert factor(signal_to_noise=1e-9, batch_factor=16) == pytest.approx(4, rel=1e-7)
    assert factor(signal_to_noise=1e9, batch_factor=16) == pytest.approx(16, rel=1e-7)
    assert derive("scaling-adam-signal").function()(noise_to_signal=2, batch_factor=16) == pytest.approx(
        factor(signal_to_noise=0.5, batch_factor=16)
    )
