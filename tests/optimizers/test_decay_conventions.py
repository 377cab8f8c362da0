"""Every convention of decay, ε and bias correction against plain loops that are written here, under schedules."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory.optimizers import Optimizer
from ematheory.optimizers.decay import decay_per_step
from ematheory.optimizers.optimizer import SymbolicTime
from ematheory.results import text
from ematheory.simulation import arrays
from ematheory.simulation.clock import Clock

Array = np.ndarray[Any, Any]
STEPS, WEIGHTS = 30, 24
LR, DECAY, BETA1, BETA2, EPS = 0.05, 0.7, 0.8, 0.95, 0.03
RATE = em.Cosine(final=0.1, warmup=0.2).multipliers(STEPS)
OF_DECAY = em.Linear(final=0.5).multipliers(STEPS)
# 30 steps of about twenty operations on weights near 1.
CLOSE = 30 * 20 * float(np.finfo(np.float64).eps)
KINDS = ("per_lr", "independent", "corrected", "cautious")
COMMON: dict[str, Any] = {"lr": LR, "weight_decay": DECAY}
ADAM = {**COMMON, "betas": (BETA1, BETA2), "eps": EPS}


def noise() -> Array:
    return np.random.default_rng(7).normal(size=(STEPS, WEIGHTS))


def start() -> Array:
    return np.random.default_rng(8).normal(size=WEIGHTS)


def by_record(record: Optimizer) -> Array:
    """The weights after each step by the record's own functions; the gradient is noise and a pull."""
    block, _ = Clock(record, 1, STEPS, RATE, OF_DECAY).block(0, STEPS)
    state, weights = record.initial(np, start()), []
    for k, drawn in enumerate(noise()):
        c = record.Coefficients(*block[0, k])
        gradient = drawn + 0.3 * record.point(arrays, state, c)
        state = record.update(arrays, state, gradient, c)
        weights.append(state.weight)
    return np.array(weights)


def share(decay: str, k: int) -> float:
    """α of update k = 0, 1, …, as the papers write it."""
    rate, lam = LR * RATE[k], DECAY * OF_DECAY[k]
    return float({"independent": RATE[k] * lam, "corrected": rate * rate / LR * lam}.get(decay, rate * lam))


def loop(step_of: Callable[[int, Array, Array], Array], decay: str, order: str = "before") -> Array:
    """w under the steps −`step_of(k, g, w)`, decayed as the words say."""
    w, seen = start(), []
    for k, drawn in enumerate(noise()):
        step = step_of(k, drawn + 0.3 * w, w)
        alpha: Any = share(decay, k)
        if decay == "cautious":
            alpha = np.array([alpha if u * old >= 0 else 0.0 for u, old in zip(step, w, strict=True)])
        w = (1 - alpha) * (w - step) if order == "after" else (1 - alpha) * w - step
        seen.append(w)
    return np.array(seen)


def adam_steps(bias_correction: bool = True, eps_placement: str = "outside") -> Callable[[int, Array, Array], Array]:
    m, v = np.zeros(WEIGHTS), np.zeros(WEIGHTS)

    def step(k: int, g: Array, _: Array) -> Array:
        nonlocal m, v
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g * g
        first = 1 - BETA1 ** (k + 1) if bias_correction else 1.0
        second = 1 - BETA2 ** (k + 1) if bias_correction else 1.0
        if eps_placement == "uncorrected":
            # TensorFlow's: the corrections go into the rate, and ε stands beside √v.
            return np.asarray(LR * RATE[k] * np.sqrt(second) / first * m / (np.sqrt(v) + EPS))
        root = np.sqrt(v / second + EPS) if eps_placement == "inside" else np.sqrt(v / second) + EPS
        return np.asarray(LR * RATE[k] * (m / first) / root)

    return step


def momentum_steps(nesterov: bool) -> Callable[[int, Array, Array], Array]:
    m = np.zeros(WEIGHTS)

    def step(k: int, g: Array, _: Array) -> Array:
        nonlocal m
        m = 0.6 * m + g
        return np.asarray(LR * RATE[k] * (g + 0.6 * m if nesterov else m))

    return step


def sign_steps(of_lion: bool) -> Callable[[int, Array, Array], Array]:
    m = np.zeros(WEIGHTS)

    def step(k: int, g: Array, _: Array) -> Array:
        nonlocal m
        if not of_lion:
            m = BETA1 * m + (1 - BETA1) * g
            return np.asarray(LR * RATE[k] * np.sign(m))
        direction = np.sign(BETA1 * m + (1 - BETA1) * g)
        m = BETA2 * m + (1 - BETA2) * g
        return np.asarray(LR * RATE[k] * direction)

    return step


