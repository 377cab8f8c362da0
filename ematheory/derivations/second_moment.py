"""The fluctuations of AdamW's m and v on stationary white Gaussian gradients: their moments, at once and along lags.

On gradients μ + z (in units of σ, z standard normal) m is M + μ and v is 1 + D + 2μS + μ², where M, S and D average the
past of z, z and z² − 1. Their moments are what one more gradient leaves alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from . import symbols as x
from .checks import Identity, Induction
from .derivation import Step
from .equations import Equation, Expression
from .frozen_preconditioner import forget, symbolic
from .limits import Solve
from .update_bound import forget2

b1, b2 = x.beta1, x.beta2
z, drift_of, M, S, M_0, D_0, D = sp.symbols("z mu M S M_0 D_0 D", real=True)
lag = sp.Symbol("tau", integer=True, nonnegative=True)
PAIRS = MM, DD, MS, MMD, MMDD = sp.symbols("E_MM E_DD E_MS E_MMD E_MMDD", real=True)
HIGHER = DDD, DDDD, MSD, MSDD, MSDDD = sp.symbols("E_DDD E_DDDD E_MSD E_MSDD E_MSDDD", real=True)
# E of M_t M_{t+τ}, D_t D_{t+τ}, and of M_t M_{t+τ} times D_t, D_{t+τ}, D_t², D_{t+τ}² and D_t D_{t+τ}.
ALONG = tuple(sp.Function(f"c_{name}", real=True) for name in ("MM", "DD", "MMD", "MME", "MMDD", "MMEE", "MMDE"))
mm, dd, mmd, mme, mmdd, mmee, mmde = ALONG

forget12 = forget + forget2 - forget * forget2  # 1 − β₁β₂


def after_noise(m: Expression, v: Expression, gradient: Expression) -> tuple[Expression, Expression]:
    """(m, v) after AdamW's own update."""
    at = {x.m_t(x.t): m, x.v_t(x.t): v, x.g_t(x.t + 1): gradient}
    new = symbolic()
    return new.first_moment.subs(at), new.second_moment.subs(at)


def fluctuations() -> dict[Expression, Expression]:
    """M, D and S after one more gradient, read off AdamW's own update of m = M + μ and v = 1 + D + 2μS + μ²."""
    m, v = after_noise(M + drift_of, 1 + D + 2 * drift_of * S + drift_of**2, drift_of + z)
    by_drift = sp.Poly(sp.expand(v.subs({b1: 1 - forget, b2: 1 - forget2})), drift_of)
    new_m = sp.expand(m.subs(b1, 1 - forget) - drift_of)
    return {M: new_m, D: by_drift.coeff_monomial(1) - 1, S: by_drift.coeff_monomial(drift_of) / 2}


def averaged(polynomial: Expression, old: tuple[Expression, ...], moments: Mapping[Expression, Expression]) -> Any:
    """E over a standard normal z and over the past, where a monomial in `old` has its value in `moments`."""
    by_past: dict[Expression, Expression] = {}
    for (power, *powers), coefficient in sp.Poly(sp.expand(polynomial), z, *old).terms():
        monomial = sp.Mul(*(letter**n for letter, n in zip(old, powers, strict=True)))
        gauss = sp.Integer(0) if power % 2 else sp.factorial2(power - 1)
        by_past[monomial] = sp.expand(by_past.get(monomial, 0) + coefficient * gauss)
    return sp.Add(*(coefficient * moments[monomial] for monomial, coefficient in by_past.items() if coefficient != 0))


# The moments that have names, of nonnegative powers of M, D and S; E D = 0.
KNOWN = {
    sp.Integer(1): sp.Integer(1), D: sp.Integer(0), M * M: MM, D * D: DD, M * S: MS, M * M * D: MMD,
    M * M * D * D: MMDD, D**3: DDD, D**4: DDDD, M * S * D: MSD, M * S * D * D: MSDD, M * S * D**3: MSDDD,
}  # fmt: skip


def stationary(unknowns: tuple[Expression, ...]) -> tuple[Equation, ...]:
    """Each moment equals itself after one more gradient."""
    names, new = {symbol: monomial for monomial, symbol in KNOWN.items()}, fluctuations()
    return tuple(Equation(u, averaged(names[u].subs(new, simultaneous=True), (M, D, S), KNOWN)) for u in unknowns)


