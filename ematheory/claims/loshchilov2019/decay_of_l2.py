"""C33: with momentum, L2 and per-LR decay differ by 1/(1−μ)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...problems import RandomWalk
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Fails, Figure, Finding, Order, Sampled, largest
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import derived, engine, replicas
from ..verdict import critical_value

# η, and μ with ηλ; the last ratio is 11 % beyond its limit.
LR, SETTINGS = 0.02, ((0.0, 0.005), (0.5, 0.005), (0.5, 0.01), (0.9, 0.0002), (0.9, 0.001))
# A push, seen again when the fast rate is forgotten, and after another while.
START, FROM, STEPS, SEED = 1000.0, 150, 250, 33
SIZE, REPLICAS = 16, {"smoke": 1024, "quick": 8192, "full": 32_768}
# Relative, in what is forgotten a step: the two decays differ by 2 and more where there is momentum.
RESOLUTION = 0.02
SMALL = tuple(0.001 / 4**k for k in range(5))

# torch.optim.SGD is looked at when the fast rate, at most 0.91 a step, has left less than a rounding of the push.
TORCH_FROM, TORCH_STEPS = 500, {"smoke": 600, "quick": 700, "full": 900}
LARGE_PUSH, ROUNDING = 1000.0, 2.0**-53


class Forgetting(NamedTuple):
    """The share of a push that is forgotten a step, by setting, with its standard error."""

    share: xr.DataArray
    error: xr.DataArray
    measured: xr.Dataset


def settings() -> tuple[xr.DataArray, xr.DataArray]:
    momentum, rate = (xr.DataArray(np.array(each), dims="setting") for each in zip(*SETTINGS, strict=True))
    return momentum, rate


def forgetting(decay: str, tier: str) -> Forgetting:
    """From the mean weight at two times, with noise of variance 1 on."""
    import ematheory as em

    momentum, rate = settings()
    measured = em.simulate(
        RandomWalk(size=SIZE, init=START), SGD(lr=LR, momentum=momentum, weight_decay=rate / LR, decay=decay),
        steps=STEPS, record=[FROM, STEPS], observables="weight_mean", replicas=REPLICAS[tier], seed=chosen_seed(SEED),
    )  # fmt: skip
    mean = measured.weight_mean.mean("coordinate")
    relative = np.sqrt((measured.weight_mean_sem**2).sum("coordinate")) / SIZE / mean
    kept = (mean.isel(step=1) / mean.isel(step=0)) ** (1 / (STEPS - FROM))
    # The sum is the most that two errors with any correlation come to.
    return Forgetting(1 - kept, kept * relative.sum("step") / (STEPS - FROM), measured)


def expected_ratio() -> xr.DataArray:
    """What L2 forgets over what per-LR decay does, derived."""
    momentum, rate = settings()
    return derived("momentum-per-lr", "decay_ratio", decay_per_step=rate, one_minus_momentum=1 - momentum)


def fast_left() -> xr.DataArray:
    """What the fast rate of L2 still changes in the forgotten share: a part (r₋/r₊)^FROM of a push, at the most."""
    momentum, rate = settings()
    slow = 1 - rate * expected_ratio()
    return xr.DataArray((momentum / slow**2) ** FROM / (STEPS - FROM) / rate)


def limit(momentum: float) -> Order:
    """The derived ratio's distance from 1/(1 − μ), by ηλ."""
    rate = xr.DataArray(list(SMALL), dims="rate")
    ratio = derived("momentum-per-lr", "decay_ratio", decay_per_step=rate, one_minus_momentum=1 - momentum)
    off = abs(ratio * (1 - momentum) - 1).values
    return Order(f"what L2 forgets over 1/(1 − μ) of per-LR decay, μ = {momentum:g}, by ηλ", SMALL, off, 1.0)


def simulated(tier: str) -> Evidence:
    """What both decays leave of one push under one noise, and the derived ratio's limit."""
    momentum, rate = settings()
    per_lr, l2 = forgetting("per_lr", tier), forgetting("l2", tier)
    n = replicas(l2.measured)
    ratio, expected = l2.share / per_lr.share, expected_ratio()
    errors = ratio * (l2.error / l2.share + per_lr.error / per_lr.share)
    findings: tuple[Finding, ...] = (
        Sampled("forgotten a step with per-LR decay", per_lr.share, rate, per_lr.error, n, RESOLUTION * rate),
        Sampled("that of L2 over it", ratio, expected, errors, n, RESOLUTION * expected, fast_left()),
        *(limit(each) for each in (0.5, 0.9)),
        Fails(
            "1/(1 − μ) at the largest ηλ", float(abs(ratio - 1 / (1 - momentum))[-1] / errors[-1]),
            critical_value(1, n - 1), n, "in standard errors: the factor is the limit of small ηλ",
        ),
    )  # fmt: skip
    return Evidence(findings, (chosen_seed(SEED),), isa=engine(l2.measured))


