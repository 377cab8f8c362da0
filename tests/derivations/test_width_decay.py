"""Widths: the rules that are derived are those of `rescale`'s presets, and what alignment says of muP."""

from fractions import Fraction

import pytest

import ematheory as em
from ematheory.derivations import derive

RECIPE = em.Recipe(lr=1e-3, weight_decay=0.1, batch_size=256, dataset_size=1e6, init_std=0.02)


def exponents(prefix):
    """The exponents of η and λ in the width by which a derivation keeps what it names."""
    return tuple(Fraction(int(e.p), int(e.q)) for e in derive("width-decay").step(f"{prefix}: exponents").equation.rhs)


@pytest.mark.parametrize(
    ("prefix", "kept"),
    [
        ("timescale", {"keep": ("feature_learning", "timescale_steps")}),
        ("observed", {"preset": "fan2025"}),
        ("noise", {"preset": "mup"}),
    ],
)
def test_the_rules_are_those_of_rescale(prefix, kept):
    found = em.rescale(RECIPE, width=4, **kept).exponents
    wanted = tuple(found.get(name, {}).get("width", Fraction(0)) for name in ("lr", "weight_decay"))
    assert exponents(prefix) == wanted


def test_fixed_decay_makes_the_timescale_as_much_longer_as_the_layer_is_wider():
    growth = derive("width-decay").function("timescale_growth")
    assert growth(decay_per_step=1e-9, width_factor=64) == pytest.approx(64, rel=1e-7)


def test_the_rule_of_mup_keeps_the_change_at_the_start():
    change = derive("alignment").function("change_at_start")
    changes = [change(inputs=n, lr=0.1 / n, init_std=n**-0.5) for n in (16, 1024)]
    assert changes == pytest.approx([0.1, 0.1])


def test_normalised_decay_is_that_of_rescale():
    found = em.rescale(RECIPE, dataset_size=4e6, keep=("lr", "normalised_decay")).recipe
    before, after = (recipe.timescale().peak.run_fraction for recipe in (RECIPE, found))
    assert after / before == pytest.approx(1 / 2)  # four times the steps