def ademamix_steps() -> Callable[[int, Array, Array], Array]:
    m, v, slow = np.zeros(WEIGHTS), np.zeros(WEIGHTS), np.zeros(WEIGHTS)

    def step(k: int, g: Array, _: Array) -> Array:
        nonlocal m, v, slow
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g * g
        slow = 0.99 * slow + (1 - 0.99) * g
        root = np.sqrt(v / (1 - BETA2 ** (k + 1))) + EPS
        return np.asarray(LR * RATE[k] * (m / (1 - BETA1 ** (k + 1)) + 5.0 * slow) / root)

    return step


def nadam_steps() -> Callable[[int, Array, Array], Array]:
    m, v, product = np.zeros(WEIGHTS), np.zeros(WEIGHTS), 1.0

    def step(k: int, g: Array, _: Array) -> Array:
        nonlocal m, v, product
        now, then = (BETA1 * (1 - 0.5 * 0.96 ** (place * 4e-3)) for place in (k + 1, k + 2))
        product *= now
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g * g
        root = np.sqrt(v / (1 - BETA2 ** (k + 1))) + EPS
        return np.asarray(LR * RATE[k] * ((1 - now) * g / (1 - product) + then * m / (1 - product * then)) / root)

    return step


OF_KINDS: dict[str, tuple[Callable[..., Optimizer], Callable[[], Callable[[int, Array, Array], Array]]]] = {
    "AdamW": (lambda **words: em.AdamW(**ADAM, **words), adam_steps),
    "SGD": (lambda **words: em.SGD(momentum=0.6, **COMMON, **words), lambda: momentum_steps(False)),
    "Lion": (lambda **words: em.Lion(betas=(BETA1, BETA2), **COMMON, **words), lambda: sign_steps(True)),
    "SignSGD": (lambda **words: em.SignSGD(momentum=BETA1, **COMMON, **words), lambda: sign_steps(False)),
    "AdEMAMix": (lambda **words: em.AdEMAMix(beta3=0.99, **ADAM, **words), ademamix_steps),
    "NAdam": (lambda **words: em.NAdam(**ADAM, **words), nadam_steps),
}


def assert_close(ours: Array, expected: Array) -> None:
    assert np.abs(ours - expected).max() <= CLOSE * np.abs(expected).max()


@pytest.mark.parametrize("decay", KINDS)
@pytest.mark.parametrize("name", OF_KINDS)
def test_each_kind_of_decay(name: str, decay: str) -> None:
    make, steps = OF_KINDS[name]
    assert_close(by_record(make(decay=decay)), loop(steps(), decay))


@pytest.mark.parametrize("name", OF_KINDS)
def test_the_kinds_are_not_each_other(name: str) -> None:
    """What the tolerance is worth: another word is many orders further off."""
    make, _ = OF_KINDS[name]
    ends = [by_record(make(decay=decay))[-1] for decay in KINDS]
    assert min(np.abs(a - b).max() for i, a in enumerate(ends) for b in ends[:i]) > 1e-3


@pytest.mark.parametrize("decay", ["independent", "corrected"])
def test_nesterov_takes_them_too(decay: str) -> None:
    record = em.SGD(momentum=0.6, nesterov=True, decay=decay, **COMMON)
    assert record.variant == "sgd_per_lr_nesterov"
    assert_close(by_record(record), loop(momentum_steps(True), decay))


@pytest.mark.parametrize("decay", ["per_lr", "independent", "corrected"])
def test_schedule_free_adamw_decays_at_its_point(decay: str) -> None:
    average = iterate = start()
    v, seen = np.zeros(WEIGHTS), []
    for k, drawn in enumerate(noise()):
        point = BETA1 * average + (1 - BETA1) * iterate
        g = drawn + 0.3 * point
        v = BETA2 * v + (1 - BETA2) * g * g
        iterate = iterate - share(decay, k) * point - LR * RATE[k] * g / (np.sqrt(v / (1 - BETA2 ** (k + 1))) + EPS)
        average = average + (iterate - average) / (k + 1)
        seen.append(average)
    assert_close(by_record(em.ScheduleFreeAdamW(decay=decay, **ADAM)), np.array(seen))


@pytest.mark.parametrize("decay", ["per_lr", "independent", "corrected"])
def test_adamp_that_detects_nothing_is_adamw(decay: str) -> None:
    ours = by_record(em.AdamP(decay=decay, delta=0.0, **ADAM))
    np.testing.assert_array_equal(ours, by_record(em.AdamW(decay=decay, **ADAM)))


@pytest.mark.parametrize("decay", ["per_lr", "independent", "corrected"])
def test_adamp_s_ratio_is_of_the_decay_per_step(decay: str) -> None:
    """Where everything is detected the decay is `wd_ratio` of itself; λ is what the ratio makes of it elsewhere."""
    ours = by_record(em.AdamP(decay=decay, delta=1e3, wd_ratio=0.25, **ADAM))
    quarter = by_record(em.AdamP(decay=decay, delta=1e3, wd_ratio=1.0, **{**ADAM, "weight_decay": DECAY / 4}))
    assert_close(ours, quarter)


