"""Vertices of parabolas and bootstrapped errors against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ematheory.claims.valleys import bootstrapped, slope, vertex

LOGS = np.linspace(-3, 3, 9)


@settings(deadline=None)
@given(place=st.floats(-2.2, 2.2), curvature=st.floats(0.1, 10), least=st.floats(-5, 5))
def test_the_vertex_of_a_parabola_is_found(place, curvature, least):
    assert vertex(LOGS, least + curvature * (LOGS - place) ** 2) == pytest.approx(place, abs=1e-6)


@pytest.mark.parametrize("losses", [LOGS, -LOGS, -((LOGS - 0.1) ** 2), np.full(9, np.nan), np.zeros(9)])
def test_a_grid_without_a_valley_has_no_vertex(losses):
    assert np.isnan(vertex(LOGS, losses))


def test_a_steep_side_does_not_pull_the_vertex_out_of_its_window():
    losses = np.where(LOGS > 0.5, 100.0, LOGS**2)
    assert np.isnan(vertex(LOGS, losses)) or abs(vertex(LOGS, losses)) < 1.5


def test_the_error_is_that_of_a_mean():
    samples = np.random.default_rng(0).normal(size=(50, 3))
    found, errors = bootstrapped(samples, lambda mean: mean)
    np.testing.assert_allclose(found, samples.mean(axis=0))
    # The bootstrap's own error is some 1/√(2·2000) beside the sampling one.
    np.testing.assert_allclose(errors, samples.std(axis=0) / np.sqrt(50), rtol=0.06)


def test_what_seeds_share_cancels():
    shared = np.random.default_rng(1).normal(size=(8, 1)) + np.array([0.0, 2.0])
    found, errors = bootstrapped(shared, lambda mean: mean[1] - mean[0])
    assert found == pytest.approx(2)
    assert errors < 1e-12


def test_one_draw_without_an_answer_leaves_no_error():
    samples = np.array([[1.0], [np.nan]])
    assert np.isnan(bootstrapped(samples, lambda mean: mean)[1]).all()


def test_the_slope_of_a_line():
    assert slope(LOGS, 3 - 0.5 * LOGS) == pytest.approx(-0.5)
