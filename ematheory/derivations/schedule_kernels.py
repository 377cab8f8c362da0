"""AdamW's average in the continuum under each schedule (E5), from the schedule's own shape and integral on symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from ..schedules import WSD, Constant, Cosine, Exponential, Harmonic, InverseSqrt, Linear, Schedule
from . import symbols as sym
from .assumptions import Assumptions, Domain, between, integer, positive
from .cases import Cases, Within, settled
from .checks import Antiderivative, Check, Identity
from .derivation import Derivation, Step
from .ema import direction
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import EXP_LOG, EXPM1, LOG1P, LOG_PRODUCT, Lemma, apply
from .limits import Series, Solve
from .normal_form import normal_form
from .roots import fractional
from .sine import SINE_DEFECT, sine_defect

x, z = sp.symbols("x z", positive=True)  # the share of the run that has passed
y = sp.Symbol("y", positive=True)  # the share that is left, 1 − x
tau = sp.Symbol("tau", positive=True)  # 1/(ηλT) at the peak rate
rest = sp.Symbol("p_0", positive=True)  # the share of the initial weight
delta = sp.Symbol("delta", positive=True)  # 1/T, one step
final = sp.Symbol("r", positive=True)
decay, flat = sp.symbols("d x_0", positive=True)
fall, timescale = sp.symbols("k tau_h", positive=True)
WORDS = {x: "x", tau: "tau", final: "final", decay: "decay", flat: "flat", fall: "rate", timescale: "timescale"}


def is_root_and_one(e: Expression) -> bool:
    """Whether e is a power (1 + r)^{−n} of an r that is no rational expression, though r² is."""
    if not (e.is_Pow and e.exp.is_Integer and e.exp.is_negative and e.base.is_Add):
        return False
    root = e.base - 1
    return any(map(fractional, root.atoms(sp.Pow))) and not any(map(fractional, (root**2).atoms(sp.Pow)))


PYTHAGORAS = Lemma(
    "sin² + cos² = 1",
    "sin(v)² = 1 − cos(v)²",
    lambda e, _: e.replace(
        lambda p: p.is_Pow and isinstance(p.base, sp.sin) and p.exp == 2, lambda p: 1 - sp.cos(p.base.args[0]) ** 2
    ),
)
HALF_ANGLE = Lemma(
    "half angle",
    "sin(v)² = (1 − cos 2v)/2",
    lambda e, _: e.replace(
        lambda p: p.is_Pow and isinstance(p.base, sp.sin) and p.exp == 2,
        lambda p: (1 - sp.cos(sp.expand(2 * p.base.args[0]))) / 2,
    ),
)
CONJUGATE = Lemma(
    "conjugate of a root",
    "1/(1 + r) = (1 − r)/(1 − r²) for r = √v, v ≠ 1",
    lambda e, _: e.replace(is_root_and_one, lambda p: ((2 - p.base) / sp.factor(1 - (p.base - 1) ** 2)) ** -p.exp),
)
EXPONENT = Lemma(
    "exponents in normal form", "e^v = e^w for v = w", lambda e, _: e.replace(sp.exp, lambda v: sp.exp(normal_form(v)))
)
KEPT = ", every digit kept"
WRITTEN_OUT = (LOG1P, EXPM1, LOG_PRODUCT)


@dataclass(frozen=True)
class Piece:
    """A schedule between `low` and `high`: shape and integral as expressions in x without branches."""

    low: Expression
    high: Expression
    shape: Expression
    integral: Expression
    relation: Expression = sp.true

    def within(self, check: Check) -> Check:
        return check if self.relation == sp.true else Within(relation=self.relation, check=check)

    @property
    def name(self) -> str:
        return "" if (self.low, self.high) == (0, 1) else " before the join" if self.low == 0 else " after the join"


@dataclass(frozen=True)
class Stable:
    """Forms of s, S and the initial weight's error that keep the digits which the plain ones lose; None: the plain one.

    `lemmas` prove them equal.
    """

    shape: Expression | None = None
    integral: Expression | None = None
    error: Expression | None = None
    lemmas: tuple[Lemma, ...] = ()


@dataclass(frozen=True)
class Subject:
    """A schedule with symbols in its fields, their domains, and the share of the run at which its formula changes."""

    name: str
    title: str
    schedule: Schedule
    domains: tuple[Domain, ...] = ()
    join: Expression | None = None
    more: Callable[[Expression], tuple[Step, ...]] = field(default=lambda density: ())
    stable: Stable = Stable()

    @property
    def shape(self) -> Expression:
        return sp.sympify(self.schedule.bare_shape(sym.xp, x))

    @property
    def integral(self) -> Expression:
        """S(x), its expm1 and log1p written out."""
        return apply(WRITTEN_OUT, self.own_integral, Assumptions((*self.domains, between(x, 0, 1))))

    @property
    def own_integral(self) -> Expression:
        """S(x) as the schedule has it."""
        return sp.sympify(self.schedule.bare_integral(sym.xp, x))

    def stable_forms(self) -> dict[str, Expression]:
        """The results by the labels of their steps, with the stable s and S."""
        own = self.own_integral
        shape = self.shape if self.stable.shape is None else self.stable.shape
        integral = own if self.stable.integral is None else self.stable.integral
        forms = {"density": shape / tau * sp.exp(-integral / tau)}
        if own != self.integral:  # it has an expm1 or a log1p
            forms["initial weight left"] = sp.exp(-own.subs(x, 0) / tau)
        return forms if self.stable.error is None else {**forms, "initial weight error": self.stable.error}

    def pieces(self) -> tuple[Piece, ...]:
        if self.join is None:
            return (Piece(sp.Integer(0), sp.Integer(1), self.shape, self.integral),)
        before = sp.Lt(x, self.join)
        ends = ((sp.Integer(0), self.join, before), (self.join, sp.Integer(1), sp.Not(before)))
        return tuple(Piece(a, b, settled(self.shape, at), settled(self.integral, at), at) for a, b, at in ends)

    def by_piece(self, check: Check) -> Check:
        return check if self.join is None else Cases(when=sp.Lt(x, self.join), yes=check, no=check)


def update_step() -> Step:
    """AdamW's own update at step t + 1 with the rate η·s, where ηλ = δ/τ."""
    record, s, t = sym.with_symbols(AdamW(lr=1.0, weight_decay=0.1)), sym.multiplier_t, sym.t
    time = SymbolicTime(step=t + 1, lr=sym.eta * s(t + 1), weight_decay=sym.lam)
    share = delta * s(t + 1) / tau
    code = {sym.w_t(t + 1): sym.symbolic_update(record, time).weight, sym.u_t(t + 1): direction(record, time)}
    as_shares = {sym.eta: delta / (tau * sym.lam), sym.q_t(t + 1): -sym.u_t(t + 1) / sym.lam}
    return Step(
        "update",
        Equation(sym.w_t(t + 1), (1 - share) * sym.w_t(t) + share * sym.q_t(t + 1)),
        "AdamW's own update at the rate η·s with ηλ = δ/τ, δ = 1/T: each step of length δ replaces the share δs/τ",
        Identity(where={**code, **as_shares}),
    )


