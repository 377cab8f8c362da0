"""The best weight decay of a run of T steps of SGD from zero on a noisy quadratic: its onset and its ridge (Q11)."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from . import best_decay
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .incomplete_gamma import GAMMA_OF_TWO, gammainc
from .lemmas import EXP_LOG, LOG1P
from .limits import Limit, Series, Solve
from .sgd_quadratic import kept, rate, risk_steps, variance, weights

i, j, t, eta, lam, h, theta = x.i, x.j, x.t, x.eta, x.lam, x.h, x.theta
k, p = sp.symbols("k p", positive=True)  # 1 − η(h + λ), what a step keeps of a deviation, and h + λ
left, built, built_square = sp.symbols("X G G_2", positive=True)  # k^T, G(k) and G(k²)
missing, missing_square = sp.symbols("M M_2", positive=True)  # 1 − G(k) and 1 − G(k²)
bias_slope, noise_slope = sp.symbols("A' V'", real=True)
q, y = sp.symbols("q y", positive=True)  # 1/k without decay, and the run in units of 1/(ηh)
d = sp.Symbol("d", integer=True, nonnegative=True)  # coordinates
count = sp.Symbol("T", positive=True)
small = sp.Symbol("delta", positive=True)
balance, shift, onset = sp.symbols("sigma_ridge^2 Delta sigma_onset^2", positive=True)
total = h + lam
none = {lam: sp.Integer(0)}
# Checks leave what a definition stands for as it is, and write λ and η by p and k: the same equations in fewer terms.
CLOSED = {letter: letter for letter in (k, p, left, built, built_square, missing, missing_square)}
BY_KEPT = {**CLOSED, lam: p - h, eta: (1 - k) / p}
WITHOUT = {**CLOSED, eta: (1 - k) / h}
STABLE = (GAMMA_OF_TWO, LOG1P, EXP_LOG)


def share(base: Expression, steps: Expression = t) -> Expression:
    """G(k) = 1 − Tk^{T−1} + (T − 1)k^T: how far the sensitivity to λ of what a run builds up has itself built up."""
    return 1 - steps * base ** (steps - 1) + (steps - 1) * base**steps


def stable_share(log: Expression) -> Expression:
    """G(k) from −ln k, without the cancellation at k near 1."""
    return gammainc(2, t * log) - t * sp.exp(log - t * log) * gammainc(2, log)


def inverse_sum(base: Expression, steps: Expression) -> Expression:
    """P(q) = Σ_{s<T} (q^s − 1)/(q − 1)."""
    return (base**steps - 1 - steps * (base - 1)) / (base - 1) ** 2


log_kept = -log1p(-rate)
powers = sp.exp(-t * log_kept)
bias = (lam + h * left) / p  # of the mean, over −θ*
run_slope = h * (
    theta**2 * h * (lam + h * left) * built / p**3 - eta * variance * k * built_square / (p * (1 + k)) ** 2
)
long_slope = h * (theta**2 * h * lam / p**3 - eta * variance * k / (p * (1 + k)) ** 2)
ridge_noise = theta**2 * h * lam * (1 + k) ** 2 / (eta * p * k)
growth = h / (lam * p) + eta**2 * p / (k * (1 + k))  # of the ridge noise's logarithm with λ
onset_noise = theta**2 * h * left * built * (1 + k) ** 2 / (eta * k * built_square)
threshold = (sp.exp(y) - 1 - y) / (sp.exp(2 * y) - 1 - 2 * y)
DEFINITIONS = {
    k: 1 - rate,
    p: total,
    left: powers,
    built: stable_share(log_kept),
    built_square: stable_share(2 * log_kept),
    missing: (t * rate / kept + 1) * powers,
    missing_square: (t * rate * (2 - rate) / kept**2 + 1) * powers**2,
}
PLAIN = {k: kept, p: total, left: kept**t, built: share(kept), built_square: share(kept**2)}


def plain(e: Expression) -> Expression:
    """An expression in η, h and λ alone, by powers of 1 − η(h + λ)."""
    return e.subs(PLAIN)


def stable(e: Expression) -> Expression:
    """The same in a form that loses no digits."""
    return e.subs(DEFINITIONS)


def slope_steps() -> tuple[Step, ...]:
    risk = risk_steps()[0].equation.lhs.subs(x.w0, 0)
    spread = eta * variance / (total * (2 - rate)) * (1 - kept ** (2 * t))
    bias_fall, noise_fall = h * built / p**2, -2 * eta * variance * k * built_square / (p * (1 + k)) ** 2
    whole = h / 2 * (noise_slope + 2 * theta**2 * bias * bias_slope)
    letters = (h, theta, variance, k, p, left, built, built_square, bias_slope, noise_slope)
    each = {letter: sp.Function(str(letter), positive=True)(i) for letter in letters}
    of_each = {each[bias_slope]: bias_fall.subs(each), each[noise_slope]: noise_fall.subs(each)}
    return (
        Step(
            "risk",
            Equation(risk, h / 2 * (spread + (theta * (lam + h * kept**t) / total) ** 2)),
            "the risk after T steps of derivation sgd-quadratic, from w₀ = 0: noise and bias. Only θ*² occurs, so that "
            "it may as well be a mean square",
            Identity(where=BY_KEPT),
        ),
        Step(
            "bias grows",
            Equation(bias_slope, bias_fall),
            "the derivative by λ of (λ + hk^T)/(h + λ), with k = 1 − η(h + λ), G(k) = 1 − Tk^{T−1} + (T − 1)k^T",
            Identity(where={**BY_KEPT, bias_slope: sp.diff(plain(bias), lam), built: share(k)}),
        ),
        Step(
            "noise falls",
            Equation(noise_slope, noise_fall),
            "and that of the variance, with G₂ = G(k²)",
            Identity(where={**BY_KEPT, noise_slope: sp.diff(spread, lam), built_square: share(k**2)}),
        ),
        Step(
            "share",
            Equation(share(k, t + 1), (1 - k) ** 2 * sp.Sum(j * k ** (j - 1), (j, 1, t))),
            "G is positive after two steps and 0 after one: from w₀ = 0 the first step does not depend on λ",
            Induction(variable=t, where=CLOSED),
        ),
        Step(
            "stable share",
            Equation(
                sp.Tuple(share(kept), share(kept**2), 1 - share(kept), 1 - share(kept**2), kept**t),
                sp.Tuple(*map(DEFINITIONS.get, (built, built_square, missing, missing_square, left))),
            ),
            "G, G₂, M = 1 − G, M₂ = 1 − G₂ and X = k^T in forms that lose no digits at small η(h + λ); P(2, z) is the "
            "regularised incomplete gamma function",
            Identity(lemmas=STABLE, where=BY_KEPT),
        ),
        Step(
            "slope",
            Equation(whole, run_slope),
            "the derivative of the risk by λ: decay costs bias and saves noise",
            Identity(uses=("bias grows", "noise falls"), where=CLOSED),
        ),
        Step(
            "slope without decay",
            Equation(plain(run_slope).subs(none), stable(run_slope).subs(none)),
            "its sign at λ = 0: where it is negative some decay lowers the risk",
            Identity(lemmas=STABLE, where=WITHOUT),
        ),
        Step(
            "spectrum",
            Equation(sp.Sum(whole.subs(each), (i, 1, d)), sp.Sum(run_slope.subs(each), (i, 1, d))),
            "coordinates share λ alone: the slopes of a spectrum add up, and the best λ is where the sum vanishes",
            Induction(variable=d, where={**CLOSED, **of_each}),
        ),
    )  # fmt: skip


def onset_steps() -> tuple[Step, ...]:
    r = kept.subs(none)
    signal, noise = sp.symbols("S N", positive=True)
    plain_noise = plain(onset_noise).subs(none)
    gain = (q**j - 1) / (q - 1)
    return (
        Step(
            "onset",
            Equation(
                plain(run_slope).subs(none),
                eta**2 * h * r ** (2 * t - 3)
                * (r * h * theta**2 * inverse_sum(1 / r, t) - eta * variance * inverse_sum(1 / r**2, t)),
            ),
            "at λ = 0, with P(q) = (q^T − 1 − T(q − 1))/(q − 1)² and q = 1/(1 − ηh)",
            Identity(where=WITHOUT),
        ),
        Step(
            "onset term by term",
            Equation(
                sp.Sum(gain * (signal - noise * (q**j + 1) / (q + 1)), (j, 1, t)),
                signal * inverse_sum(q, t + 1) - noise * inverse_sum(q**2, t + 1),
            ),
            "with S = (1 − ηh)hθ*², N = ησ²: the brackets fall from S − N on. For N ≥ S no term is positive, and decay "
            "helps in runs of any length; for N < S the terms turn negative once and grow as q^{2s}, so that the sum "
            "changes sign once: an onset in T",
            Induction(variable=t),
        ),
        Step(
            "onset noise",
            Equation(onset, plain_noise),
            "the noise at which λ = 0 is stationary: with less the best decay is 0, with more it is positive",
            Solve(conditions=(Equation(plain(run_slope).subs(none).subs(variance, onset), 0),)),
        ),
        Step(
            "stable onset noise",
            Equation(plain_noise, stable(onset_noise).subs(none)),
            "in a form that loses no digits at small ηh",
            Identity(lemmas=STABLE, where=WITHOUT),
        ),
        Step(
            "continuum",
            Equation(
                (eta * plain_noise / (h * theta**2 * (2 - eta * h) ** 2)).subs(eta, small / h).subs(t, y / small),
                threshold,
            ),
            "ησ²/(hθ*²(2 − ηh)²) at the onset, as ηh = δ → 0 at a given y = ηhT: decay helps if and only if "
            "ησ²/(4hθ*²) > (e^y − 1 − y)/(e^{2y} − 1 − 2y)",
            Limit(variable=small, to=0),
        ),
        Step(
            "falling threshold",
            Equation(
                sp.diff(threshold, y),
                -(sp.exp(y) - 1) * (sp.exp(2 * y) - 1 - 2 * y * sp.exp(y)) / (sp.exp(2 * y) - 1 - 2 * y) ** 2,
            ),
            "negative, since sinh y > y: a longer run needs less noise for decay to help",
            Identity(),
        ),
        Step(
            "threshold of short runs",
            Equation(threshold, sp.Rational(1, 4)),
            "so there is an onset only for ησ² < hθ*²; with ησ² between that and 4hθ*² decay helps from the start, and "
            "the ridge is finite",
            Limit(variable=y, to=0),
        ),
        Step(
            "threshold of long runs",
            Equation(threshold * sp.exp(y), 1),
            "with little noise the onset is at T = ln(4hθ*²/(ησ²))/(ηh)",
            Limit(variable=y),
        ),
    )  # fmt: skip


def single_steps() -> tuple[Step, ...]:
    kernel = share(k) * (1 + k) ** 2 / (k * share(k**2))
    excess = (1 + k) * inverse_sum(1 / k**2, t) - 2 * k * inverse_sum(1 / k, t)
    return (
        Step(
            "noise saved falls",
            Equation(
                sp.diff(sp.log(kernel), k),
                -(1 - k) / (k * (1 + k))
                - t * (t - 1) * (1 - k) ** 3 * (1 + k) * k ** (3 * t - 6) * excess / (share(k) * share(k**2)),
            ),
            "the slope is negative if and only if ησ² > θ*²·h(λ + hk^T)/(h + λ)·G(1 + k)²/(kG₂). The first factor "
            "grows with λ; the second falls with k, as P(1/k²) ≥ P(1/k) and 1 + k ≥ 2k, and so grows with λ too. On "
            "0 ≤ λ < 1/η − h the slope thus changes sign at most once, from − to +: where it is ≥ 0 at λ = 0 the best "
            "decay is 0, else positive",
            Identity(where=CLOSED),
        ),
        Step(
            "beyond",
            Equation(
                (1 - k ** (t + 1)) / (1 - k) - (1 - (-k) ** (t + 1)) / (1 + k),
                sp.Sum(k**j * (1 - (-1) ** j), (j, 0, t)),
            ),
            "with −k in place of k the variance is the same and the bias, 1 − ηh(1 − k^T)/(1 − k) > 0, is larger; "
            "where k would need λ < 0, λ = 0 has less of both. So no stable λ > 1/η − h is best",
            Induction(variable=t, where=CLOSED),
        ),
    )


def ridge_steps() -> tuple[Step, ...]:
    scaled = {eta: eta * small, variance: variance / small}
    ratio = (1 + h * left / lam) * (1 - left * (1 + count * (1 - k) / k))
    ratio /= 1 - left**2 * (1 + count * (1 - k**2) / k**2)
    return (
        Step(
            "long run",
            Equation(run_slope.subs({left: k**t, built: share(k), built_square: share(k**2)}), long_slope),
            "what is left of the start falls as Tk^T",
            Limit(variable=t, decaying=(k,), where=CLOSED),
        ),
        Step(
            "ridge noise",
            Equation(balance, ridge_noise),
            "the noise for which λ is the best decay of a long run: T does not occur",
            Solve(conditions=(Equation(long_slope.subs(variance, balance), 0),), where=CLOSED),
        ),
        Step(
            "one ridge",
            Equation(sp.diff(sp.log(plain(ridge_noise)), lam), growth),
            "it grows with λ from 0, without bound as λ → 1/η − h: to any noise belongs one ridge",
            Identity(where=BY_KEPT),
        ),
        Step(
            "small rate",
            Equation((eta * plain(ridge_noise)).subs(scaled), 4 * theta**2 * h * lam / total),
            "at small η and a given ησ², with an error of second order in η(h + λ)",
            Series(variable=small, order=2),
        ),
        Step(
            "ridge at a small rate",
            Equation(
                (4 * theta**2 * h * lam / total).subs(lam, best_decay.solution.subs(best_decay.theta, theta)),
                eta * variance,
            ),
            "which is solved by the best decay of derivation best-decay, where 4hθ*² > ησ²",
            Identity(),
        ),
        Step(
            "what a run leaves",
            Equation(ratio, 1 + left * (h / lam - 1 - count * (1 - k) / k)),
            "the noise for which λ is the best decay of T steps, over the ridge noise, to first order in X = k^T",
            Series(variable=left, order=2, where=CLOSED),
        ),
        Step(
            "shift",
            Equation(shift, left * (count * (1 - k) / k + 1 - h / lam) / growth),
            "how far the best decay of T steps is from the ridge λ, to first order in X: as T grows it comes to the "
            "ridge from above, with an error of order Tk^T",
            Solve(conditions=(Equation(shift * growth + left * (h / lam - 1 - count * (1 - k) / k), 0),), where=CLOSED),
        ),
    )  # fmt: skip


def transient_steps() -> tuple[Step, ...]:
    per_bias, per_noise = h**2 * theta**2 / p**3, h * eta * variance / (p * (1 + k)) ** 2
    transient = per_bias * (h * left * built - lam * missing) + per_noise * k * missing_square
    above = per_bias * h * left + per_noise * t * left**2 / k
    below = per_bias * lam * t * left / k
    shares = {built: 1 - missing, built_square: 1 - missing_square}
    by_powers = {missing: t * left / k - (t - 1) * left, missing_square: t * left**2 / k**2 - (t - 1) * left**2}
    return (
        Step(
            "transient",
            Equation(run_slope - long_slope, transient),
            "what a run of T steps adds to the slope of a long one",
            Identity(where={**CLOSED, **shares}),
        ),
        Step(
            "bounds",
            Equation(
                sp.Tuple(above - transient, transient + below),
                sp.Tuple(
                    per_bias * (h * left + lam) * missing + per_noise * k * (t - 1) * left**2,
                    per_bias * (h * left * built + lam * (t - 1) * left) + per_noise * k * missing_square,
                ),
            ),
            "both are positive, so that the transient lies between −h²θ*²λTk^{T−1}/(h + λ)³ and h³θ*²k^T/(h + λ)³ + "
            "hησ²Tk^{2T−1}/((h + λ)²(1 + k)²): summed over a spectrum it falls as Tk^T of the smallest curvature, at "
            "every λ",
            Identity(where={**CLOSED, **by_powers, built: 1 - missing}),
        ),
    )  # fmt: skip


def steps() -> tuple[Step, ...]:
    return slope_steps() + onset_steps() + single_steps() + ridge_steps() + transient_steps()


def exact_risk(point: Point, decay: Number, noise: Number, steps: int) -> Number:
    """½h E(w − θ*)² after a run of SGD itself: the mean, and the sum of the squared responses to one noise."""
    given = {**point, lam: decay, x.w0: 0}
    bias = weights(given, steps, lambda k: 0)[-1] - as_real(point[theta])
    response = weights({**given, variance: 1}, steps, lambda k: int(k == 1), optimum=0)
    return as_real(point[h]) / 2 * (noise * sum(w * w for w in response) + bias * bias)


def derivative(value: Callable[[Number], Number], at: Number) -> Number:
    """By central differences at twice the digits."""
    with mpmath.workdps(2 * mpmath.mp.dps):
        step = mpmath.mpf(10) ** -35
        return (value(at + step) - value(at - step)) / (2 * step)


def slope_of(point: Point, noise: Number | None = None, decay: Number | None = None) -> Number:
    c = as_real(point[variance]) if noise is None else noise
    at = as_real(point[lam]) if decay is None else decay
    return derivative(lambda decay: exact_risk(point, decay, c, point[t]), at)


def slope_at_zero(point: Point) -> Number:
    return slope_of(point, decay=mpmath.mpf(0))


def noise_at_zero(point: Point) -> Number:
    """The root of the slope at λ = 0, which is affine in the noise."""
    without, with_one = (slope_of(point, mpmath.mpf(c), mpmath.mpf(0)) for c in (0, 1))
    return without / (without - with_one)


def long_slope_of(point: Point, noise: Number | None = None) -> Number:
    c = as_real(point[variance]) if noise is None else noise
    with mpmath.workdps(2 * mpmath.mp.dps):
        keep = 1 - as_real(point[eta]) * (as_real(point[h]) + as_real(point[lam]))
        last = int(2.5 * mpmath.mp.dps / -mpmath.log(keep)) + 2
    return derivative(lambda decay: exact_risk(point, decay, c, last), as_real(point[lam]))


def noise_of_ridge(point: Point) -> Number:
    without, with_one = (long_slope_of(point, mpmath.mpf(c)) for c in (0, 1))
    return without / (without - with_one)


def transient_of(point: Point) -> Number:
    return slope_of(point) - long_slope_of(point)


def run_decay() -> Derivation:
    """Q11: the best decay of a run from zero at a constant rate."""
    return Derivation(
        name="best-decay-run",
        title="The best weight decay of a run of T steps of SGD from zero: onset and ridge",
        statement=(
            "From w₀ = 0 at a constant η with η(h+λ) < 1, some decay lowers the risk after T ≥ 2 steps if and only if "
            "ησ²P(q²) > (1−ηh)hθ*²P(q), P(q) = (q^T − 1 − T(q−1))/(q−1)², q = 1/(1−ηh): always for "
            "ησ² > (1−ηh)hθ*², otherwise from one T on. As T grows the best λ comes to a ridge that does not depend on "
            "T, from above and with an error of order T(1−η(h+λ))^T, so that τ_run falls as 1/T."
        ),
        assumptions=Assumptions(
            (
                integer(t, 2, most=4), positive(h), positive(lam), positive(theta), positive(variance),
                between(eta, 0, 1 / (h + lam)), between(k, 0, 1), between(q, 1, 8),
            ),
            (sp.Lt(rate, 1), sp.Lt(eta * h, 1)),
        ),
        definitions=DEFINITIONS,
        steps=steps(),
        results={
            "slope": "slope", "slope_without_decay": "slope without decay",
            "onset_noise": "stable onset noise", "ridge_noise": "ridge noise", "long_slope": "long run",
            "transient": "transient",
        },
        brute_force={
            "slope": slope_of, "slope_without_decay": slope_at_zero, "onset_noise": noise_at_zero,
            "ridge_noise": noise_of_ridge, "long_slope": long_slope_of, "transient": transient_of,
        },
        source="THEORY.md, Q11",
        arguments={
            eta: "lr", lam: "weight_decay", h: "curvature", variance: "noise_variance", theta: "optimum", t: "steps",
        },
        corrects=(
            "that below an onset in T the best decay is 0: with ησ² ≥ (1−ηh)hθ*² there is no onset, decay helps from "
            "T = 3 on; that T ≫ 1/(ηh) suffices for the ridge: with little noise the error is first (h/λ)k^T, so that "
            "T must pass ln(h/λ)/(ηh) as well; and that without 4hθ*² > ησ² no λ is best (Q7): at a finite η one is, "
            "below 1/η − h"
        ),
    )  # fmt: skip


DERIVATIONS = {"best-decay-run": run_decay}
