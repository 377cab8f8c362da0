"""The schedules under which AdamW averages uniformly (E6): for constant decay, and for decay that follows the rate."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, Domain, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Brute, Derivation, Step
from .ema import direction, last_weight
from .equations import Definitions, Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import SUM_LINEARITY
from .limits import Series, Solve

i, t, eta, lam, w0 = x.i, x.t, x.eta, x.lam, x.w0
rate_t, alpha, w, u, q = x.eta_t, x.alpha_t, x.w_t, x.u_t, x.q_t
kappa = sp.Symbol("kappa", positive=True)  # λ_t/η_t
now, following = sp.symbols("eta_j eta_k", positive=True)  # the rates of two consecutive steps
time = sp.Symbol("s", positive=True)  # steps as a real number

harmonic = eta / (1 + lam * eta * (t - 1))
first_decay = kappa * eta**2  # α_1 where λ_t = κη_t
inverse_root = eta / sp.sqrt(1 + first_decay * (t - 1))
falling_decay = first_decay / (1 + first_decay * (t - 1))
in_continuum = eta / sp.sqrt(1 + 2 * first_decay * time)
ADAMW = AdamW(lr=1.0, weight_decay=0.1)


def code(decay: Expression) -> Definitions:
    """AdamW's own update with λ_{t+1} = `decay`, and its direction u."""
    clock = SymbolicTime(step=t + 1, lr=rate_t(t + 1), weight_decay=decay)
    record = x.with_symbols(ADAMW)
    return {w(t + 1): x.symbolic_update(record, clock).weight, u(t + 1): direction(record, clock)}


def by_induction(recurrence: str, where: Definitions) -> Induction:
    return Induction(
        variable=t, recurrence=(recurrence,), initial={w(0): w0}, lemmas=(SUM_LINEARITY,), where=where
    )  # fmt: skip


def constant_decay_steps() -> tuple[Step, ...]:
    total = 1 + lam * eta * (t - 1)
    equal = Equation(rate_t(t) * (1 - lam * rate_t(t + 1)), rate_t(t + 1))
    return (
        Step(
            "update",
            Equation(w(t + 1), (1 - lam * rate_t(t + 1)) * w(t) - rate_t(t + 1) * u(t + 1)),
            "AdamW's own update with a schedule of the rate and constant λ",
            Identity(where=code(lam)),
        ),
        Step(
            "next rate",
            Equation(rate_t(t + 1), rate_t(t) / (1 + lam * rate_t(t))),
            "after the next step an update of weight η_t has the weight η_t (1 − λη_{t+1}); the new one has η_{t+1}; "
            "they are equal for this rate and no other",
            Solve(conditions=(equal,)),
        ),
        Step(
            "rate",
            Equation(rate_t(t), harmonic),
            "by induction from η_1 = η; it is also the weight of each update after t of them",
            Induction(variable=t, start=1, recurrence=("next rate",), initial={rate_t(1): eta}),
        ),
        Step(
            "uniform average",
            Equation(w(t), ((1 - lam * eta) * w0 - eta * sp.Sum(u(i), (i, 1, t))) / total),
            "with these rates, by induction, every update has exactly the same weight in w_t",
            by_induction("update", {rate_t(t): harmonic}),
        ),
        Step(
            "initial weight left",
            Equation(1 - lam * t * harmonic, (1 - lam * eta) / total),
            "what the t weights, times λ, leave of one: w_t is a mean of w_0 and q = −u/λ",
            Identity(),
        ),
    )