def integral_steps(pieces: tuple[Piece, ...]) -> tuple[Step, ...]:
    """S(x) = ∫_x^1 s on each piece, the last first; certificates −S prove S' = −s, S(1) = 0 and continuity at once."""
    steps, beyond = [], sp.Integer(0)
    for piece in reversed(pieces):
        steps.append(
            Step(
                "integral" + piece.name,
                Equation(sp.Integral(piece.shape.subs(x, z), (z, x, piece.high)), piece.integral - beyond),
                "S' = −s; with S(1) = 0, and where the formula changes both give the same S",
                piece.within(Antiderivative(certificate=-piece.integral.subs(x, z))),
            )
        )
        beyond = piece.integral.subs(x, piece.low)
    return tuple(steps)


def density_steps(subject: Subject, pieces: tuple[Piece, ...]) -> tuple[Step, ...]:
    remaining = sp.exp(-subject.integral / tau)
    density = Step(
        "density",
        Equation(sp.Derivative(remaining, x), subject.shape / tau * remaining),
        "what is put in at x is s/τ, and e^{−S/τ} of it is left at the end: the density of the average over the run",
        subject.by_piece(Identity()),
    )
    totals, after = [], sp.Integer(1)
    for piece in reversed(pieces):
        left = sp.exp(-piece.integral / tau)
        before = left.subs(x, piece.low)
        totals.append(
            Step(
                "total" + piece.name,
                Equation(sp.Integral(piece.shape / tau * left, (x, piece.low, piece.high)), after - before),
                "the density integrates to what e^{−S/τ} gains, up to 1 at the end of the run",
                Antiderivative(certificate=left),
            )
        )
        after = before
    gained = sp.Add(*(step.equation.rhs for step in totals))
    initial = Step(
        "initial weight left",
        Equation(rest, after),
        "the share p₀ of the initial weight is the rest, e^{−S(0)/τ}: the shares sum to one",
        Identity(where={rest: 1 - gained}),
    )
    return (density, *totals, initial)