def trained(tier: str) -> Evidence:
    """The share of a push that torch.optim.SGD forgets a step, with gradients on, against the derived ones."""
    findings: list[Finding] = []
    _, rate = settings()
    for decay, times in (("per_lr", 1.0), ("l2", expected_ratio())):
        expected = (rate * times).values
        seen, errors = np.array([left_by_torch(decay, *setting, TORCH_STEPS[tier]) for setting in SETTINGS]).T
        off = np.abs(seen - expected) / errors
        reason = "in units of what the roundings of the steps come to in the share"
        findings.append(Exact(f"torch.optim.SGD, {decay}: share forgotten a step", largest(off), 1.0, len(off), reason))
    ratios = {momentum: torch_ratios(momentum, tier) for momentum in (0.5, 0.9)}
    findings += [
        Order(
            f"torch.optim.SGD, what L2 forgets over 1/(1 − μ) of per-LR decay, μ = {momentum:g}, by ηλ", SMALL,
            np.abs(ratio * (1 - momentum) - 1), 1.0,
        )
        for momentum, ratio in ratios.items()
    ]  # fmt: skip
    control = Fails(
        "torch.optim.SGD, 1/(1 − μ) at ηλ = 0.001, μ = 0.9", float(abs(ratios[0.9][0] / 10 - 1)), RESOLUTION / 10, 1,
        "relative: the factor is the limit of small ηλ",
    )  # fmt: skip
    shown = tuple(
        Curve(f"μ = {momentum:g}", SMALL, np.full(len(SMALL), 1 / (1 - momentum)), ratio)
        for momentum, ratio in ratios.items()
    )
    figure = Figure("torch.optim.SGD: decay by L2 over per-LR decay", "ηλ", "ratio", shown, log_x=True)
    return Evidence((*findings, control), (chosen_seed(SEED),), (figure,))


def torch_ratios(momentum: float, tier: str) -> FloatArray:
    """What L2 forgets over what per-LR decay does, at each of `SMALL`."""
    l2, per_lr = (
        np.array([left_by_torch(decay, momentum, rate, TORCH_STEPS[tier]).share for rate in SMALL])
        for decay in ("l2", "per_lr")
    )
    return np.asarray(l2 / per_lr)


class Left(NamedTuple):
    """The share of a push that is forgotten a step, and what rounding can make of it."""

    share: float
    rounding: float


def left_by_torch(decay: str, momentum: float, rate: float, steps: int) -> Left:
    """From two runs with the same gradients and starts that are a push apart.

    A step rounds each weight six times, which the buffer carries on 1/(1 − μ) times, relative to the weight; it counts
    relative to what is left of the push.
    """
    from ...training import crosschecks

    gradients = np.random.default_rng(chosen_seed(SEED)).standard_normal((steps, 1)).repeat(2, axis=1)
    start = np.array([LARGE_PUSH, 0.0])
    pushed, other = crosschecks.driven(
        gradients, start=start, lr=LR, momentum=momentum, weight_decay=rate / LR, decay=decay
    ).T
    left, sizes = pushed - other, np.abs(pushed) + np.abs(other)
    share = -np.expm1(np.log(left[-1] / left[TORCH_FROM]) / (steps - TORCH_FROM))
    each = 6 * ROUNDING / (1 - momentum) * (sizes / left)[TORCH_FROM:].max()
    return Left(float(share), float(each + 4 * ROUNDING))


CLAIM = Claim(
    id="C33",
    paper="loshchilov2019",
    statement=(
        "SGD with momentum μ forgets at the rate ηλ with per-LR decay, and with L2 at 1/(1−μ) times that, to first "
        "order in ηλ."
    ),
    source="Loshchilov & Hutter, arXiv 1711.05101; Heo et al., arXiv 2006.08217; THEORY.md M2",
    assumptions=("dampening 0", "constant η and λ", "ηλ → 0 for the ratio"),
    kinds=("asymptotic",),
    levels={
        "symbolic": Level(proof("momentum-per-lr")),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch",)),
    },
)
