"""C16: how much each step of a run counts under a schedule: the continuous kernels, Rayleigh, uniform averaging."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ...derivations import derive
from ...schedules import WSD, Constant, Cosine, Exponential, Harmonic, InverseSqrt, Linear, Schedule
from ...timescales import ema_coefficients
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Figure, Finding, Order
from ..proof import POINTS, formulas, proof

# τ as a share of the run, at the peak.
TIMESCALE = 0.2


class Case(NamedTuple):
    """A schedule, the derivation of its kernel, and that derivation's parameters.

    remainder : the order of what p_0 is off by beyond its first order; half an order less where s starts as √y.
    """

    schedule: Schedule
    derivation: str
    parameters: Mapping[str, float] = MappingProxyType({})
    remainder: float = 2.0

    def derived(self, result: str, **place: Any) -> Any:
        """A result of the derivation for this schedule at τ = `TIMESCALE`."""
        function = derive(self.derivation).function(result)
        known = {"tau": TIMESCALE, **self.parameters, **place}
        return function(**{word: known[word] for word in function.words})


CASES: dict[str, Case] = {
    "constant": Case(Constant(), "kernel-constant"),
    "linear to zero": Case(Linear(), "kernel-linear-to-zero"),
    "linear to 0.1": Case(Linear(final=0.1), "kernel-linear", {"final": 0.1}),
    "cosine to 0.1": Case(Cosine(final=0.1), "kernel-cosine", {"final": 0.1}),
    "WSD, linear": Case(WSD(decay=0.25), "kernel-wsd", {"decay": 0.25}),
    "WSD, 1−√": Case(WSD(decay=0.25, shape="sqrt"), "kernel-wsd-sqrt", {"decay": 0.25}, 1.5),
    "inverse square root": Case(InverseSqrt(flat=0.0625), "kernel-inverse-sqrt", {"flat": 0.0625}),
    "exponential": Case(Exponential(rate=2.0), "kernel-exponential", {"rate": 2.0}),
    "harmonic": Case(Harmonic(timescale=TIMESCALE), "kernel-harmonic", {"timescale": TIMESCALE}),
}
# Its density after the warm-up is the bare shape's; what warm-up adds is in p_0, with ∫_0^1 of the bare cosine = ½.
WARMED = Case(Cosine(warmup=0.125), "kernel-warmup", {"warmup": 0.125, "mean_multiplier": 0.5})
DERIVATIONS = (
    *(case.derivation for case in (*CASES.values(), WARMED)),
    "uniform-averaging",
    "uniform-averaging-proportional-decay",
)
FIRST_SIZE = {"smoke": 512, "quick": 1024, "full": 4096}
SIZES = 5
TORCH_STEPS = {"smoke": 600, "quick": 2000, "full": 5000}
UNIT = 2.0**-53


def coefficients(schedule: Schedule, steps: int) -> tuple[float, FloatArray]:
    """The initial share and the coefficients on q of a run of `steps` steps with λ = 1 and η = 1/(τT)."""
    return ema_coefficients(schedule.multipliers(steps) / (TIMESCALE * steps), 1.0)


def kernel_distance(case: Case, steps: int) -> float:
    """Σ |c_i − p(x_i)/T| at x_i = (i−1)/T, where update i takes its multiplier."""
    density = case.derived("density", x=np.arange(steps) / steps)
    return float(np.abs(coefficients(case.schedule, steps)[1] - density / steps).sum())


def squared_density(case: Case) -> float:
    """∫p² to 1e-10, by quadrature at two numbers of nodes."""
    coarse, fine = (integral(lambda x: case.derived("density", x=x) ** 2, nodes) for nodes in (16, 32))
    if not abs(coarse - fine) <= 1e-10 * fine:
        raise ArithmeticError(f"∫p² of {case.derivation} to 1e-10 failed: {coarse} and {fine}")
    return fine


def integral(function: Callable[[FloatArray], FloatArray], nodes: int) -> float:
    """∫_0^1 by Gauss and Legendre's rule in 16ths of the run, where kinks are; x = a + u²/16 smooths a root."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    u, starts = (1 + points) / 2, np.arange(16)[:, np.newaxis] / 16
    return float((function(starts + u**2 / 16) @ (weights * u)).sum() / 16)


def squares_error(case: Case, limit: float, steps: int) -> float:
    """|T Σ c² − ∫p²| relative to ∫p²."""
    return float(abs(steps * np.square(coefficients(case.schedule, steps)[1]).sum() / limit - 1))


def initial_share_error(case: Case, steps: int, corrected: bool) -> float:
    """The relative error of p_0 = e^{−S(0)/τ}, as it is or without its first order."""
    error = coefficients(case.schedule, steps)[0] / case.derived("initial_weight_left") - 1
    return float(abs(error - (case.derived("initial_weight_error") / steps if corrected else 0.0)))


def numeric(tier: str) -> Evidence:
    """Formulas against brute force; discrete coefficients against the kernels at growing T; uniform averaging."""
    steps = [FIRST_SIZE[tier] * 2**k for k in range(SIZES)]
    findings: list[Finding] = [each for name in DERIVATIONS for each in formulas(name, POINTS[tier])]
    for name, case in CASES.items():
        findings += orders(name, case, steps)
    warmed = order_of("cosine after warm-up: p_0", lambda n: initial_share_error(WARMED, n, False), steps, 1.0)
    return Evidence((*findings, warmed, uniform(steps[-1])), figures=(figure(steps[0]),))


def orders(name: str, case: Case, steps: list[int]) -> list[Finding]:
    """The orders in 1/T of what the continuous limit leaves out."""
    limit = squared_density(case)
    # Half orders settle late: the terms of order 3/2 and 2 are still of one size at T = 1000.
    late = [16 * n for n in steps] if case.remainder < 2 else steps
    return [
        order_of(f"{name}: kernel in L1", lambda n: kernel_distance(case, n), steps, 1.0),
        order_of(f"{name}: Σc²", lambda n: squares_error(case, limit, n), steps, 1.0),
        order_of(f"{name}: p_0", lambda n: initial_share_error(case, n, False), steps, 1.0),
        order_of(f"{name}: p_0, next order", lambda n: initial_share_error(case, n, True), late, case.remainder),
    ]


def order_of(what: str, error: Callable[[int], float], steps: list[int], claimed: float) -> Order:
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
        name: crosschecks.schedule_kernel(case.schedule, steps=steps, timescale=TIMESCALE)
        for name, case in {**CASES, "cosine after warm-up": WARMED}.items()
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
        Curve(name, x, case.derived("density", x=x), steps * coefficients(case.schedule, steps)[1][places])
        for name, case in CASES.items()
        if name in SHOWN
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
        "Coefficients differ in L1 and Σc² by O(1/T); p_0 = e^{−S(0)/τ} is off by (−∫s²/τ − s(0) + s(1))/(2τT), "
        "up to O(T^−2), or O(T^−3/2) where s falls as a root at first (WSD's 1−√)."
    ),
    source="Follows from Wang & Aitchison, arXiv 2405.13698, section 3; THEORY.md E5, E6",
    assumptions=("constant λ", "update k takes the multiplier s((k−1)/T)", "ηλ ≪ 1 for the continuous limit"),
    kinds=("exact", "asymptotic"),
    levels={
        "symbolic": Level(proof(*DERIVATIONS, "discretisation")),
        "numeric": Level(numeric),
        "trained": Level(trained, needs=("torch",)),
    },
)  # fmt: skip
