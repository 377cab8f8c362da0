"""Tracked bfloat16 weights and the decay that they lose."""

import numpy as np
import pytest
import torch
from tracked_loops import parameter, steps

import ematheory as em
from ematheory.training.tracking.low_precision import decay_lost_predicted

pytestmark = pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")


def test_complex_and_bfloat16_weights_are_measured():
    weights = [torch.nn.Parameter(torch.tensor([3 + 4j, 0])), parameter(9, dtype=torch.bfloat16)]
    optimizer = torch.optim.AdamW(weights, lr=0.1, weight_decay=1.0)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, 1)
    found = tracker.dataset()
    assert float(found.parameter_norm[0, 0]) == 5
    assert float(found.parameter_initial_weight_left_measured[1, 0]) == pytest.approx(0.9, rel=1e-6)


@pytest.mark.parametrize("weight_decay", [0.1, 0.25, 0.3, 0.5])
def test_the_decay_that_bfloat16_loses_is_what_the_step_did_not_move(weight_decay):
    weight = parameter(60, 60, dtype=torch.bfloat16)
    before = weight.detach().clone()
    optimizer = torch.optim.AdamW([weight], lr=0.01, weight_decay=weight_decay)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, 1)
    lost = float((weight.detach() == before).double().mean())
    last = tracker.dataset().isel(step=-1, group=0)
    # Measured on the weights after the step, predicted for log-uniform significands: a normal's nearly are.
    assert float(last.decay_lost_predicted) == pytest.approx(lost, abs=0.05)
    assert float(last.decay_lost) >= lost - 0.02
    assert ("bfloat16" in " ".join(tracker.warnings)) == (weight_decay < 0.4)


def test_what_bfloat16_loses_is_expected_of_each_significand():
    # Between the thresholds 128 and all that are more than 1/(2ηλ) move; 1/(2·0.00278) is 179.9.
    stays = np.arange(129, 180)
    assert decay_lost_predicted(0.00278) == pytest.approx(np.log2((stays + 1) / stays).sum(), rel=1e-12)


def test_a_fused_step_has_no_decay_of_its_own_to_lose():
    optimizer = torch.optim.AdamW([parameter(9, dtype=torch.bfloat16)], lr=0.01, weight_decay=0.1, fused=True)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, 1)
    assert np.isnan(tracker.dataset().decay_lost[-1, 0])
