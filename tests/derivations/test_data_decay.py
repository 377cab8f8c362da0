"""The data axis in numbers: the derived λ is that of the power law, of `timescale` and of `rescale`'s presets."""

import pytest

import ematheory as em
from ematheory.derivations import derive
from ematheory.power_laws import POWER_LINES

GIVEN = {"lr": 1e-3, "batch_size": 1e5, "tokens": 2e9, "parameters": 1e8}


def of_law(**changed):
    law = {"law_coefficient": POWER_LINES.coefficient, "law_exponent": -POWER_LINES.exponent}
    return derive("data-decay").function()(**{**GIVEN, **changed}, **law)


def recipe(decay, **changed):
    values = {**GIVEN, **changed}
    return em.Recipe(
        lr=values["lr"], weight_decay=decay, batch_size=values["batch_size"], dataset_size=values["tokens"],
        parameters=values["parameters"], unit="tokens",
    )  # fmt: skip


def test_its_timescale_is_that_of_the_power_law():
    found = recipe(of_law()).timescale().peak.run_fraction
    assert found == pytest.approx(POWER_LINES.run_fraction(20.0), rel=1e-12)


@pytest.mark.parametrize("changed", [{"batch_size": 4e5}, {"tokens": 8e9}, {"parameters": 4e8}])
def test_the_preset_follows_it(changed):
    """Up to the finite form 1 − ηλ → (1 − ηλ)^κ of the preset."""
    before, (name, value) = of_law(), next(iter(changed.items()))
    to = {"dataset_size" if name == "tokens" else name: value}
    found = em.rescale(recipe(before), preset="power-lines", **to).recipe.weight_decay
    assert found == pytest.approx(of_law(**changed), rel=1e-3)


def test_the_square_root_of_the_batch_is_that_of_nanochat():
    found = em.rescale(recipe(0.1), preset="nanochat", batch_size=4e5, dataset_size=4e9).exponents
    assert found["weight_decay"] == {"batch_size": 1 / 2, "dataset_size": -1}
    rules = {step.label: step.equation.rhs for step in derive("data-decay").steps}
    assert tuple(map(float, rules["square root of B: exponents"])) == (0.5, 0.5)
    assert tuple(rules["one η, D: exponents"]) == (0, -1)
