"""Muon's bound: the signs that the derivation states, and the iteration on matrices."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import sympy as sp

from ematheory.derivations.muon_bound import ITERATIONS, A, B, C, cubic, first, largest, value


def test_the_cubic_is_positive_between_zero_and_the_largest_value() -> None:
    peak = sp.sqrt(first)
    bent = sp.diff(cubic(value, peak), value, 2)
    assert bent.subs(value, 0).is_negative
    assert sp.diff(bent, value).is_negative  # so Q'' < 0 for every s > 0, and Q is above its lower end
    assert sp.N(cubic(sp.Integer(0), peak), 30) > 0
    assert sp.N(cubic(largest, peak), 30) > 0


def test_singular_values_of_matrices_stay_below_it_and_come_near() -> None:
    bound, rng, seen = float(largest), np.random.default_rng(0), 0.0
    a, b, c = float(A), -float(B), float(C)
    for _ in range(200):
        x = rng.normal(size=(6, 9)) * np.exp(rng.normal(size=(6, 1)) * 2)
        x /= np.linalg.norm(x)
        for _ in range(ITERATIONS):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        seen = max(seen, float(np.linalg.norm(x, 2)))
    assert 1.19 < seen <= bound * (1 + 1e-12)


def test_the_coefficients_are_torchs() -> None:
    muon = pytest.importorskip("torch").optim.Muon
    defaults = inspect.signature(muon.__init__).parameters
    assert defaults["ns_coefficients"].default == (float(A), -float(B), float(C))
    assert defaults["ns_steps"].default == ITERATIONS
