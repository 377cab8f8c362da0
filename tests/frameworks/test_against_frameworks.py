"""translate() against the installed frameworks: their own optimizers, given the translated λ, keep the weights."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from installed import FRAMEWORKS, Run, mlx, optax, torch_like, transformers

import ematheory as em
from ematheory.conventions import CONVENTIONS, convention
from ematheory.optimizers.optimizer import SymbolicTime

STEPS, SIZE = 20, 16
LR, DECAY, BETAS, EPS = 0.05, 0.4, (0.9, 0.97), 1e-3
SCHEDULE = em.Cosine(final=0.1, warmup_steps=4)
NOISE = np.random.default_rng(0).normal(size=(STEPS, SIZE))
START = np.random.default_rng(1).normal(size=SIZE)


def gradient(step, weight):
    """Noise and a pull, so that weights that part once part for good."""
    return NOISE[step - 1] + 0.3 * weight


def ours(eps):
    """torch.optim.AdamW's convention by the record's own update, with ε_k of step k."""
    record = em.AdamW(lr=LR, weight_decay=DECAY, betas=BETAS, eps=EPS)
    state, seen = record.initial(np, START.copy()), []
    for k, multiplier in enumerate(SCHEDULE.multipliers(STEPS), 1):
        now = record.substituted(eps=eps(k))
        time = SymbolicTime(step=k, lr=LR * multiplier, weight_decay=DECAY, multiplier=multiplier)
        state = record.update(np, state, gradient(k, state.weight), now.coefficients(np, time))
        seen.append(state.weight)
    return np.array(seen)


def run_of(found, multipliers):
    lr = found.lr if np.ndim(found.lr) else found.lr * multipliers
    return Run(START.copy(), gradient, lr, np.broadcast_to(found.weight_decay, lr.shape), BETAS, EPS)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_translated_decay_keeps_the_weights(name):
    found = em.translate(DECAY, name, lr=LR, schedule=SCHEDULE, steps=STEPS)
    theirs = np.array(FRAMEWORKS[name](run_of(found, SCHEDULE.multipliers(STEPS))))
    # The framework's one ε stands where it puts it; ours follows.
    back = em.translate(DECAY, "torch.optim.AdamW", source=name, lr=LR, schedule=SCHEDULE, steps=STEPS)
    expected = ours(lambda k: back.eps_at(EPS, k, BETAS[1]))
    precision = 2e-6 if name == "mlx.AdamW" else 1e-13
    assert np.abs(theirs - expected).max() <= precision * np.abs(expected).max()
    assert convention(name).checked == "run"


def by_record(record):
    """The weights after each step by a record's own coefficients and update."""
    state, seen = record.initial(np, START.copy()), []
    for k, multiplier in enumerate(SCHEDULE.multipliers(STEPS), 1):
        time = SymbolicTime(step=k, lr=LR * multiplier, weight_decay=DECAY, multiplier=multiplier)
        state = record.update(np, state, gradient(k, state.weight), record.coefficients(np, time))
        seen.append(state.weight)
    return np.array(seen)


# A record's own words, with a framework that means the same by the same numbers.
WORDS = {
    "optax's eps_root": (
        {"eps_placement": "inside"},
        lambda run: optax(dataclasses.replace(run, eps=0.0), eps_root=EPS),
    ),
    "keras's epsilon": ({"eps_placement": "uncorrected"}, FRAMEWORKS["keras.optimizers.AdamW"]),
    "transformers": ({"eps_placement": "uncorrected", "decay_order": "after"}, FRAMEWORKS["transformers.AdamW"]),
    "transformers, correct_bias=False": (
        {"bias_correction": False, "decay_order": "after"},
        torch_like(functools.partial(transformers, correct_bias=False)),
    ),
    "mlx, its default": ({"bias_correction": False}, functools.partial(mlx, bias_correction=False)),
    "timm, corrected": ({"decay": "corrected"}, FRAMEWORKS["timm.AdamW(corrected_weight_decay=True)"]),
    "composer": ({"decay": "independent"}, FRAMEWORKS["composer.DecoupledAdamW"]),
}