def later() -> dict[Expression, Expression]:
    """The covariances one lag on: the mean over the newest gradient, M_0 and D_0 being those of the earlier step."""
    new, factors = fluctuations(), (M_0 * M, D_0 * D, M_0 * D_0 * M, M_0 * M * D, M_0 * D_0**2 * M, M_0 * M * D**2,
                                    M_0 * D_0 * M * D)  # fmt: skip
    at_lag = dict(zip(factors, (call(lag) for call in ALONG), strict=True))
    return {
        call(lag + 1): averaged(f.subs(new, simultaneous=True), (M_0, D_0, M, D), at_lag)
        for call, f in zip(ALONG, factors, strict=True)
    }


def over_lags(term: Expression) -> Expression:
    """Σ over τ = … −1, 0, 1, … of a term that does not tell τ from −τ."""
    return term.subs(lag, 0) + 2 * sp.Sum(term, (lag, 1, sp.oo))


def lag_steps() -> tuple[Step, ...]:
    """How the moments decay with the distance of two updates."""
    recurrence = later()
    square = forget2**2 * mm(lag)
    start = dict(zip((call(0) for call in ALONG), (MM, DD, MMD, MMD, MMDD, MMDD, MMDD), strict=True))
    squares = 2 * forget2 / (1 + b2)
    return (
        Step(
            "one lag on",
            Equation(
                sp.Tuple(*recurrence),
                sp.Tuple(
                    b1 * mm(lag), b2 * dd(lag), b1 * mmd(lag), b1 * b2 * mme(lag), b1 * mmdd(lag),
                    b1 * b2**2 * mmee(lag) + 2 * b1 * square, b1 * b2 * mmde(lag),
                ),
            ),
            "E of M_t M_{t+τ}, D_t D_{t+τ} and M_t M_{t+τ} times D_t, D_{t+τ}, D_t², D_{t+τ}², D_t D_{t+τ}: "
            "their means over the gradient that comes next",
            Identity(where=recurrence),
        ),
        Step(
            "lags",
            Equation(
                sp.Tuple(*(call(lag) for call in ALONG)),
                sp.Tuple(
                    MM * b1**lag, DD * b2**lag, MMD * b1**lag, MMD * (b1 * b2) ** lag, MMDD * b1**lag,
                    MM * squares * b1**lag + (MMDD - MM * squares) * (b1 * b2**2) ** lag, MMDD * (b1 * b2) ** lag,
                ),
            ),
            "by induction on the lag",
            Induction(variable=lag, recurrence=("one lag on",), initial=start),
        ),
    )  # fmt: skip


def moment_steps() -> tuple[Step, ...]:
    m, v = after_noise(M + drift_of, 1 + D + 2 * drift_of * S + drift_of**2, drift_of + z)
    values = (
        forget / (1 + b1), 2 * forget2 / (1 + b2), forget * forget2 / forget12,
        2 * forget**2 * forget2 / (1 - b1**2 * b2),
    )  # fmt: skip
    both = values[0] * values[1] + 8 * forget**2 * forget2**2 / (1 - b1**2 * b2**2)
    return (
        Step(
            "fluctuations",
            Equation(
                sp.Tuple(m, v),
                sp.Tuple(
                    b1 * M + forget * z + drift_of,
                    1 + b2 * D + forget2 * (z**2 - 1) + 2 * drift_of * (b2 * S + forget2 * z) + drift_of**2,
                ),
            ),
            "AdamW's own m = M + μ and v = 1 + D + 2μS + μ² after a gradient μ + z (in units of σ): M, D and S are "
            "linear in the past of z, z² − 1 and z",
            Identity(),
        ),
        Step(
            "moments",
            Equation(sp.Tuple(*PAIRS), sp.Tuple(*values, both)),
            "E M², E D², E MS, E M²D and E M²D² that one more Gaussian gradient (E z⁴ = 3, E z⁶ = 15) leaves alone",
            Solve(conditions=stationary(PAIRS)),
        ),
        Step(
            "higher moments",
            Equation(
                sp.Tuple(*HIGHER),
                sp.Tuple(
                    8 * forget2**3 / (1 - b2**3),
                    3 * values[1] ** 2 + 48 * forget2**4 / (1 - b2**4),
                    2 * forget * forget2**2 / (1 - b1 * b2**2),
                    values[2] * values[1] + 8 * forget * forget2**3 / (1 - b1 * b2**3),
                    values[2] * 8 * forget2**3 / (1 - b2**3)
                    + 6 * values[1] * forget * forget2**2 / (1 - b1 * b2**2)
                    + 48 * forget * forget2**4 / (1 - b1 * b2**4),
                ),
            ),
            "and E D³, E D⁴, E MSD, E MSD² and E MSD³, for the next order",
            Solve(conditions=stationary(HIGHER), uses=("moments",)),
        ),
    )  # fmt: skip
