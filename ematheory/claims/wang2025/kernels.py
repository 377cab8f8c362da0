"""C16: how much each step of a run counts under a schedule: the continuous kernels, Rayleigh, uniform averaging."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ...schedules import WSD, Constant, Cosine, Exponential, Harmonic, InverseSqrt, Linear, Schedule
from ...timescales import ema_coefficients
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Figure, Finding, Order
from ..proof import proof

# τ as a share of the run, at the peak.
TIMESCALE = 0.2
# With each schedule the order of what p_0 is off by beyond its first order: half an order higher where s starts as √y.
SCHEDULES: dict[str, tuple[Schedule, float]] = {
    "constant": (Constant(), 2.0),
    "linear to zero": (Linear(), 2.0),
    "linear to 0.1": (Linear(final=0.1), 2.0),
    "cosine to 0.1": (Cosine(final=0.1), 2.0),
    "cosine after warm-up": (Cosine(warmup=0.125), 2.0),
    "WSD, linear": (WSD(decay=0.25), 2.0),
    "WSD, 1−√": (WSD(decay=0.25, shape="sqrt"), 1.5),
    "inverse square root": (InverseSqrt(flat=0.0625), 2.0),
    "exponential": (Exponential(rate=2.0), 2.0),
    "harmonic": (Harmonic(timescale=TIMESCALE), 2.0),
}
FIRST_SIZE = {"smoke": 512, "quick": 1024, "full": 4096}
SIZES = 5
TORCH_STEPS = {"smoke": 600, "quick": 2000, "full": 5000}
UNIT = 2.0**-53


def coefficients(schedule: Schedule, steps: int) -> tuple[float, FloatArray]:
    """The initial share and the coefficients on q of a run of `steps` steps with λ = 1 and η = 1/(τT)."""
    return ema_coefficients(schedule.multipliers(steps) / (TIMESCALE * steps), 1.0)


def density(schedule: Schedule, x: Any, xp: Any = np) -> Any:
    """E5: p(x) = s(x) e^{−S(x)/τ}/τ."""
    return schedule.at(x, xp) * xp.exp(-schedule.integral(x, xp) / TIMESCALE) / TIMESCALE


def rayleigh(x: FloatArray) -> FloatArray:
    """Linear to zero in y = 1 − x: Rayleigh's density with scale² = τ."""
    y = 1 - x
    return np.asarray(y / TIMESCALE * np.exp(-(y**2) / (2 * TIMESCALE)))


@cache
def integral(schedule: Schedule, integrand: Callable[[Schedule, Any, Any], Any]) -> float:
    """∫_0^1 of a function of the schedule, by quadrature in 16ths of the run, on whose ends its kinks fall."""
    import mpmath

    from ...derivations.symbols import numbers

    return float(mpmath.quad(lambda x: integrand(schedule, x, numbers), mpmath.linspace(0, 1, 17)))


def squared_shape(schedule: Schedule, x: Any, xp: Any) -> Any:
    return schedule.at(x, xp) ** 2


def squared_density(schedule: Schedule, x: Any, xp: Any) -> Any:
    return density(schedule, x, xp) ** 2


def kernel_distance(kernel: Callable[[FloatArray], FloatArray], schedule: Schedule, steps: int) -> float:
    """Σ |c_i − p(x_i)/T| at x_i = (i−1)/T, where update i takes its multiplier."""
    x = np.arange(steps) / steps
    return float(np.abs(coefficients(schedule, steps)[1] - kernel(x) / steps).sum())


def squares_error(schedule: Schedule, steps: int) -> float:
    """|T Σ c² − ∫p²| relative to ∫p²."""
    limit = integral(schedule, squared_density)
    return float(abs(steps * np.square(coefficients(schedule, steps)[1]).sum() / limit - 1))


def initial_share_error(schedule: Schedule, steps: int, corrected: bool) -> float:
    """The relative error of p_0 = e^{−S(0)/τ}, as it is or with its first order, (−∫s²/τ − s(0) + s(1))/(2τT)."""
    limit = np.exp(-float(schedule.integral(0.0)) / TIMESCALE)
    error = coefficients(schedule, steps)[0] / limit - 1
    if not corrected:
        return float(abs(error))
    ends = float(schedule.at(0.0)) - float(schedule.at(1.0))
    return float(abs(error + (integral(schedule, squared_shape) / TIMESCALE + ends) / (2 * TIMESCALE * steps)))


def numeric(tier: str) -> Evidence:
    """Discrete coefficients against the continuous kernels at growing T, and uniform averaging at every T."""
    steps = [FIRST_SIZE[tier] * 2**k for k in range(SIZES)]
    findings: list[Finding] = [
        orders_of("Rayleigh density", lambda n: kernel_distance(rayleigh, Linear(), n), steps, 1.0)
    ]
    for name, (schedule, remainder) in SCHEDULES.items():
        findings += orders(name, schedule, remainder, steps)
    return Evidence((*findings, uniform(steps[-1])), figures=(figure(steps[0]),))


