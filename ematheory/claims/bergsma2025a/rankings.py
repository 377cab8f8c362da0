"""C18: which rankings of schedules the average alone explains, and which it contradicts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Evidence

# K = T·S, the signal of the whole run: how much further than its noise the start is from the target.
SIGNALS = {"smoke": (10.0, 1e3), "quick": (10.0, 100.0, 1e3, 1e4), "full": (10.0, 30.0, 100.0, 300.0, 1e3, 1e4, 1e5)}
# The schedules that are ranked, by their derivation, with their own settings.
SCHEDULES: Mapping[str, tuple[str, dict[str, float]]] = {
    "constant": ("kernel-constant", {}),
    "linear": ("kernel-linear-to-zero", {}),
    "cosine": ("kernel-cosine", {"final": 0.1}),
    "wsd": ("kernel-wsd", {"decay": 0.2}),
}
# A minimum in log τ found to 1e-6 is a minimum to about 1e-12; quadrature adds 1e-9.
ROUNDING = 1e-6


def risk(name: str, signal: float, timescale: float) -> float:
    """K p₀² + ∫p², the risk in units of σ²/T (T2), by quadrature of the derived density."""
    from scipy.integrate import quad

    from ...derivations import derive

    derivation, own = SCHEDULES[name]
    kernel = derive(derivation)
    density, left = kernel.function("density"), kernel.function("initial_weight_left")
    # Most of a short average's weight stands near the end, which is where the pieces are cut.
    cuts = [1 - min(0.9, width) for width in (30 * timescale, 10 * timescale, timescale, 0.2)]
    pieces = sorted({0.0, 0.8, *cuts, 1.0})
    parts = (
        quad(lambda x: float(density(x=x, tau=timescale, **own)) ** 2, low, high, epsrel=1e-10, limit=200)[0]
        for low, high in pairwise(pieces)
    )
    return float(signal * float(left(tau=timescale, **own)) ** 2 + sum(parts))


def least(name: str, signal: float) -> float:
    """The least risk over the timescale, each schedule having its own best one."""
    from math import exp

    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log_tau: risk(name, signal, exp(log_tau)), bounds=(-9.0, 3.0), method="bounded",
        options={"xatol": 1e-7},
    )  # fmt: skip
    return float(found.fun)


def ratios(one: str, other: str, tier: str) -> list[float]:
    """The least risk of one schedule over that of another, at each signal."""
    return [least(one, signal) / least(other, signal) for signal in SIGNALS[tier]]


def numeric(tier: str) -> Evidence:
    """Every pair's order, and the bound below all of them: K/(K + 1), which the harmonic schedule attains."""
    orders = [("linear", "constant"), ("linear", "wsd"), ("cosine", "linear")]
    compared = [
        Bounded(f"least risk of {one} over that of {other}", ratios(one, other, tier), 1.0, ROUNDING)
        for one, other in orders
    ]
    bound: FloatArray | list[float] = [
        signal / (signal + 1) / least(name, signal) for signal in SIGNALS[tier] for name in SCHEDULES
    ]
    return Evidence((*compared, Bounded("K/(K + 1) over each least risk", bound, 1.0, ROUNDING)))


CLAIM = Claim(
    id="C18",
    paper="bergsma2025a",
    statement=(
        "With independent targets, each schedule at its own best timescale and K ≥ 10, averaging alone ranks linear "
        "decay to zero before a constant rate and before WSD with a decay of 20 %, as published; but cosine to 10 % "
        "before linear to zero, against the published ranking."
    ),
    source="Bergsma et al., arXiv 2502.15938, whose ranking of schedules is measured on LLMs; THEORY.md T2",
    assumptions=("i.i.d. targets", "the continuum of small steps, no warm-up", "the best τ for each schedule"),
    kinds=("bound",),
    levels={"numeric": Level(numeric)},
)