def equal_updates_steps() -> tuple[Step, ...]:
    root = sp.sqrt(1 + 4 * kappa * now**2)
    equal = Equation(now * (1 - kappa * following**2), following)
    next_rate = 2 * now / (1 + root)
    separated = Equation(1 / (2 * kappa * following**2) - 1 / (2 * kappa * eta**2), time)
    return (
        Step(
            "update",
            Equation(w(t + 1), (1 - kappa * rate_t(t + 1) ** 2) * w(t) - rate_t(t + 1) * u(t + 1)),
            "AdamW's own update with λ_t = κη_t",
            Identity(where=code(kappa * rate_t(t + 1))),
        ),
        Step(
            "next rate in plain form",
            Equation(following, (root - 1) / (2 * kappa * now)),
            "equal weights on updates need η_j (1 − κη_k²) = η_k for consecutive steps j and k",
            Solve(conditions=(equal,), among=between(following, 0, now)),
        ),
        Step(
            "next rate",
            Equation((root - 1) / (2 * kappa * now), next_rate),
            "in a form that loses no digits at small κη²",
            Identity(),
        ),
        Step(
            "small steps",
            Equation(next_rate, now - kappa * now**3),
            "the rate falls by κη³ a step, up to order η⁵",
            Series(variable=now, order=5),
        ),
        Step(
            "rate in the continuum",
            Equation(following, in_continuum),
            "dη/dt = −κη³ makes 1/(2κη²) grow by one a step, from η",
            Solve(conditions=(separated,), among=between(following, 0, eta)),
        ),
        Step(
            "differential equation",
            Equation(sp.Derivative(in_continuum, time), -kappa * in_continuum**3),
            "and this rate solves it",
            Identity(),
        ),
    )


def equal_targets_steps() -> tuple[Step, ...]:
    average = ((1 - first_decay) * w0 + first_decay * sp.Sum(q(i), (i, 1, t))) / (1 + first_decay * (t - 1))
    wanted = Equation(kappa * following**2, falling_decay)
    as_average = {q(t + 1): -u(t + 1) / (kappa * rate_t(t + 1)), alpha(t + 1): kappa * rate_t(t + 1) ** 2}
    return (
        Step(
            "ema",
            Equation(w(t + 1), (1 - alpha(t + 1)) * w(t) + alpha(t + 1) * q(t + 1)),
            "the same update as an average of q = −u/λ, with α = κη²",
            Identity(uses=("update",), where=as_average),
        ),
        Step(
            "next decay",
            Equation(alpha(t + 1), alpha(t) / (1 + alpha(t))),
            "equal weights on q need α_t (1 − α_{t+1}) = α_{t+1}",
            Solve(conditions=(Equation(alpha(t) * (1 - alpha(t + 1)), alpha(t + 1)),)),
        ),
        Step(
            "decay",
            Equation(alpha(t), falling_decay),
            "by induction from α_1 = κη²",
            Induction(variable=t, start=1, recurrence=("next decay",), initial={alpha(1): first_decay}),
        ),
        Step(
            "rate for equal targets",
            Equation(following, inverse_root),
            "α = κη² gives the rate: exact at every step, not only in the continuum",
            Solve(conditions=(wanted,), among=positive(following)),
        ),
        Step(
            "uniform average of targets",
            Equation(w(t), average),
            "with these rates, by induction, every q has exactly the same weight in w_t",
            by_induction("ema", {alpha(t): falling_decay}),
        ),
    )


def repeated(step: Callable[[Point, Number], Number]) -> Callable[[Point], Number]:
    """The rate of step t by taking t − 1 steps from η."""

    def compute(point: Point) -> Number:
        rate = as_real(point[eta])
        for _ in range(point[t] - 1):
            rate = step(point, rate)
        return rate

    return compute


def run(
    rates: Callable[[Point], Callable[[int], Number]], decays: Callable[[Point, Number], Number], **given: Number
) -> Callable[[Point], Brute]:
    """AdamW itself with these rates and with the decay that goes with each; u and q = −u/λ as it made them."""

    def compute(point: Point) -> Brute:
        rate = rates(point)
        schedule = {rate_t: rate, x.lam_t: lambda k: decays(point, rate(k)), x.multiplier_t: lambda k: 1}
        changed = {w0: given["start"], x.g_t: lambda k: 0} if given else {}
        found = last_weight(ADAMW)({**point, **schedule, **changed})
        made = found.bindings[u]
        return Brute(found.value, {u: made, q: lambda k: -made(k) / decays(point, rate(k))})

    return compute


def harmonic_rates(point: Point) -> Callable[[int], Number]:
    return lambda k: as_real(point[eta]) / (1 + as_real(point[lam] * point[eta]) * (k - 1))


def inverse_root_rates(point: Point) -> Callable[[int], Number]:
    return lambda k: as_real(point[eta]) / mpmath.sqrt(1 + as_real(point[kappa] * point[eta] ** 2) * (k - 1))


def proportional(point: Point, rate: Number) -> Number:
    return as_real(point[kappa]) * rate


