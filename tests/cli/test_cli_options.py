"""How nouns are written on the command line, and what is said when they are written wrong."""

from __future__ import annotations

import pytest

import ematheory as em
from ematheory.cli import VERBS, application, options


def test_every_verb_has_its_file():
    assert {command.name for command in application().registered_commands} == set(VERBS)


def test_optimizers():
    assert options.optimizer("adamw", lr="1e-3", weight_decay="0.1", beta1=None) == em.AdamW(1e-3, weight_decay=0.1)
    assert options.optimizer("sgd", True, "per_lr", lr="0.1", momentum="0.9") == em.SGD(
        0.1, momentum=0.9, nesterov=True, decay="per_lr"
    )
    assert options.optimizer("adamw", lr="1e-3,1e-2").lr.dims == ("lr",)


def test_schedules():
    assert options.schedule("cosine", final=0.1, warmup=None) == em.Cosine(final=0.1)
    assert options.schedule("harmonic", harmonic_timescale=0.2, final=None) == em.Harmonic(timescale=0.2)
    assert options.schedule("wsd", decay_share=0.3, shape="sqrt") == em.WSD(decay=0.3, shape="sqrt")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: options.optimizer("adamax", lr="1"),
            "--optimizer must be one of 'adamw', 'adam', 'sgd', 'adamc', .* got 'adamax'",
        ),
        (
            lambda: options.optimizer("sgd", lr="0.1", beta1="0.9"),
            "--optimizer sgd has no --beta1; it takes --lr, --momentum",
        ),
        (
            lambda: options.optimizer("adamw", lr="0.1x"),
            "--lr must be a number or numbers joined by commas, got '0.1x'",
        ),
        (lambda: options.optimizer("adamw", lr="-1"), "lr must be finite and > 0, got -1"),
        (lambda: options.schedule("cosin"), "--schedule must be one of 'constant'"),
        (lambda: options.schedule("linear", rate=2.0), "--schedule linear has no --rate"),
    ],
)
def test_wrong_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
