"""What a tracker says is left of the initial weights: exact where decay acts alone, for every optimizer it knows."""

import importlib.util
from fractions import Fraction

import numpy as np
import pytest
import torch
from tracked_loops import falling, parameter, steps, white

import ematheory as em
from ematheory.conventions import CORRECTED, INDEPENDENT, L2, NO_LAMBDA, PER_LR
from ematheory.running_products import shrunk
from ematheory.training.tracking.meaning import CLASSES, meaning, of_record

pytestmark = pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")


# What is left of the start, exactly: without gradients decay acts alone.
DECAYING = {
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.7),
    "AdamW foreach": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.7, foreach=True),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.7, fused=True),
    "AdamW tensor lr": lambda p: torch.optim.AdamW(p, lr=torch.tensor(0.02, dtype=torch.float64), weight_decay=0.7),
    "Adam marked": lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=0.7, decoupled_weight_decay=True),
    "NAdam marked": lambda p: torch.optim.NAdam(p, lr=0.02, weight_decay=0.7, decoupled_weight_decay=True),
    "RAdam marked": lambda p: torch.optim.RAdam(p, lr=0.02, weight_decay=0.7, decoupled_weight_decay=True),
    "Muon": lambda p: torch.optim.Muon(p, lr=0.02, weight_decay=0.7),
    "Adafactor": lambda p: torch.optim.Adafactor(p, lr=0.02, weight_decay=0.7),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.02, weight_decay=0.7),
    "SGD momentum": lambda p: torch.optim.SGD(p, lr=0.02, weight_decay=0.7, momentum=0.8),
    "SGD Nesterov": lambda p: torch.optim.SGD(p, lr=0.02, weight_decay=0.7, momentum=0.8, nesterov=True),
    "SGD record": lambda p: em.training.RecordOptimizer(p, em.SGD(lr=0.02, weight_decay=0.7, momentum=0.8)),
    "SGD record, Nesterov": lambda p: em.training.RecordOptimizer(
        p, em.SGD(lr=0.02, weight_decay=0.7, momentum=0.8, nesterov=True)
    ),
    "SGD record per LR": lambda p: em.training.RecordOptimizer(
        p, em.SGD(lr=0.02, weight_decay=0.7, momentum=0.8, decay="per_lr")
    ),
    "Lion record": lambda p: em.training.RecordOptimizer(p, em.Lion(lr=0.02, weight_decay=0.7)),
    "Adam without decay": lambda p: torch.optim.Adam(p, lr=0.02),
}


@pytest.mark.parametrize("kind", DECAYING)
def test_without_gradients_what_is_left_is_exactly_what_was_predicted(kind):
    optimizer = DECAYING[kind]([parameter(6, 5), parameter(4, 9, seed=2)])
    with em.track(optimizer, every=7) as tracker:
        steps(optimizer, 70, schedule=falling(optimizer, 70))
    found = tracker.dataset()
    np.testing.assert_allclose(found.initial_weight_left_measured, found.initial_weight_left, rtol=1e-12)
    np.testing.assert_allclose(
        found.parameter_initial_weight_left_measured, found.parameter_initial_weight_left, rtol=1e-12
    )
    assert (float(found.initial_weight_left[-1, 0]) < 0.8) == (kind != "Adam without decay")


def composer(parameters):
    from tests.frameworks.installed import composer as make

    return make(parameters, lr=0.02, weight_decay=0.014)


def timm_corrected(parameters):
    from tests.frameworks.installed import without_package

    with without_package("timm", "timm.optim"):
        from timm.optim.adamw import AdamWLegacy
    return AdamWLegacy(parameters, lr=0.02, weight_decay=0.7, corrected_weight_decay=True)


def transformers_legacy(parameters):
    from transformers.optimization import AdamW

    return AdamW(parameters, lr=0.02, weight_decay=0.7, no_deprecation_warning=True)


@pytest.mark.parametrize(
    ("package", "make", "word"),
    [
        ("composer", composer, "independent"),
        ("timm", timm_corrected, "corrected"),
        ("transformers", transformers_legacy, "per_lr"),
    ],
)
def test_other_packages_decay_as_their_conventions_say(package, make, word):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    optimizer = make([parameter(6, 5)])
    assert meaning(optimizer, optimizer.param_groups[0]).words() == word
    with em.track(optimizer, every=10) as tracker:
        steps(optimizer, 40, schedule=falling(optimizer, 40))
    found = tracker.dataset()
    np.testing.assert_allclose(found.initial_weight_left_measured, found.initial_weight_left, rtol=1e-12)
    assert 0 < float(found.initial_weight_left[-1, 0]) < 0.9


def test_every_known_class_has_a_meaning_that_can_be_told():
    for found in CLASSES.values():
        assert found.multiplies in NO_LAMBDA or found.decay_per_step(0.1, 0.01) > 0


def test_a_sample_of_coordinates_is_within_its_error():
    optimizer = torch.optim.AdamW([parameter(300, 300)], lr=0.01, weight_decay=1.0)
    with em.track(optimizer, every=50, sample=2000) as tracker:
        steps(optimizer, 50, white())
    found = tracker.dataset().isel(step=-1, group=0)
    off = float(found.initial_weight_left_measured - found.initial_weight_left)
    assert 0 < abs(off) < 5 * float(found.initial_weight_left_measured_sem)
    assert tracker.memory_bytes <= 2000 * 16


def test_tensors_that_start_at_zero_say_nothing_of_the_rest():
    optimizer = torch.optim.AdamW([parameter(50), parameter(7, scale=0.0)], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=5, sample=20) as tracker:
        steps(optimizer, 5)
    last = tracker.dataset().isel(step=-1)
    assert float(last.initial_weight_left_measured[0]) == pytest.approx(0.95**5)
    assert float(last.initial_weight_left_measured_sem[0]) == pytest.approx(0, abs=1e-12)
    assert np.isnan(last.parameter_initial_weight_left_measured[1])


def test_a_records_words_have_their_meaning():
    after = of_record(em.AdamW(lr=0.1, decay_order="after", eps_placement="uncorrected"))
    assert (after.multiplies, after.order, after.epsilon) == (PER_LR, "after", "uncorrected")
    assert of_record(em.Lion(lr=0.1, decay="corrected")).multiplies == CORRECTED
    assert of_record(em.SGD(lr=0.1, decay="independent")).multiplies == INDEPENDENT
    assert of_record(em.SGD(lr=0.1)).multiplies == L2
    assert of_record(em.Lion(lr=0.1, decay="cautious")) is None


def test_a_long_product_is_exact_to_the_last_bit():
    kept, exact = (1.0, 0.0), Fraction(1)
    for k in range(3000):
        share = 0.01 * (1 - k / 4000)
        kept, exact = shrunk(*kept, share), exact * (1 - Fraction(share))
    assert kept[0] == float(exact)
    assert abs(Fraction(kept[0]) + Fraction(kept[1]) - exact) < exact * 2**-90