def orders(name: str, schedule: Schedule, remainder: float, steps: list[int]) -> list[Finding]:
    def kernel(x: FloatArray) -> FloatArray:
        return np.asarray(density(schedule, x))

    # Half orders settle late: the terms of order 3/2 and 2 are then of one size at T = 1000.
    late = [16 * n for n in steps] if remainder < 2 else steps
    return [
        orders_of(f"{name}: kernel in L1", lambda n: kernel_distance(kernel, schedule, n), steps, 1.0),
        orders_of(f"{name}: Σc²", lambda n: squares_error(schedule, n), steps, 1.0),
        orders_of(f"{name}: p_0", lambda n: initial_share_error(schedule, n, False), steps, 1.0),
        orders_of(f"{name}: p_0, next order", lambda n: initial_share_error(schedule, n, True), late, remainder),
    ]


def orders_of(what: str, error: Callable[[int], float], steps: list[int], claimed: float) -> Order:
    return Order(what, [1 / n for n in steps], [error(n) for n in steps], claimed)


def uniform(steps: int) -> Exact:
    """Harmonic decay with its own τ counts every update alike; the spread of η_i P_i is rounding."""
    on_q = coefficients(Harmonic(timescale=TIMESCALE), steps)[1]
    # λ = 1, so the coefficient of u_i is −c_i.
    spread = float(on_q.max() / on_q.min() - 1)
    reason = "each η_i is rounded 4 times, and what is kept after it passes that on with Σα = ln(1 + 1/τ)"
    bound = 2 * (4 + 4 * np.log1p(1 / TIMESCALE)) * UNIT
    return Exact("harmonic: the weight of every update is the same", spread, bound, steps, reason)


def trained(tier: str) -> Evidence:
    """One pulse per weight through torch.optim.AdamW: how much each step's update is in the last weight."""
    from ...training import crosschecks

    steps = TORCH_STEPS[tier]
    found = {
        name: crosschecks.schedule_kernel(schedule, steps=steps, timescale=TIMESCALE)
        for name, (schedule, _) in SCHEDULES.items()
    }
    # A multiplication by fl(1 − α) and its rounding each step, in torch and in double-double; 20 for the pulse itself.
    bound, reason = (2 * steps + 20) * UNIT, "two roundings a step after the pulse, 20 in it"
    kernels = [
        Exact(f"torch.optim.AdamW, {name}", check.residual, bound, steps, reason) for name, check in found.items()
    ]
    shares = [
        Exact(
            f"torch.optim.AdamW, {name}: initial weight left",
            abs(check.initial_left / check.expected_initial_left - 1), bound, steps, reason,
        )
        for name, check in found.items()
    ]  # fmt: skip
    weights = np.abs(found["harmonic"].update_coefficients)
    equal = Exact(
        "torch.optim.AdamW, harmonic: equal weights", float(weights.max() / weights.min() - 1), 2 * bound, steps, reason
    )
    return Evidence((*kernels, *shares, equal), figures=(torch_figure(found),))


SHOWN = ("constant", "linear to zero", "cosine to 0.1", "WSD, 1−√", "harmonic")
PLACES = 60


def figure(steps: int) -> Figure:
    places = np.linspace(0, steps - 1, PLACES).astype(int)
    x = places / steps
    curves = tuple(
        Curve(name, x, density(SCHEDULES[name][0], x), steps * coefficients(SCHEDULES[name][0], steps)[1][places])
        for name in SHOWN
    )
    return Figure(f"Kernels at τ = {TIMESCALE:g} T; discrete at T = {steps}", "x = t/T", "T·c(x)", curves)


def torch_figure(found: dict[str, Any]) -> Figure:
    curves = []
    for name in SHOWN:
        check = found[name]
        places = np.linspace(0, check.steps - 1, PLACES).astype(int)
        curves.append(Curve(name, check.positions[places], check.steps * check.expected[places], check.density[places]))
    return Figure("How much each update counts in torch.optim.AdamW's last weight", "x = t/T", "T·c(x)", tuple(curves))


CLAIM = Claim(
    id="C16",
    paper="wang2025",
    statement=(
        "Under a schedule s the weights average with density p(x) = s(x) e^{−S(x)/τ}/τ, S = ∫_x^1 s; linear-to-zero is "
        "a Rayleigh kernel in 1 − x with scale² = τ, harmonic decay with its own τ weighs all updates alike. "
        "Coefficients differ in L1 and Σc² by O(1/T); p_0 = e^{−S(0)/τ} is off by (−∫s²/τ − s(0) + s(1))/(2τT)."
    ),
    source="Follows from Wang & Aitchison, arXiv 2405.13698, section 3; THEORY.md E5, E6",
    assumptions=("constant λ", "update k takes the multiplier s((k−1)/T)", "ηλ ≪ 1 for the continuous limit"),
    kinds=("exact", "asymptotic"),
    levels={
        "symbolic": Level(proof("schedule-kernels", "uniform-averaging")),
        "numeric": Level(numeric),
        "trained": Level(trained, needs=("torch",)),
    },
)  # fmt: skip
