"""The derivation of conventions, beside what ematheory.conventions computes."""

import pytest

from ematheory.derivations import derive
from ematheory.derivations.equations import Equation
from ematheory.translation import translate


def test_the_derived_decay_is_what_conventions_translate_to():
    derived = derive("conventions").function("weight_decay")
    for independent, lr in ((1e-4, 1e-3), (0.3, 0.7), (1e-9, 1e-6)):
        translated = translate(independent, "torch.optim.AdamW", source="paper", lr=lr).weight_decay
        assert float(derived(independent_weight_decay=independent, lr=lr)) == pytest.approx(translated, rel=1e-15)


def test_decay_of_the_new_weight_does_not_leave_the_update_alone():
    derivation = derive("conventions")
    place = next(n for n, step in enumerate(derivation.steps) if step.label == "new weight")
    right = derivation.steps[place].equation
    unscaled = derivation.steps[place - 1].equation.rhs[0]
    assert derivation.check_step(place).passed
    assert not derivation.with_step(place, Equation(right.lhs, unscaled)).check_step(place).passed
