"""The risk of an average of independent targets under a schedule (T2): closed forms, the least there is, who has it."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1

from ..optimizers import AdamW
from ..schedules import WSD, Harmonic, Linear, Schedule
from . import symbols as sym
from .assumptions import Assumptions, between, integer, positive
from .checks import Antiderivative, Identity
from .derivation import Brute, Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .iid_targets import signal, y
from .incomplete_gamma import GAMMA_OF_THREE_HALVES, gammainc
from .lemmas import EXP_LOG, EXPM1, LOG1P, SUM_LINEARITY, Lemma, apply, each_sum
from .limits import Limit, Solve
from .schedule_kernels import delta, tau, update_step

u = sp.Symbol("u", positive=True)  # the share that is left
d = sp.Symbol("d", positive=True)  # the share of the run over which WSD decays
i, T = sym.i, sp.Symbol("T", integer=True, positive=True)
share = sp.Function("c", real=True)  # what the average holds of each target
first = sp.Symbol("p_0", real=True)  # and of the initial weight
level = signal / (1 + signal)
three_halves = sp.Rational(3, 2)


def written_as_product(term: Expression, index: Expression, low: Expression, high: Expression) -> Expression:
    unchanged = term.has(index) or not (high - low + 1).is_nonnegative
    return sp.Sum(term, (index, low, high)) if unchanged else (high - low + 1) * term


CONSTANT_SUM = Lemma("sum of a constant", "Σ_{i=m}^n c = (n − m + 1)c for n + 1 ≥ m",
                     lambda e, _: each_sum(e, written_as_product))  # fmt: skip


def parts(schedule: Schedule, after: bool = True) -> tuple[Expression, Expression]:
    """Shape and integral of the schedule itself in u = 1 − x, of the last piece or the first."""
    found = []
    for e in (schedule.bare_shape(sym.xp, 1 - u), schedule.bare_integral(sym.xp, 1 - u)):
        plain = apply((LOG1P, EXPM1), sp.sympify(e), Assumptions((between(u, 0, 1),)))
        pieces = plain.replace(lambda p: isinstance(p, sp.Piecewise), lambda p: p.args[1][0] if after else p.args[0][0])
        found.append(sp.expand(pieces))
    return found[0], found[1]


def squared(schedule: Schedule, after: bool = True) -> Expression:
    """p² of the density p = y s e^{−yS}."""
    shape, integral = parts(schedule, after)
    return (y * shape * sp.exp(-y * integral)) ** 2


DECAYING = WSD().substituted(decay=d)
late = sp.sqrt(sp.pi * y / d) / 4 * gammainc(three_halves, y * d)
early = -y / 2 * sp.exp(-y * d) * expm1(-2 * y * (1 - d))
of_linear = sp.sqrt(sp.pi * y) / 4 * gammainc(three_halves, y)
of_harmonic = (signal + y**2) / (1 + y) ** 2


def bound_steps() -> tuple[Step, ...]:
    total = sp.Sum(share(i), (i, 1, T))
    squares = T * sp.Sum((share(i) - level / T) ** 2, (i, 1, T)) + signal * (first - 1 / (1 + signal)) ** 2
    risk = signal * first**2 + T * sp.Sum(share(i) ** 2, (i, 1, T))
    return (
        Step(
            "shares",
            Equation(first, 1 - total),
            "the shares of an average add up to one, the initial weight's with the rest (adamw-ema)",
            Solve(conditions=(Equation(first + total, 1),)),
        ),
        Step(
            "bound",
            Equation(risk - level, squares),
            "T/σ² times the risk, K p_0² + T Σc², exceeds K/(K + 1) by squares: no schedule does better (Cauchy and "
            "Schwarz), and equality needs c = K/((K + 1)T) at every step and p_0 = 1/(K + 1)",
            Identity(uses=("shares",), lemmas=(SUM_LINEARITY, CONSTANT_SUM)),
        ),
    )


def closed_steps() -> tuple[Step, ...]:
    before = parts(DECAYING, after=False)[1]
    harmonic = Harmonic().substituted(timescale=1 / y)
    shape, integral = parts(harmonic)
    return (
        Step(
            "decay",
            Equation(sp.Integral(squared(DECAYING), (u, 0, d)), late),
            "∫p² of WSD while the rate falls, in u = 1 − x, where p = (u y/d) e^{−y u²/(2d)}",
            Antiderivative(
                certificate=sp.sqrt(sp.pi * y / d) / 4 * gammainc(three_halves, y * u**2 / d),
                lemmas=(GAMMA_OF_THREE_HALVES,),
            ),
        ),
        Step(
            "plateau",
            Equation(sp.Integral(squared(DECAYING, after=False), (u, d, 1)), early),
            "and while it is constant",
            Antiderivative(certificate=-y / 2 * sp.exp(-2 * y * before), lemmas=(EXPM1,)),
        ),
        Step(
            "WSD",
            Equation(signal * sp.exp(-y * before.subs(u, 1)) ** 2 + sp.Integral(squared(DECAYING), (u, 0, d)) + early,
                     signal * sp.exp(-y * (2 - d)) + late + early),
            "with the initial weight's share e^{−y(1 − d/2)}",
            Identity(uses=("decay",)),
        ),
        Step(
            "linear",
            Equation(signal * sp.exp(-y) + (late + early).subs(d, 1), signal * sp.exp(-y) + of_linear),
            "a linear decay to zero is WSD that decays all the time",
            Identity(),
            shown=signal * sp.exp(-y) + sp.Subs(late + early, d, 1),
        ),
        Step(
            "constant",
            Equation(signal * sp.exp(-y * (2 - d)) + late + early,
                     signal * sp.exp(-2 * y) + y / 2 * (1 - sp.exp(-2 * y))),
            "and without decay it is the constant rate's risk",
            Limit(variable=d, to=sp.Integer(0), lemmas=(GAMMA_OF_THREE_HALVES, EXPM1)),
        ),
        Step(
            "harmonic density",
            Equation(y * shape * sp.exp(-y * integral), y / (1 + y)),
            "the harmonic schedule whose timescale is τ weighs every target alike",
            Identity(lemmas=(LOG1P, EXP_LOG)),
        ),
        Step(
            "harmonic",
            Equation(signal * sp.exp(-2 * y * integral.subs(u, 1)) + (y / (1 + y)) ** 2, of_harmonic),
            "∫p² is p² then, and the initial weight keeps 1/(1 + y)",
            Identity(lemmas=(LOG1P, EXP_LOG)),
        ),
        Step(
            "harmonic above the least",
            Equation(of_harmonic - level, (y - signal) ** 2 / ((1 + signal) * (1 + y) ** 2)),
            "it reaches the least risk of all schedules, at y = K, that is τ = 1/K",
            Identity(),
        ),
    )  # fmt: skip


def risk_of(schedule: Schedule) -> Callable[[Point], Number]:
    """K p_0² + ∫p² by quadrature over the schedule's own shape and integral, on mpmath numbers."""

    def risk(point: Point) -> Number:
        scale, width = as_real(point[y]), as_real(point[d])
        held = {"final": mpmath.mpf(0), "decay": width, "timescale": 1 / scale}
        record = schedule.substituted(**{name: held[name] for name in schedule.field_values() if name in held})

        def density(at: Number) -> Number:
            left = mpmath.exp(-scale * record.bare_integral(sym.numbers, at))
            return scale * record.bare_shape(sym.numbers, at) * left

        initial = mpmath.exp(-scale * record.bare_integral(sym.numbers, mpmath.mpf(0)))
        return as_real(point[signal]) * initial**2 + mpmath.quad(lambda at: density(at) ** 2, [0, 1 - width, 1])

    return risk