def discrete_steps(pieces: tuple[Piece, ...]) -> tuple[Step, ...]:
    """The first order in δ by which the discrete product differs from e^{−S(0)/τ}."""
    steps = [one_step(piece) for piece in pieces]
    squares, values = [], []
    for piece in pieces:
        certificate = sp.integrate(sp.expand(piece.shape**2), x)
        values.append(sp.simplify(certificate.subs(x, piece.high) - certificate.subs(x, piece.low)))
        square = sp.Integral(piece.shape**2, (x, piece.low, piece.high))
        squares.append(square)
        steps.append(
            Step(
                "mean square" + piece.name,
                Equation(square, values[-1]),
                "∫s², which the second order of log(1 − α) needs",
                Antiderivative(certificate=certificate, lemmas=(PYTHAGORAS,)),
            )
        )
    ends = pieces[-1].shape.subs(x, 1) - pieces[0].shape.subs(x, 0)
    plain = ends / (2 * tau) - sp.Add(*values) / (2 * tau**2)
    steps.append(
        Step(
            "initial weight error",
            Equation(ends / (2 * tau) - sp.Add(*squares) / (2 * tau**2), sp.factor(sp.together(plain))),
            "summed over T steps that is δ·[(s(1) − s(0))/(2τ) − ∫s²/(2τ²)]: e^{−S(0)/τ}'s relative error, times T",
            Identity(uses=tuple("mean square" + piece.name for piece in pieces)),
        )
    )
    return tuple(steps)


def one_step(piece: Piece) -> Step:
    s, S = piece.shape, piece.integral
    return Step(
        "one step" + piece.name,
        Equation(
            sp.log(1 - delta * s / tau) + (S - S.subs(x, x + delta)) / tau,
            delta**2 * (sp.diff(s, x) / (2 * tau) - s**2 / (2 * tau**2)),
        ),
        "log(1 − δs/τ) = −δs/τ − δ²s²/(2τ²) − …, and the cell's own integral is δs + δ²s'/2 + …: the rate is taken at "
        "the cell's start",
        piece.within(Series(variable=delta, order=3)),
    )


