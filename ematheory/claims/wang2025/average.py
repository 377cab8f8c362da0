"""C01: AdamW's weights are an exponential moving average of q = −u/λ, with u from the optimizer's own state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from ...optimizers import SGD, Adam, AdamW, Optimizer
from ...schedules import WSD, Constant, Cosine, Exponential, InverseSqrt, Linear, Schedule
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Fails, Figure, largest
from ..proof import proof
from ..seeds import chosen_seed

SCHEDULES: tuple[Schedule, ...] = (
    Constant(), Linear(final=0.1), Cosine(warmup=0.05), WSD(decay=0.3), InverseSqrt(), Exponential(rate=3.0),
)  # fmt: skip
STEPS = {"smoke": 40, "quick": 150, "full": 600}
PRODUCTS = {"smoke": 4_000, "quick": 200_000, "full": 1_000_000}
EPOCHS = {"smoke": 2, "quick": 10, "full": 40}
WIDTH = {"smoke": 32, "quick": 128, "full": 128}
# The other networks: how many times the narrowest ones' width, the examples to train on, and how often.
NARROWEST = {"ResNet": 4, "ViT": 8, "GPT": 8}
SCALE, EXAMPLES = {"smoke": 1, "quick": 2, "full": 4}, {"smoke": 64, "quick": 512, "full": 1024}
BATCH, OTHERS_EPOCHS = {"smoke": 16, "quick": 64, "full": 32}, 10
WARMED = WSD(warmup=0.1, decay=0.3)
LR, WEIGHT_DECAY, SEED = 0.05, 2.0, 0


def numeric(tier: str) -> Evidence:
    """The optimizer's own update in 60 digits, and `ema_coefficients` in float64 against products in 60 digits."""
    from ...derivations.evaluation import DIGITS

    steps = STEPS[tier]
    # Each step makes some 20 roundings, each passed on with a factor below 1.
    bound, reason = 20.0 * steps * 10.0**-DIGITS, f"{DIGITS} digits, {steps} steps of 20 roundings"
    identity = tuple(
        Exact(f"AdamW under {schedule!r}", averaged(AdamW(LR, WEIGHT_DECAY), schedule, steps), bound, steps, reason)
        for schedule in SCHEDULES
    )
    control = averaged(Adam(LR, WEIGHT_DECAY), Cosine(warmup=0.05), steps)
    return Evidence((
        *identity,
        Fails("Adam with L2, read as the same average", control, bound, steps, "λw enters through 1/√v̂"),
        *(coefficients_agree(schedule, PRODUCTS[tier]) for schedule in SCHEDULES),
    ))  # fmt: skip


def averaged(optimizer: Optimizer, schedule: Schedule, steps: int) -> float:
    """max_t |w_t − (P_t w_0 + Σ c q)| / max|w| in 60 digits, on gradients that follow the weight and noise.

    u is made from the moments after each step, never from differences of weights.
    """
    import mpmath

    from ...derivations.evaluation import DIGITS

    lr, weight_decay = LR * schedule.multipliers(steps), WEIGHT_DECAY * Linear(final=0.5).multipliers(steps)
    with mpmath.workdps(DIGITS):
        states, updates = followed(optimizer, lr, weight_decay)
        average, apart = states[0].weight, []
        for state, update, eta, lam in zip(states[1:], updates, lr, weight_decay, strict=True):
            alpha = mpmath.mpf(float(eta)) * mpmath.mpf(float(lam))
            average = (1 - alpha) * average + alpha * (-update / mpmath.mpf(float(lam)))
            apart.append(abs(state.weight - average))
        return largest(apart) / largest(abs(state.weight) for state in states)


def followed(optimizer: Any, lr: Any, weight_decay: Any) -> tuple[list[Any], list[Any]]:
    """The states of a run in mpmath, and the update that each holds: m̂/(√v̂ + ε)."""
    import mpmath

    from ...derivations.symbols import numbers, run
    from ...optimizers.optimizer import SymbolicTime

    exact = {name: mpmath.mpf(getattr(optimizer, name)) for name in ("beta1", "beta2", "eps")}
    record = optimizer.substituted(**exact)
    noise = np.random.default_rng(0).normal(size=len(lr))
    states = run(
        record, 1.5, len(lr), lambda k, state: state.weight**3 + float(noise[k - 1]),
        lambda k: float(lr[k - 1]), lambda k: float(weight_decay[k - 1]),
    )  # fmt: skip
    updates = []
    for step, state in enumerate(states[1:], 1):
        c = record.coefficients(numbers, SymbolicTime(step, lr=mpmath.mpf(1), weight_decay=mpmath.mpf(0)))
        root = numbers.sqrt(state.second_moment * c.inverse_correction2)
        updates.append(c.step_size * state.first_moment / (root + c.eps))
    return states, updates


def coefficients_agree(schedule: Schedule, steps: int) -> Exact:
    """The largest relative error of the float64 coefficients, and of their sum with the initial share."""
    import mpmath

    from ...timescales import ema_coefficients

    lr, weight_decay = 10 / steps * schedule.multipliers(steps), WEIGHT_DECAY * Linear(final=0.5).multipliers(steps)
    initial, coefficients = ema_coefficients(lr, weight_decay)
    errors, kept = [], mpmath.mpf(1)
    with mpmath.workdps(40):
        for eta, lam, found in zip(lr[::-1], weight_decay[::-1], np.asarray(coefficients)[::-1], strict=True):
            alpha = mpmath.mpf(float(eta)) * mpmath.mpf(float(lam))
            exact = alpha * kept
            errors.append(abs(found - exact) / exact if exact else abs(found))
            kept *= 1 - alpha
        errors.append(abs(float(initial) - kept) / kept)
    reason = "the contract of ema_coefficients: 1e-13 relative at up to 1e6 steps"
    return Exact(f"coefficients under {schedule!r}", largest(errors), 1e-13, steps, reason)


