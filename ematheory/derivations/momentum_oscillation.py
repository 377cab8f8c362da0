"""SGD with momentum and L2 beyond its real poles (M1): a gradient's weight oscillates, and there is no timescale."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import Lemma
from .limits import Solve
from .momentum_l2 import RECORD, loss, rate
from .random_walk import HALF_ANGLE
from .schedule_kernels import PYTHAGORAS

eta, lam, mu, t, w, m = x.eta, x.lam, x.mu, x.t, x.w_t, x.m_t
kept = sp.Symbol("s", positive=True)  # √μ
angle = sp.Symbol("psi", positive=True)  # the upper pole is √μ e^{iψ}
cosine, root = sp.symbols("c x", real=True)
steps_to = sp.Symbol("n", positive=True)
root_of_momentum = sp.sqrt(1 - loss)
BY_ANGLE = {mu: kept**2, lam: (1 + kept**2 - 2 * kept * sp.cos(angle)) / eta}


def angles_added(e: Expression, _: object) -> Expression:
    """sin and cos of sums and of whole multiples as products."""
    return e.replace(
        lambda y: isinstance(y, sp.sin | sp.cos), lambda y: sp.expand_trig(y.func(sp.expand(y.args[0])))
    )  # fmt: skip


def quotients_under_roots(e: Expression, _: object) -> Expression:
    """Under a root, φ/(1 + √(1 − φ)) as 1 − √(1 − φ), then numerator and denominator expanded, each monic in ηλ."""

    def monic(power: Expression) -> Expression:
        base = power.base.replace(
            lambda y: y.is_Pow and y.base == 1 + root_of_momentum and y.exp.is_negative,
            lambda y: ((1 - root_of_momentum) / loss) ** -y.exp,
        )
        parts = [sp.Poly(sp.expand(part), rate) for part in sp.fraction(sp.together(base))]
        top, bottom = (sp.expand(part.as_expr() / part.LC()) for part in parts)
        return sp.sqrt(sp.cancel(parts[0].LC() / parts[1].LC()) * top / bottom)

    return e.replace(lambda y: y.is_Pow and y.exp == sp.Rational(1, 2) and y.has(rate), monic)


QUOTIENTS = Lemma(
    "quotients under a root",
    "φ/(1 + √(1 − φ)) = 1 − √(1 − φ); numerator and denominator expanded",
    quotients_under_roots,
)
ANGLE_SUMS = Lemma("sums of angles", "sin(p + q) = sin p cos q + cos p sin q, and cos likewise", angles_added)


def steps() -> tuple[Step, ...]:
    new = x.symbolic_update(x.with_symbols(RECORD), x.clock(constant=True), gradient=sp.Integer(0))
    buffer = mu * m(t) + lam * w(t)
    matrix = sp.Matrix([[sp.diff(row, state) for state in (w(t), m(t))] for row in new])
    wave = kept**t * sp.sin((t + 1) * angle) / sp.sin(angle)
    before = kept ** (t - 1) * sp.sin(t * angle) / sp.sin(angle)
    return (
        Step(
            "update",
            Equation(sp.Tuple(w(t + 1), m(t + 1)), sp.Tuple(w(t) - eta * buffer, buffer)),
            "SGD's own update after a gradient has gone into the buffer",
            Identity(where={w(t + 1): new.weight, m(t + 1): new.momentum}),
        ),
        Step(
            "real poles",
            Equation((1 - kept**2 + rate) ** 2 - 4 * rate, (rate - (1 - kept) ** 2) * (rate - (1 + kept) ** 2)),
            "the discriminant of x² − (1 + μ − ηλ)x + μ (momentum-l2): the poles are real up to ηλ = (1 − √μ)², and "
            "again from (1 + √μ)² on",
            Identity(),
        ),
        Step(
            "complex poles",
            Equation((root * sp.eye(2) - matrix).det(), root**2 - 2 * kept * sp.cos(angle) * root + kept**2),
            "in between they are √μ e^{±iψ}, where ηλ = 1 + μ − 2√μ cos ψ",
            Identity(where=BY_ANGLE),
        ),
        Step(
            "wave",
            Equation(sp.Tuple(w(t), m(t)), sp.Tuple(-eta * wave, wave - before)),
            "by induction, t steps after a gradient 1, which makes w = −η and m = 1 of 0",
            Induction(
                variable=t,
                recurrence=("update",),
                initial={w(0): -eta, m(0): sp.Integer(1)},
                where=BY_ANGLE,
                lemmas=(ANGLE_SUMS, PYTHAGORAS),
            ),
        ),
        Step(
            "response",
            Equation(w(t), -eta * wave),
            "a gradient's weight is −ημ^{t/2} sin((t + 1)ψ)/sin ψ: its sign changes after π/ψ steps at most, so that "
            "no average of gradients is taken",
            Identity(uses=("wave",)),
        ),
        *number_steps(),
    )


def number_steps() -> tuple[Step, ...]:
    turn = (2 - loss - rate) / (2 * root_of_momentum)
    small = loss / (1 + root_of_momentum)  # 1 − √μ
    half = sp.sqrt((rate - small**2) / ((1 + root_of_momentum) ** 2 - rate))
    return (
        Step(
            "cosine",
            Equation(cosine, (1 + kept**2 - rate) / (2 * kept)),
            "cos ψ by ηλ",
            Solve(conditions=(Equation(rate, 1 + kept**2 - 2 * kept * cosine),)),
        ),
        Step(
            "period",
            Equation(2 * sp.pi / sp.acos(turn), sp.pi / sp.atan(half)),
            "the steps of one oscillation, 2π/ψ",
            Identity(lemmas=(HALF_ANGLE, QUOTIENTS)),
        ),
        Step(
            "envelope",
            Equation(steps_to, -2 / log1p(-loss)),
            "the steps in which its amplitude μ^{t/2} falls by e: twice the buffer's own −1/ln μ, whatever ηλ, so "
            "that more decay does not forget faster",
            Solve(conditions=(Equation(steps_to * log1p(-loss) / 2, -1),)),
        ),
    )


def upper_pole(point: Point) -> Number:
    """The eigenvalue above the real axis of what SGD itself does to the unit states."""
    record = RECORD.substituted(momentum=1 - as_real(point[loss]))
    time = SymbolicTime(as_real(1), as_real(1), as_real(point[rate]))
    c = record.coefficients(x.numbers, time)
    zero, one = mpmath.mpf(0), mpmath.mpf(1)
    columns = [record.update(x.numbers, record.State(*unit), zero, c) for unit in ((one, zero), (zero, one))]
    matrix = mpmath.matrix([[column[row] for column in columns] for row in (0, 1)])
    return max(mpmath.eig(matrix, left=False, right=False), key=mpmath.im)


def response_of(point: Point) -> Number:
    """The weight after SGD's own run of t steps after a gradient 1."""
    root_of_mu, lr = as_real(point[kept]), as_real(point[eta])
    decay = (1 + root_of_mu**2 - 2 * root_of_mu * mpmath.cos(as_real(point[angle]))) / lr
    record = RECORD.substituted(momentum=root_of_mu**2)
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, decay))
    state = record.initial(x.numbers, mpmath.mpf(0))
    for k in range(int(point[t]) + 1):
        state = record.update(x.numbers, state, as_real(k == 0), c)
    return state.weight


