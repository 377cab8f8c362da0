"""A tracker's options, and how wrong use of it is refused."""

import pytest
import torch
from tracked_loops import parameter

import ematheory as em
from ematheory.training import tracking

pytestmark = pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")


@pytest.mark.parametrize(
    ("steps_", "every", "expected"), [(None, None, 100), (5000, None, 50), (300, None, 20), (300, 7, 7)]
)
def test_the_default_interval(steps_, every, expected):
    tracker = em.track(torch.optim.AdamW([parameter(5)]), steps=steps_, every=every)
    assert tracker.settings.interval == expected


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"steps": 0}, ValueError, "steps"),
        ({"every": 1.5}, TypeError, "every must be a whole number"),
        ({"decay": "per-lr"}, ValueError, "did you mean 'per_lr'"),
        ({"steps_per_epoch": -1.0}, ValueError, "steps_per_epoch"),
        ({"out": 3}, TypeError, "out must be the path"),
        ({"out": "no/such/folder/run.jsonl"}, ValueError, "does not exist"),
        ({"names": ["a"]}, TypeError, "names must be a module"),
    ],
)
def test_wrong_options(given, error, words):
    with pytest.raises(error, match=words):
        em.track(torch.optim.AdamW([parameter(5)]), **given)


def test_what_is_no_torch_optimizer_is_refused():
    with pytest.raises(TypeError, match=r"needs a torch\.optim\.Optimizer, got AdamW"):
        em.track(em.AdamW(lr=0.1))


def test_a_dataset_before_the_first_step_is_refused():
    with pytest.raises(ValueError, match="first step"):
        em.track(torch.optim.AdamW([parameter(5)])).dataset()


def test_the_face_lists_its_parts():
    assert set(dir(tracking)) >= {"track", "read", "dataset", "huggingface", "lightning", "tensorboard"}
    with pytest.raises(AttributeError, match="it has"):
        tracking.nothing  # noqa: B018