@pytest.mark.parametrize("name", WORDS)
def test_a_records_words_are_the_frameworks(name):
    words, framework = WORDS[name]
    given = {"lr": LR, "weight_decay": DECAY, "betas": BETAS, "eps": EPS}
    run = Run(START.copy(), gradient, LR * SCHEDULE.multipliers(STEPS), np.full(STEPS, DECAY), BETAS, EPS)
    theirs = np.array(framework(run))
    expected, plain = by_record(em.AdamW(**given, **words)), by_record(em.AdamW(**given))
    precision = 2e-6 if name.startswith("mlx") else 1e-13
    assert np.abs(theirs - expected).max() <= precision * np.abs(expected).max()
    assert np.abs(plain - expected).max() > 1e-4


@pytest.mark.parametrize("name", ["composer.DecoupledAdamW", "timm.AdamW(corrected_weight_decay=True)"])
def test_the_untranslated_number_does_not(name):
    found = em.translate(DECAY, "torch.optim.AdamW", lr=LR)
    rates = LR * SCHEDULE.multipliers(STEPS)
    theirs = np.array(FRAMEWORKS[name](Run(START.copy(), gradient, rates, np.full(STEPS, DECAY), BETAS, EPS)))
    assert found.weight_decay == DECAY
    assert np.abs(theirs - ours(lambda k: EPS)).max() > 0.01


def test_decay_after_the_step_with_the_same_numbers_is_off_by_the_decay_per_step():
    rates = LR * SCHEDULE.multipliers(STEPS)
    run = Run(START.copy(), gradient, rates, np.full(STEPS, DECAY), BETAS, EPS)
    theirs = np.array(FRAMEWORKS["transformers.AdamW"](run))
    expected = ours(lambda k: convention("transformers").eps_outside(EPS, k, BETAS[1]))
    assert 1e-4 < np.abs(theirs - expected).max() < LR * DECAY * np.abs(expected).max()


def test_muadamw_keeps_the_decay_per_step_at_any_width():
    import mup

    base, wide = torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(32, 32, bias=False)
    mup.set_base_shapes(wide, base, delta=torch.nn.Linear(16, 16, bias=False))
    group = mup.MuAdamW(wide.parameters(), lr=LR, weight_decay=DECAY).param_groups[0]
    assert group["lr"] == LR / 4
    assert group["lr"] * group["weight_decay"] == LR * DECAY


def shrunk(make, shape, gradient):
    """What one step at zero rate of change leaves of the weight: the gradient is chosen so that the update is 0."""
    weight = torch.full(shape, 2.0, dtype=torch.float64)
    weight.grad = gradient(weight)
    optimizer = make([weight])
    optimizer.step()
    return weight


def test_muon_decays_with_the_rate_as_given():
    def make(parameters):
        return torch.optim.Muon(parameters, lr=LR, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")

    weight = shrunk(make, (4, 16), torch.zeros_like)
    np.testing.assert_allclose(weight.numpy(), 2 * (1 - LR * DECAY), rtol=1e-15)


@pytest.mark.parametrize(("shape", "share"), [((4, 64), 0.1), ((64,), 1.0)])
def test_adamp_scales_its_decay_where_it_detects(shape, share):
    from adamp import AdamP

    weight = shrunk(lambda p: AdamP(p, lr=LR, weight_decay=DECAY, wd_ratio=0.1), shape, torch.zeros_like)
    np.testing.assert_allclose(weight.numpy(), 2 * (1 - LR * DECAY * share), rtol=1e-15)


def test_sgdp_divides_its_decay_by_one_minus_the_momentum():
    from adamp import SGDP

    weight = shrunk(lambda p: SGDP(p, lr=LR, weight_decay=DECAY, momentum=0.9), (64,), torch.zeros_like)
    np.testing.assert_allclose(weight.numpy(), 2 * (1 - LR * DECAY / (1 - 0.9)), rtol=1e-12)


def test_every_record_that_says_run_is_run_here_or_in_the_tests_of_torch():
    elsewhere = {
        "torch.optim.Adam", "torch.optim.SGD", "torch.optim.Muon", "adamp.AdamP", "adamp.SGDP", "mup.MuAdamW",
    }  # fmt: skip
    assert {name for name, row in CONVENTIONS.items() if row.checked == "run"} == set(FRAMEWORKS) | elsewhere