def momentum_oscillation() -> Derivation:
    """M1 where the poles are complex."""
    low, high = (1 - root_of_momentum) ** 2, (1 + root_of_momentum) ** 2
    return Derivation(
        name="momentum-oscillation",
        title="SGD with momentum and much L2: a gradient's weight oscillates",
        statement=(
            "Between ηλ = (1 − √μ)² and (1 + √μ)² the poles are √μ e^{±iψ}, cos ψ = (1 + μ − ηλ)/(2√μ), and a gradient "
            "of t steps ago has the weight −ημ^{t/2} sin((t + 1)ψ)/sin ψ. It oscillates with the period 2π/ψ under an "
            "envelope that falls by e in −2/ln μ steps, whatever ηλ: there is no timescale of the decay."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=6), positive(eta), between(loss, 0, 1), between(rate, 0, 4), between(kept, 0, 1),
                between(angle, 0, sp.pi, sampled=(0, 3)), real(w), real(m),
            ),
            (sp.Gt(rate, sp.expand(low)), sp.Lt(rate, sp.expand(high))),
        ),
        steps=steps(),
        results={"response": "response", "period_steps": "period", "envelope_steps": "envelope"},
        brute_force={
            "response": response_of,
            "period_steps": lambda point: 2 * mpmath.pi / mpmath.arg(upper_pole(point)),
            "envelope_steps": lambda point: -1 / mpmath.log(abs(upper_pole(point))),
        },
        source="THEORY.md, M1; torch.optim.SGD with dampening 0",
        arguments={
            rate: "decay_per_step", loss: "one_minus_momentum", t: "steps", eta: "lr", kept: "root_of_momentum",
            angle: "pole_angle",
        },
        corrects="that a larger λ always forgets faster: beyond ηλ = (1 − √μ)² only μ sets how fast",
    )  # fmt: skip


DERIVATIONS = {"momentum-oscillation": momentum_oscillation}