def stable_steps(subject: Subject, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Each result with the stable s and S, where these are not the plain ones."""
    plain = {step.label: step.equation.rhs for step in steps}
    check = Identity(lemmas=(*subject.stable.lemmas, *WRITTEN_OUT))
    return tuple(
        Step(
            label + KEPT,
            Equation(plain[label], form),
            "in a form that keeps the digits which the plain one loses to cancellation",
            subject.by_piece(check),
        )
        for label, form in subject.stable_forms().items()
        if form != plain[label]
    )


def rayleigh_steps(density: Expression) -> tuple[Step, ...]:
    """Linear decay to zero: the density in y = 1 − x is Rayleigh's, with scale² = τ."""
    rayleigh = y / tau * sp.exp(-(y**2) / (2 * tau))
    slope = sp.expand(sp.diff(rayleigh, y) * sp.exp(y**2 / (2 * tau)))
    return (
        Step(
            "Rayleigh",
            Equation(density.subs(x, 1 - y), rayleigh),
            "in y = 1 − x it is Rayleigh's density with scale² = τ",
            Identity(),
            shown=sp.Subs(density, x, 1 - y),
        ),
        Step(
            "mode",
            Equation(y, sp.sqrt(tau)),
            "whose derivative vanishes at √τ alone: the steps that weigh most lie √τ before the end",
            Solve(conditions=(Equation(slope, 0),), among=positive(y)),
        ),
    )


def uniform_steps(density: Expression) -> tuple[Step, ...]:
    return (
        Step(
            "uniform",
            Equation(density.subs(timescale, tau), 1 / (1 + tau)),
            "with its timescale equal to τ the density does not depend on x: a uniform average",
            Identity(lemmas=(EXP_LOG,)),
        ),
    )


def root_decay() -> Stable:
    """WSD's 1 − √ decay by the share that is left of it: q = 1 − √y = (1 − y)/(1 + √y), and S = d·q²(1 − ⅔q)."""
    stable, passed = WSD(shape="sqrt").substituted(decay=decay).decayed(sym.xp, x)
    left = sym.where(stable, sp.Integer(1), (1 - x) / decay) / (1 + sp.sqrt(passed))
    flat_part = sym.where(stable, 1 - decay - x, sp.Integer(0))
    integral = flat_part + decay * left**2 * (1 - 2 * left / 3)
    return Stable(left, integral, lemmas=(CONJUGATE, EXPONENT))


ZERO = sp.Integer(0)
SUBJECTS: tuple[Subject, ...] = (
    Subject("constant", "a constant rate", Constant()),
    Subject(
        "linear", "a linear decay to a share", Linear().substituted(final=final), (between(final, 0, 1),)
    ),
    Subject(
        "linear-to-zero", "a linear decay to zero", Linear().substituted(final=ZERO), more=rayleigh_steps
    ),
    Subject(
        "cosine",
        "a cosine decay",
        Cosine().substituted(final=final),
        (between(final, 0, 1),),
        stable=Stable(
            shape=final + (1 - final) * sp.sin(sp.pi * (1 - x) / 2) ** 2,
            integral=final * (1 - x) + (1 - final) * sine_defect(sp.pi * (1 - x)) / (2 * sp.pi),
            lemmas=(SINE_DEFECT, HALF_ANGLE),
        ),
    ),
    Subject(
        "wsd",
        "a constant rate with a linear decay at the end",
        WSD().substituted(decay=decay),
        (between(decay, 0, 1),),
        1 - decay,
    ),
    Subject(
        "wsd-sqrt",
        "a constant rate with a 1 − √ decay at the end",
        WSD(shape="sqrt").substituted(decay=decay),
        (between(decay, 0, 1),),
        1 - decay,
        stable=root_decay(),
    ),
    Subject(
        "inverse-sqrt",
        "an inverse-square-root decay",
        InverseSqrt().substituted(flat=flat),
        (between(flat, 0, 1),),
        flat,
    ),
    Subject(
        "exponential",
        "an exponential decay",
        Exponential().substituted(rate=fall),
        (positive(fall),),
        stable=Stable(error=expm1(-fall) / (2 * tau) + expm1(-2 * fall) / (4 * fall * tau**2)),
    ),
    Subject(
        "harmonic",
        "a harmonic decay",
        Harmonic().substituted(timescale=timescale),
        (positive(timescale),),
        more=uniform_steps,
    ),
)  # fmt: skip


def at_point(subject: Subject, point: Point) -> Callable[[Number], Number]:
    """The schedule's own shape with the point's numbers in its fields, on mpmath numbers."""
    schedule = subject.schedule
    held = {n: as_real(point[v]) for n, v in schedule.field_values().items() if isinstance(v, sp.Symbol)}
    record = schedule.substituted(**{n: mpmath.mpf(0) for n, v in schedule.field_values().items() if v == 0}, **held)
    return lambda share: record.bare_shape(sym.numbers, as_real(share))


def quadrature(subject: Subject, point: Point, low: Number, power: int = 1) -> Number:
    """∫_low^1 s^power by quadrature, split where the formula changes."""
    shape, start = at_point(subject, point), as_real(low)
    ends = [start, mpmath.mpf(1)]
    if subject.join is not None:
        join = as_real(subject.join.subs({k: sp.Rational(v.numerator, v.denominator) for k, v in held(point)}))
        ends = [start, join, mpmath.mpf(1)] if start < join else ends
    return mpmath.quad(lambda share: shape(share) ** power, ends)


def held(point: Point) -> list[tuple[Any, Any]]:
    return [(letter, point[letter]) for letter in (decay, flat) if letter in point]


def density_of(subject: Subject, point: Point) -> Number:
    scale = as_real(point[tau])
    return at_point(subject, point)(point[x]) / scale * mpmath.exp(-quadrature(subject, point, point[x]) / scale)


def initial_of(subject: Subject, point: Point) -> Number:
    return mpmath.exp(-quadrature(subject, point, 0) / as_real(point[tau]))


def error_of(subject: Subject, point: Point) -> Number:
    scale, shape = as_real(point[tau]), at_point(subject, point)
    return (shape(1) - shape(0)) / (2 * scale) - quadrature(subject, point, 0, 2) / (2 * scale**2)


def kernel(subject: Subject) -> Derivation:
    """E5 for one schedule."""
    pieces = subject.pieces()
    density = density_steps(subject, pieces)
    steps = (update_step(), *integral_steps(pieces), *density, *discrete_steps(pieces))
    stable, more = stable_steps(subject, steps), subject.more(density[0].equation.rhs)
    kept = {step.label for step in stable}
    labels = {name: name.replace("_", " ") for name in ("density", "initial_weight_left", "initial_weight_error")}
    brute: Mapping[str, Callable[[Subject, Point], Number]] = {
        "density": density_of, "initial_weight_left": initial_of, "initial_weight_error": error_of
    }  # fmt: skip
    return Derivation(
        name=f"kernel-{subject.name}",
        title=f"AdamW's average over a run with {subject.title}",
        statement=(
            "With x = t/T, τ = 1/(ηλT) and S(x) = ∫_x^1 s the average has the density (s/τ) e^{−S/τ} and holds the "
            "share e^{−S(0)/τ} of the initial weight; the discrete share differs from it by a relative error of order "
            "1/T, whose coefficient is given."
        ),
        assumptions=Assumptions((*subject.domains, between(x, 0, 1), positive(tau), positive(delta), integer(sym.t))),
        steps=(*steps, *stable, *more),
        results={name: label + KEPT * (label + KEPT in kept) for name, label in labels.items()},
        brute_force={name: partial(compute, subject) for name, compute in brute.items()},
        source="Wang & Aitchison, arXiv 2405.13698, section 3; E5",
        arguments=WORDS,
    )


DERIVATIONS = {f"kernel-{subject.name}": partial(kernel, subject) for subject in SUBJECTS}