@pytest.mark.parametrize("decay", ["per_lr", "independent", "corrected"])
@pytest.mark.parametrize("eps_placement", ["outside", "inside", "uncorrected"])
@pytest.mark.parametrize("bias_correction", [True, False])
@pytest.mark.parametrize("decay_order", ["before", "after"])
def test_adamw_in_every_combination(bias_correction: bool, eps_placement: str, decay_order: str, decay: str) -> None:
    words: dict[str, Any] = {
        "decay": decay, "bias_correction": bias_correction, "eps_placement": eps_placement, "decay_order": decay_order,
    }  # fmt: skip
    if eps_placement == "inside" and decay_order == "after":
        with pytest.raises(ValueError, match="no update with eps_placement='inside' and decay_order='after'"):
            em.AdamW(**ADAM, **words)
        return
    ours = by_record(em.AdamW(**ADAM, **words))
    assert_close(ours, loop(adam_steps(bias_correction, eps_placement), decay, decay_order))


@pytest.mark.parametrize("words", [{"bias_correction": False}, {"eps_placement": "uncorrected"}])
def test_cautious_decay_goes_with_what_only_coefficients_say(words: dict[str, Any]) -> None:
    record = em.AdamW(decay="cautious", **ADAM, **words)
    assert record.variant == "adamw_cautious"
    assert_close(by_record(record), loop(adam_steps(**words), "cautious"))


def test_the_three_placements_and_the_correction_are_not_each_other() -> None:
    ends = [by_record(em.AdamW(eps_placement=each, **ADAM))[-1] for each in ("outside", "inside", "uncorrected")]
    ends.append(by_record(em.AdamW(bias_correction=False, **ADAM))[-1])
    ends.append(by_record(em.AdamW(decay_order="after", **ADAM))[-1])
    assert min(np.abs(a - b).max() for i, a in enumerate(ends) for b in ends[:i]) > 1e-3


def test_without_correction_there_is_no_uncorrected_root_apart() -> None:
    records = [em.AdamW(bias_correction=False, eps_placement=each, **ADAM) for each in ("outside", "uncorrected")]
    np.testing.assert_array_equal(*map(by_record, records))


def test_the_new_words_at_their_defaults_change_no_bit_and_no_text() -> None:
    plain, spelled = em.AdamW(**ADAM), em.AdamW(**ADAM, bias_correction=True, eps_placement="outside")
    np.testing.assert_array_equal(by_record(plain), by_record(spelled))
    assert repr(plain) == repr(spelled)
    assert "bias_correction" not in repr(plain)
    assert "bias_correction=False" in repr(em.AdamW(lr=1.0, bias_correction=False))
    assert "decay" not in repr(em.Lion(lr=1.0)).replace("weight_decay", "")
    assert "decay='corrected'" in repr(em.Lion(lr=1.0, decay="corrected"))
    assert plain != em.AdamW(**ADAM, decay_order="after")
    # Kept results are found by this text.
    assert json.loads(text(em.Lion(lr=0.5)))["weight_decay"] == 0.0
    assert not {"bias_correction", "eps_placement", "decay_order"} & set(json.loads(text(plain)))
    assert json.loads(text(em.AdamW(lr=0.5, eps_placement="inside")))["eps_placement"] == "inside"
    assert "decay" not in json.loads(text(em.Lion(lr=0.5)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: em.AdamW(lr=1.0, decay="cautious", decay_order="after"), ValueError, "with decay='cautious' and"),
        (lambda: em.AdamW(lr=1.0, decay="cautious", eps_placement="inside"), ValueError, "and eps_placement='inside'"),
        (lambda: em.AdamW(lr=1.0, eps_placement="insid"), ValueError, "eps_placement must be one of.*'inside'\\?"),
        (lambda: em.AdamW(lr=1.0, decay_order="first"), ValueError, "decay_order must be one of 'before', 'after'"),
        (lambda: em.AdamW(lr=1.0, bias_correction="no"), TypeError, "bias_correction must be True or False, got 'no'"),
        (lambda: em.AdamW(lr=1.0, decay="l2"), ValueError, "decay must be one of 'per_lr', "),
        (lambda: em.Lion(lr=1.0, decay="l2"), ValueError, "decay must be one of 'per_lr', "),
        (lambda: em.ScheduleFreeAdamW(lr=1.0, decay="cautious"), ValueError, "decay must be one of 'per_lr', "),
        (
            lambda: em.SGD(lr=1.0, momentum=0.5, nesterov=True, decay="cautious"), ValueError,
            "nesterov=True has no cautious decay",
        ),
    ],
)  # fmt: skip
def test_what_there_is_not_is_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_one_function_has_the_share_of_every_record() -> None:
    time = SymbolicTime(step=3, lr=0.5, weight_decay=0.25, multiplier=0.125)
    for name, (make, _) in OF_KINDS.items():
        for decay in KINDS:
            assert make(decay=decay).decay_per_step(time) == decay_per_step(decay, time), name
    assert em.SGD(lr=1.0).decay_per_step(time) == em.NAdam(lr=1.0).decay_per_step(time) == 0