def next_rate_by_search(point: Point) -> Number:
    """The rate below the present one at which both updates weigh the same, by root finding."""
    present, slope = as_real(point[now]), as_real(point[kappa])
    return mpmath.findroot(lambda y: present * (1 - slope * y * y) - y, (0, present), solver="anderson", tol=1e-110)


def rate_by_integration(point: Point) -> Number:
    """The rate y that dη/dt = −κη³ reaches in the time given: ∫_y^η dz/(κz³) by quadrature, and root finding."""
    slope, first, passed = (as_real(point[letter]) for letter in (kappa, eta, time))

    def excess(y: Number) -> Number:
        return mpmath.quad(lambda z: 1 / (slope * z**3), [y, first]) - passed

    lowest = first / (1 + 2 * slope * first**2 * passed)
    return mpmath.findroot(excess, (lowest, first), solver="anderson", tol=1e-100)


def equal_target_rate(point: Point, rate: Number) -> Number:
    """The next rate y with rate² (1 − κy²) = y², by root finding."""
    slope = as_real(point[kappa])
    return mpmath.findroot(
        lambda y: rate**2 * (1 - slope * y * y) - y * y, (0, rate), solver="anderson", tol=1e-110
    )  # fmt: skip


DOMAINS: tuple[Domain, ...] = (
    integer(t, 1, most=5),
    between(eta, 0, 1),
    between(x.beta1, 0, 1),
    between(x.beta2, 0, 1),
    positive(x.eps),
    real(x.g_t),
    real(w0),
)


def uniform_averaging() -> Derivation:
    """E6 with constant λ: η/(1 + λη(t − 1)) gives every update the same weight."""
    constant_run = run(harmonic_rates, lambda point, rate: point[lam])
    return Derivation(
        name="uniform-averaging",
        title="The harmonic schedule averages uniformly",
        statement=(
            "With constant λ the rates η_{t+1} = η_t/(1 + λη_t), that is η/(1 + λη(t − 1)), and no others, give every "
            "update exactly the same weight in w_t; what is left of w_0 is (1 − λη)/(1 + λη(t − 1))."
        ),
        assumptions=Assumptions((*DOMAINS, positive(lam)), (sp.Lt(lam * eta, 1),)),
        steps=constant_decay_steps(),
        results={"rate": "rate", "weight": "uniform average", "initial_weight_left": "initial weight left"},
        brute_force={
            "rate": repeated(lambda point, rate: rate / (1 + as_real(point[lam]) * rate)),
            "weight": constant_run,
            "initial_weight_left": run(harmonic_rates, lambda point, rate: point[lam], start=1),
        },
        source="E6; arXiv 2405.13698 gives the average",
        arguments={eta: "lr", lam: "weight_decay", t: "steps"},
    )


def proportional_decay() -> Derivation:
    """E6 with λ_t = κη_t: the rates for equal weight on updates, and those for equal weight on q."""
    return Derivation(
        name="uniform-averaging-proportional-decay",
        title="Uniform averaging where the decay follows the rate",
        statement=(
            "With λ_t = κη_t every update has the same weight under η_k = [√(1 + 4κη_j²) − 1]/(2κη_j), in the "
            "continuum η/√(1 + 2κη²t); every q has under η/√(1 + κη²(t − 1)), which is exact."
        ),
        assumptions=Assumptions(
            (*DOMAINS, positive(kappa), between(now, 0, 1), positive(time)), (sp.Lt(first_decay, 1),)
        ),
        steps=equal_updates_steps() + equal_targets_steps(),
        results={
            "next_rate": "next rate",
            "continuum_rate": "rate in the continuum",
            "rate_for_equal_targets": "rate for equal targets",
            "weight": "uniform average of targets",
        },
        brute_force={
            "next_rate": next_rate_by_search,
            "continuum_rate": rate_by_integration,
            "rate_for_equal_targets": repeated(equal_target_rate),
            "weight": run(inverse_root_rates, proportional),
        },
        source="E6",
        corrects="η/√(1 + κη²t) for equal weight on q is quoted as a continuum limit; with t − 1 for t it is exact",
        arguments={eta: "lr", kappa: "decay_per_lr", t: "steps", now: "present_lr", time: "elapsed_steps"},
    )


DERIVATIONS = {"uniform-averaging": uniform_averaging, "uniform-averaging-proportional-decay": proportional_decay}
