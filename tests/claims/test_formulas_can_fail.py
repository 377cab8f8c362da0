"""Proofs and numeric forms come out refuted when a step or a form is wrong."""

from __future__ import annotations

import dataclasses

import pytest
from breaking import verdict

from ematheory import derivations
from ematheory.claims import Evidence, proof


@pytest.mark.parametrize("broken", [True, False])
def test_proof(monkeypatch, broken):
    whole = derivations.derive("adamw-ema")
    equation = whole.steps[1].equation
    wrong = whole.with_step(1, type(equation)(equation.lhs, 2 * equation.rhs))
    monkeypatch.setattr(derivations, "derive", lambda name: wrong if broken else whole)
    assert verdict(proof.proof("adamw-ema")("smoke")) == ("refuted" if broken else "confirmed")


def test_numeric_forms(monkeypatch):
    derivation = derivations.derive("constant-rate")
    assert verdict(Evidence(proof.formulas("constant-rate", 2))) == "confirmed"
    right = derivation.brute_force["half_life_steps"]
    wrong = {**derivation.brute_force, "half_life_steps": lambda point: right(point) * (1 + 1e-9)}
    monkeypatch.setattr(derivations, "derive", lambda name: dataclasses.replace(derivation, brute_force=wrong))
    assert verdict(Evidence(proof.formulas("constant-rate", 2))) == "refuted"


def test_numeric_forms_of_zero(monkeypatch):
    """A value that is 0 is judged by itself, and brute force's cancelled digits beside it are no error."""
    derivation = derivations.derive("constant-rate")
    found = {"half_life_steps": lambda point: 1e-54}
    zero = dataclasses.replace(derivation, brute_force={**derivation.brute_force, **found})
    monkeypatch.setattr(zero.__class__, "function", lambda self, result: Zero(self))
    assert proof.formula(zero, "half_life_steps", 2, 0).residual == 0
    monkeypatch.setattr(proof, "CANCELLED", 0.0)
    assert proof.formula(zero, "half_life_steps", 2, 0).residual > 1


class Zero:
    """A numeric form that is 0 everywhere."""

    words = {}

    def __init__(self, derivation):
        self.derivation = derivation

    def __call__(self, **values):
        return 0.0

    def condition(self, **values):
        return 1.0