def trained(tier: str) -> Evidence:
    """torch.optim on images and text: Σ c·q beside the run, u from torch's state; Adam and SGD as controls."""
    from ...training import crosschecks, tasks

    def check(optimizer: Optimizer, **options: Any) -> Any:
        task = tasks.digits_mlp(width=WIDTH[tier])
        return crosschecks.moving_average(task, optimizer, epochs=EPOCHS[tier], seed=chosen_seed(SEED), **options)

    schedules = SCHEDULES[:3] if tier == "smoke" else SCHEDULES
    doubles = [check(AdamW(1e-2, 0.5), schedule=schedule) for schedule in schedules]
    single = check(AdamW(1e-2, 0.5), schedule=Cosine(warmup=0.05), dtype="float32")
    runs = [*(("MLP", found) for found in (*doubles, single)), *other_networks(tier)]
    controls = {"Adam with L2": Adam(1e-2, 0.5), "SGD with L2 and momentum": SGD(1e-2, 0.9, 0.5)}
    return Evidence(
        findings=(
            *(within(found, network) for network, found in runs),
            rounded([found for _, found in runs if found.settings["dtype"] == "float64"]),
            *(apart(check(optimizer), name) for name, optimizer in controls.items()),
        ),
        seeds=(chosen_seed(SEED),),
        figures=(trajectories(doubles[-1]),),
    )


def other_networks(tier: str) -> Iterator[tuple[str, Any]]:
    """The checks of a ResNet and a ViT on digits and a GPT on characters, in both dtypes, with warm-up and decay."""
    from ...training import crosschecks, tasks

    examples, context, scale = EXAMPLES[tier], 16, SCALE[tier]
    networks = {
        "ResNet": tasks.digits_resnet(scale * NARROWEST["ResNet"], train_size=examples),
        "ViT": tasks.digits_vit(scale * NARROWEST["ViT"], heads=2, train_size=examples),
        "GPT": tasks.char_gpt(scale * NARROWEST["GPT"], context=context, heads=2, train_tokens=examples * context),
    }
    for (network, task), dtype in product(networks.items(), ("float64", "float32")):
        yield network, crosschecks.moving_average(
            task, AdamW(1e-2, 0.5), epochs=OTHERS_EPOCHS, batch_size=BATCH[tier], schedule=WARMED, dtype=dtype,
            seed=chosen_seed(SEED),
        )  # fmt: skip


def within(found: Any, network: str) -> Exact:
    """The reconstruction against the bound that torch's own roundings add up to, weight by weight."""
    n = found.steps * found.coordinates
    reason = f"of each weight's rounding bound; max|difference|/max|w| = {found.residual:.2g}"
    what = f"torch.optim.AdamW, {network}, {found.settings['dtype']}, {found.settings['schedule']}"
    return Exact(what, found.bound_share, 1.0, n, reason)


def rounded(doubles: Sequence[Any]) -> Exact:
    """Of runs in float64, the largest difference relative to max|w|, and what the derived bounds allow at most."""
    n = sum(found.steps * found.coordinates for found in doubles)
    reason = f"relative to max|w|; the derived bounds allow {largest(found.bound for found in doubles):.2g} at most"
    residual = largest(found.residual for found in doubles)
    return Exact("torch.optim.AdamW, the largest difference of all in float64", residual, 1e-12, n, reason)


def apart(found: Any, what: str) -> Fails:
    n = found.steps * found.coordinates
    reason = f"decay is no share of the weight; max|difference|/max|w| = {found.residual:.2g}"
    return Fails(f"torch.optim: {what}, read as the same average", found.bound_share, 1.0, n, reason)


def trajectories(found: Any) -> Figure:
    """The first weights that moved: torch's, and the average accumulated beside them."""
    pairs = zip(found.trajectory_average.T[:4], found.trajectory_weights.T[:4], strict=True)
    curves = tuple(
        Curve(f"weight {i}", found.trajectory_steps, average, weight) for i, (average, weight) in enumerate(pairs, 1)
    )
    return Figure("Weights of torch.optim.AdamW and the average of q", "step", "weight", curves)


CLAIM = Claim(
    id="C01",
    paper="wang2025",
    statement=(
        "AdamW's weights are an exponential moving average of q_t = −u_t/λ_t, w_t = (1−α_t) w_{t−1} + α_t q_t with "
        "α_t = η_t λ_t, for every schedule of η and λ; the coefficients and the share of w_0 sum to one. Adam with L2 "
        "and SGD with L2 and momentum are no such average."
    ),
    source="Wang & Aitchison, arXiv 2405.13698, section 3",
    assumptions=(
        "0 < η_t λ_t < 1",
        "u_t = m̂_t/(√v̂_t + ε) is read from the optimizer's state, never from weight differences, with which the "
        "identity could not fail",
    ),
    kinds=("exact",),
    levels={
        "symbolic": Level(proof("adamw-ema")),
        "numeric": Level(numeric),
        "trained": Level(trained, needs=("torch", "sklearn")),
    },
)
