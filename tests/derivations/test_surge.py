"""The surge of the best learning rate: its shape against the published form, and where it ends."""

import math

import numpy as np
import pytest
import sympy as sp

from ematheory.derivations import derive
from ematheory.derivations.evaluation import evaluate


def test_it_is_largest_at_the_noise_batch_and_the_same_on_both_sides():
    ratios = np.geomspace(1e-6, 1e6, 25)
    factors = derive("surge").function("lr_factor")(batch_ratio=ratios)
    assert ratios[factors.argmax()] == pytest.approx(1)
    assert factors.max() == 1
    assert factors == pytest.approx(factors[::-1])
    assert factors == pytest.approx(2 / (ratios**0.5 + ratios**-0.5))


def test_sgd_is_half_way_at_its_noise_batch():
    factors = derive("surge").function("sgd_lr_factor")(batch_ratio=np.array([1e-9, 1.0, 1e9]))
    assert factors == pytest.approx([1e-9, 0.5, 1])


def test_gaussian_signs_end_the_fall():
    """With erf in place of its first term the best η is constant once signs are certain."""
    coordinates, signal = 100, 0.01

    def best(batch):
        mean = math.erf(math.sqrt(batch / 2) * signal)
        return coordinates * mean / (coordinates + coordinates * (coordinates - 1) * mean**2)

    assert best(100) > best(10)
    assert best(100) > best(10_000)
    assert best(1e6) == pytest.approx(best(1e8)) == pytest.approx(1 / coordinates)


def test_the_error_function_has_a_value():
    assert float(evaluate(sp.erf(sp.Rational(1, 2)), {})) == math.erf(0.5)