def excess_of_a_run(point: Point) -> Brute:
    """What AdamW itself averages over T steps at random rates: each share from a run with one target that is not 0.

    With β₁ = β₂ = 0 and ε = 1 a gradient −1 is the update −½ and the target 1/(2λ).
    """
    record = AdamW(lr=1.0, weight_decay=0.1).substituted(beta1=0, beta2=0, eps=1)
    count, decay = int(point[T]), mpmath.mpf(1) / 2

    def end(start: Number, pulse: int) -> Number:
        slope, rate = (lambda k, state: -1 if k == pulse else 0), point[sym.eta_t]
        states = sym.run(record, start, count, slope, rate, lambda k: decay)
        return states[-1].weight

    shares = [end(0, k) * 2 * decay for k in range(1, count + 1)]
    initial, scale = end(1, 0), as_real(point[signal])
    value = scale * initial**2 + count * sum(c * c for c in shares) - scale / (1 + scale)
    return Brute(value, {share: lambda k: shares[k - 1], first: initial})


def schedule_risk() -> Derivation:
    """T2: schedules in the model of independent targets."""
    return Derivation(
        name="schedule-risk",
        title="Independent targets: the risk of AdamW's average under schedules, and the least of all",
        statement=(
            "With K = TS and y = 1/τ_run the risk of the average is σ²/T times K p_0² + ∫p². It is at least K/(K + 1), "
            "which the harmonic schedule reaches at τ_run = 1/K; closed forms are given for the constant rate, linear "
            "decay to zero and WSD."
        ),
        assumptions=Assumptions(
            (
                positive(signal), positive(y), between(d, 0, 1), between(u, 0, 1), integer(T, 1, most=3),
                between(sym.eta_t, 0, 1), positive(delta), positive(tau), integer(sym.t),
            ),
        ),
        steps=(update_step(), *bound_steps(), *closed_steps()),
        results={
            "wsd_risk": "WSD", "linear_risk": "linear", "harmonic_risk": "harmonic", "excess": "bound",
            "harmonic_excess": "harmonic above the least",
        },
        brute_force={
            "wsd_risk": risk_of(WSD()), "linear_risk": risk_of(Linear()),
            "harmonic_risk": risk_of(Harmonic(timescale=1)),
            "excess": excess_of_a_run,
            "harmonic_excess": lambda point: risk_of(Harmonic(timescale=1))(point) - least(point),
        },
        source="THEORY.md, T2",
        arguments={signal: "signal_to_noise", y: "inverse_timescale", d: "decay"},
    )  # fmt: skip


def least(point: Point) -> Number:
    scale = as_real(point[signal])
    return scale / (1 + scale)


DERIVATIONS = {"schedule-risk": schedule_risk}
