"""C32: SGD with momentum and L2 is an exact double EMA of −g/λ."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...problems import RandomWalk
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Fails, Figure, Finding, largest
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import derived, engine, misses, sampled

LR, START, SEED = 0.1, 20.0, 32
# μ and ηλ with real rates, the second near the last of them, (1 − √μ)², which is 0.0858 and 0.00263.
REAL = ((0.5, 0.02), (0.5, 0.08), (0.9, 0.001), (0.9, 0.0025))
# And beyond it: periods of 17, 9 and 14 steps.
COMPLEX = ((0.5, 0.2), (0.5, 0.5), (0.9, 0.2))
RIVAL_STEP = 30  # where 1/(ηλ) for the timescale leaves far more
REAL_RECORD, COMPLEX_RECORD = (1, 2, 5, 10, 30, 100, 200), (1, 2, 4, 7, 10, 14, 20, 40)
SIZE, REPLICAS = 16, {"smoke": 4096, "quick": 8192, "full": 32_768}
# Of E w², relative, and of the mean, of the push that it comes from; a wave's troughs are a tenth of it and more.
RESOLUTION, MEAN_RESOLUTION = 0.05, 0.02

# Steps and weights of torch.optim.SGD, each with gradients of its own.
TORCH_STEPS, TORCH_SIZE = {"smoke": 300, "quick": 1000, "full": 4000}, 8
ROUNDING = 2.0**-53


def averages(momentum: float, rate: float, steps: int) -> tuple[FloatArray, FloatArray]:
    """Shares of w₀ after t = 0 … steps of the two averages, and coefficients of −g/λ by how many steps ago it came.

    With the rates r₊, as derived, and r₋ = μ/r₊; both averages start at w₀.
    """
    gap = derived("momentum-l2", "slow_pole_gap", decay_per_step=rate, one_minus_momentum=1 - momentum).item()
    lags = np.arange(steps + 1)
    slow, fast = 1 - gap, momentum / (1 - gap)
    kernel = np.convolve(gap * slow**lags, (1 - fast) * fast**lags)[: steps + 1]
    return np.append(1.0, 1 - np.cumsum(kernel))[:-1], kernel


def wave(momentum: float, rate: float, steps: int) -> tuple[FloatArray, FloatArray]:
    """The same where the rates are complex, from the derived response to a gradient of s = 0 … steps ago.

    What is left of w₀ is 1 less the responses to its own λw₀ at every step.
    """
    import sympy as sp

    from ...derivations import derive
    from ...derivations import symbols as x
    from ...derivations.momentum_oscillation import angle, kept

    period = derived("momentum-oscillation", "period_steps", decay_per_step=rate, one_minus_momentum=1 - momentum)
    formula = derive("momentum-oscillation").result_equation("response").rhs
    known = {kept: sp.sqrt(momentum), angle: 2 * sp.pi / period.item(), x.eta: LR}
    response = sp.lambdify(x.t, formula.subs(known))(np.arange(steps + 1.0))
    kernel = -rate / LR * np.asarray(response, dtype=np.float64)
    return np.append(1.0, 1 - np.cumsum(kernel))[:-1], kernel


def run(settings: tuple[tuple[float, float], ...], record: tuple[int, ...], tier: str) -> xr.Dataset:
    """SGD on pure noise of variance 1 from w₀ = START; `push` is the mean over the coordinates, which are alike."""
    import ematheory as em

    momentum, rate = (xr.DataArray(np.array(each), dims="setting") for each in zip(*settings, strict=True))
    measured = em.simulate(
        RandomWalk(size=SIZE, init=START), SGD(lr=LR, momentum=momentum, weight_decay=rate / LR), steps=record[-1],
        record=list(record), observables=("weight_mean_square", "weight_mean"), replicas=REPLICAS[tier],
        seed=chosen_seed(SEED),
    )  # fmt: skip
    errors = np.sqrt((measured.weight_mean_sem**2).sum("coordinate")) / SIZE
    with_push: xr.Dataset = measured.assign(push=measured.weight_mean.mean("coordinate"), push_sem=errors)
    return with_push


def compared(what: str, measured: xr.Dataset, settings: tuple[tuple[float, float], ...], form: object) -> list[Finding]:
    """E w² and the mean at every record against the coefficients of one of the forms."""
    assert callable(form)
    steps = [int(step) for step in measured.step]
    parts = [form(momentum, rate, steps[-1]) for momentum, rate in settings]
    decays = [rate / LR for _, rate in settings]
    means = [[START * share[t] for t in steps] for share, _ in parts]
    squares = [
        [(START * share[t]) ** 2 + np.square(kernel[:t] / decay).sum() for t in steps]
        for (share, kernel), decay in zip(parts, decays, strict=True)
    ]
    mean, square = (
        xr.DataArray(values, dims=("setting", "step"), coords={"step": measured.step}) for values in (means, squares)
    )
    return [
        sampled(f"E w², {what}", measured, "weight_mean_square", square, resolution=RESOLUTION * square),
        sampled(f"mean weight, {what}", measured, "push", mean, resolution=MEAN_RESOLUTION * START),
    ]


def simulated(tier: str) -> Evidence:
    """Weights pushed and driven by noise against the double average, and beyond real rates against the wave."""
    real, oscillating = run(REAL, REAL_RECORD, tier), run(COMPLEX, COMPLEX_RECORD, tier)
    rates = xr.DataArray([rate for _, rate in REAL], dims="setting")
    findings = [
        *compared("double average", real, REAL, averages),
        *compared("complex rates", oscillating, COMPLEX, wave),
        misses("mean weight by ηλ alone", real.sel(step=RIVAL_STEP), "push", START * (1 - rates) ** RIVAL_STEP),
    ]
    shown = tuple(
        Curve(
            f"μ = {momentum:g}, ηλ = {rate:g}", list(COMPLEX_RECORD),
            START * wave(momentum, rate, COMPLEX_RECORD[-1])[0][list(COMPLEX_RECORD)],
            oscillating.push.isel(setting=i).values, oscillating.push_sem.isel(setting=i).values,
        )
        for i, (momentum, rate) in enumerate(COMPLEX)
    )  # fmt: skip
    figure = Figure("A push on SGD's weights with momentum and much L2", "step", "mean weight", shown)
    return Evidence(tuple(findings), (chosen_seed(SEED),), (figure,), engine(real))


def trained(tier: str) -> Evidence:
    """torch.optim.SGD on gradients made up for it: every weight at every step against the two averages, or the wave."""
    steps = TORCH_STEPS[tier]
    gradients = np.random.default_rng(chosen_seed(SEED)).standard_normal((steps, TORCH_SIZE))
    apart = {setting: misses_of(setting, averages, gradients) for setting in REAL}
    apart |= {setting: misses_of(setting, wave, gradients) for setting in COMPLEX}
    damped = misses_of(REAL[0], averages, gradients, dampening=0.1)
    findings: list[Finding] = [
        Exact(
            f"torch.optim.SGD, μ = {momentum:g}, ηλ = {rate:g}: weights against "
            f"{'two averages' if (momentum, rate) in REAL else 'the wave'}",
            miss, rounding(momentum, steps), gradients.size, "roundings of run and sums, over the scale",
        )
        for (momentum, rate), miss in apart.items()
    ]  # fmt: skip
    control = Fails(
        "torch.optim.SGD with dampening 0.1 as the two averages", damped, rounding(REAL[0][0], steps), gradients.size,
        "torch does not dampen its first buffer",
    )  # fmt: skip
    return Evidence((*findings, control), (chosen_seed(SEED),), (followed(gradients),))


def rounding(momentum: float, steps: int) -> float:
    """What rounding makes of a weight, in units of the scale of `composed`.

    A step rounds six times; the buffer carries each on 1/(1 − μ) times. A coefficient of lag s is off by s roundings,
    of rates whose own error counts the same once more, and the sums add one a term.
    """
    return (6 / (1 - momentum) + 4) * steps * ROUNDING


def composed(form: object, momentum: float, rate: float, gradients: FloatArray) -> tuple[FloatArray, float]:
    """The weights that the coefficients give, (steps + 1, size), and their scale |w₀| + max|g/λ|·Σ|k|."""
    assert callable(form)
    share, kernel = form(momentum, rate, len(gradients))
    targets = -gradients * LR / rate
    summed = np.stack([np.convolve(each, kernel)[: len(each)] for each in targets.T], axis=1)
    weights = START * share[:, None] + np.concatenate([np.zeros_like(summed[:1]), summed])
    return weights, START + float(np.abs(targets).max() * np.abs(kernel).sum())


def misses_of(
    setting: tuple[float, float], form: object, gradients: FloatArray, *, dampening: float = 0.0
) -> float:  # fmt: skip
    """The largest distance of a weight of torch's from the form's, over their scale."""
    from ...training import crosschecks

    momentum, rate = setting
    expected, scale = composed(form, momentum, rate, gradients)
    seen = crosschecks.driven(
        gradients, start=START, lr=LR, momentum=momentum, weight_decay=rate / LR, dampening=dampening
    )
    return largest([np.abs(seen - expected).max() / scale])


def followed(gradients: FloatArray) -> Figure:
    """One weight of each oscillating setting over the first steps."""
    from ...training import crosschecks

    curves = []
    for momentum, rate in COMPLEX:
        few = gradients[: COMPLEX_RECORD[-1]]
        seen = crosschecks.driven(few, start=START, lr=LR, momentum=momentum, weight_decay=rate / LR)
        expected, _ = composed(wave, momentum, rate, few)
        curves.append(Curve(f"μ = {momentum:g}, ηλ = {rate:g}", np.arange(len(seen)), expected[:, 0], seen[:, 0]))
    return Figure("torch.optim.SGD with momentum and much L2", "step", "weight", tuple(curves))


CLAIM = Claim(
    id="C32",
    paper="loshchilov2019",
    statement=(
        "With dampening 0 the weights of SGD with momentum and L2 are exactly a double EMA of −g/λ with the rates r± "
        "of r² − (1+μ−ηλ)r + μ = 0, the slow one with τ near (1−μ)/(ηλ); beyond ηλ = (1−√μ)² the rates are complex and "
        "a gradient's weight oscillates."
    ),
    source="THEORY.md M1; the set-up is arXiv 1711.05101's L2 regularisation",
    assumptions=("dampening 0", "constant η and λ", "ηλ < (1−√μ)² for real rates"),
    kinds=("exact",),
    levels={
        "symbolic": Level(proof("momentum-l2", "momentum-oscillation")),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch",)),
    },
)
