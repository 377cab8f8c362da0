"""How far AdamW's coefficients are from the continuum's density (E5): orders in 1/T of all three measures."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import sympy as sp

from ..optimizers import AdamW
from . import symbols as sym
from .assumptions import Assumptions, Domain, integer, positive, real
from .cases import Cases
from .checks import Antiderivative, Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .extrapolation import extrapolated
from .iid_targets import continuum, discrete, first_order, signal, y
from .lemmas import SUM_LINEARITY
from .limits import Limit, Series
from .schedule_kernels import delta, tau, update_step

# y of iid_targets is 1/τ = ηλT of a constant rate.
u, z = sp.symbols("u z", positive=True)  # the share of the run from a step to the end, and yu
# A schedule near a step: s, s' and s'' there. Only the first two enter the first order.
value = sp.Symbol("s_x", positive=True)
slope, bend = sp.symbols("s'_x s''_x", real=True)
FEWEST, ENOUGH = 24, 50.0  # steps of the shortest timescale, and digits that the extrapolation is to have


def cell(at: Expression) -> Expression:
    """∫ s/τ over the cell of the step, less what the step replaces where s is taken the share `at` of the cell in."""
    place = sp.Symbol("z", real=True)
    local = value + slope * place + bend * place**2 / 2
    whole = sp.integrate(local, (place, 0, delta)) / tau
    return sp.log(1 - delta * local.subs(place, at * delta) / tau) + whole


def steps() -> tuple[Step, ...]:
    half = sp.Rational(1, 2)
    square = value**2 / (2 * tau**2)
    places = (
        ("start", sp.Integer(0), slope / (2 * tau) - square, "+s'/(2τ): summed, −(s(0) − s(1))/(2τT)"),
        ("end", sp.Integer(1), -slope / (2 * tau) - square, "−s'/(2τ): summed, +(s(0) − s(1))/(2τT)"),
        ("middle", half, -square, "nothing: the middle of the step is as near as can be"),
    )
    return (
        update_step(),
        *(
            Step(
                f"rate at the cell's {name}",
                Equation(cell(at), delta**2 * error),
                f"log(1 − δs/τ) and the cell's own −∫s/τ differ by −δ²s²/(2τ²), which over T steps is −∫s²/(2τ²T), and "
                f"with the rate taken at the cell's {name} by {words}",
                Series(variable=delta, order=3),
            )
            for name, at, error, words in places
        ),
        *any_schedule_steps(),
        *coefficient_steps(),
        *square_steps(),
    )


def any_schedule_steps() -> tuple[Step, ...]:
    """A bound for any schedule whose slope is at most L: the sum of the differences is of order 1/T at a given τ."""
    keep, hold = sp.Function("a", positive=True), sp.Function("b", positive=True)
    t, i, j = sym.t, sym.i, sym.j
    before, after = sp.Product(hold(j), (j, 1, i - 1)), sp.Product(keep(j), (j, i + 1, t))
    whole, held = sp.Product(keep(j), (j, 1, t)), sp.Product(hold(j), (j, 1, t))
    own, continuous, left, right = sp.symbols("a b P Q", positive=True)
    steep = sp.Symbol("L", positive=True)
    most = delta**2 * (steep / (2 * tau) + 1 / (2 * tau**2))
    return (
        Step(
            "what is left",
            Equation(whole - held, sp.Sum(before * (keep(i) - hold(i)) * after, (i, 1, t))),
            "under any schedule: step i keeps a_i = 1 − δs/τ of what there was, the density b_i = e^{−∫s/τ} over its "
            "cell. As a, b ≤ 1 the products of all later steps differ by no more than Σ|a_i − b_i|",
            Induction(variable=t, multiplier=keep(t + 1), lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "exponential",
            Equation(sp.Integral((u - z) * sp.exp(-z), (z, 0, u)), sp.exp(-u) - 1 + u),
            "e^{−u} exceeds 1 − u by no more than ∫_0^u (u − z) dz = u²/2, as e^{−z} ≤ 1",
            Antiderivative(certificate=(1 - u + z) * sp.exp(-z)),
        ),
        Step(
            "slope of at most L",
            Equation(sp.Integral(steep * z / tau, (z, 0, delta)), steep * delta**2 / (2 * tau)),
            "over a cell of length δ the integral of s/τ and δ times s/τ at its start differ by no more than this",
            Antiderivative(certificate=steep * z**2 / (2 * tau)),
        ),
        Step(
            "sum of the differences of a step",
            Equation(most / delta**2 * delta, delta * (steep * tau + 1) / (2 * tau**2)),
            "so that with s ≤ 1 each |a_i − b_i| is at most δ²(L/(2τ) + 1/(2τ²)), and all T of them together this",
            Identity(),
        ),
        Step(
            "coefficients",
            Equation(
                (1 - own) * left - (1 - continuous) * right,
                (continuous - own) * left + (1 - continuous) * (left - right),
            ),
            "a coefficient (1 − a)P less the density's share (1 − b)Q of its cell: summed over the steps, with "
            "Σ(1 − b) ≤ 1/τ, no more than 1 + 1/τ times that. T Σc² beside TΣ of the squared shares is off by no more "
            "than 2/τ times the same again: both are O(1/T) at a given τ",
            Identity(),
        ),
    )


def coefficient_steps() -> tuple[Step, ...]:
    """Constant rate: each coefficient beside the density's share of its cell, and the sum of the differences."""
    # A step's cell goes from u to u − δ before the end.
    log_ratio = (
        sp.log(delta * y / (sp.exp(y * delta) - 1)) + (u / delta - 1) * sp.log(1 - delta * y) + y * u
    )  # fmt: skip
    below, above = z * sp.exp(-z), -z * sp.exp(-z)
    early = sp.Integral((1 - z) * sp.exp(-z), (z, 0, y))
    parts = (sp.Integral((1 - z) * sp.exp(-z), (z, 0, 1)), sp.Integral((z - 1) * sp.exp(-z), (z, 1, y)))
    total = y / 2 * sp.Piecewise((y * sp.exp(-y), y < 1), (2 * sp.exp(-1) - y * sp.exp(-y), True))
    return (
        Step(
            "coefficient",
            Equation(log_ratio, delta * y * (1 - y * u) / 2),
            "at a constant rate, y = 1/τ: the logarithm of the coefficient of a step u before the end, "
            "δy(1 − δy)^{u/δ − 1}, over e^{−yu}(e^{yδ} − 1), what the density y e^{−yu} has in the step's cell",
            Series(variable=delta, order=2),
        ),
        Step(
            "short runs",
            Equation(early, y * sp.exp(-y)),
            "for y ≤ 1 every coefficient is too large: that relative difference's size, averaged over the density, is "
            "δy/2 times this",
            Antiderivative(certificate=below),
        ),
        Step(
            "near the end",
            Equation(parts[0], sp.exp(-1)),
            "for y > 1 those of the last 1/y of the run are too large",
            Antiderivative(certificate=below),
        ),
        Step(
            "before",
            Equation(parts[1], sp.exp(-1) - y * sp.exp(-y)),
            "and those before it too small",
            Antiderivative(certificate=above),
        ),
        Step(
            "distance",
            Equation(y / 2 * sp.Piecewise((early, y < 1), (sp.Add(*parts), True)), total),
            "T times the sum of the coefficients' differences from the density's shares",
            Cases(
                when=sp.Lt(y, 1),
                yes=Identity(uses=("short runs",)),
                no=Identity(uses=("near the end", "before")),
            ),
        ),
        Step(
            "distance of long runs",
            Equation((2 * sp.exp(-1) - y * sp.exp(-y)) / 2, sp.exp(-1)),
            "over y, so that in a run of many timescales the sum is 1/(eτT): of order 1/(τT)",
            Limit(variable=y),
        ),
    )


def square_steps() -> tuple[Step, ...]:
    squares, density = discrete.subs(signal, 0), continuum.subs(signal, 0)
    error = first_order.subs(signal, 0)
    return (
        Step(
            "squares",
            Equation(squares, density + delta * error),
            "T Σc² beside ∫p² = y(1 − e^{−2y})/2 (iid-targets)",
            Series(variable=delta, order=2),
        ),
        Step(
            "squares of long runs",
            Equation(error / (y * density), sp.Rational(1, 2)),
            "whose relative difference in a run of many timescales is 1/(2τT): of order 1/(τT) too",
            Limit(variable=y),
        ),
    )


def kept_by(rate: Number) -> Number:
    """What AdamW's own update keeps of a weight at a decay of so much a step."""
    record = AdamW(lr=1.0, weight_decay=0.1)
    c = record.coefficients(sym.numbers, sym.clock(constant=True)._replace(step=1, lr=as_real(1), weight_decay=rate))
    zero = mpmath.mpf(0)
    return record.update(sym.numbers, record.State(mpmath.mpf(1), zero, zero), zero, c).weight


def distance_at(timescale: int, count: int) -> Number:
    """T Σ |c − share of the cell| over a run of `count` steps of AdamW, its timescale in steps."""
    kept, shrunk = kept_by(mpmath.mpf(1) / timescale), mpmath.exp(-mpmath.mpf(1) / timescale)
    total, own, continuous = mpmath.mpf(0), 1 - kept, 1 - shrunk
    for _ in range(count):
        total += abs(own - continuous)
        own, continuous = own * kept, continuous * shrunk
    return count * total


def distance_of(point: Point) -> Number:
    """The limit T → ∞ of that sum, extrapolated from runs of growing length whose timescale is a whole number."""
    rate = Fraction(point[y])
    with mpmath.workdps(200):
        known, multiple, digits = [], -(-FEWEST // rate.denominator), 0.0
        while digits < ENOUGH:
            timescale, count = multiple * rate.denominator, multiple * rate.numerator
            known.append((mpmath.mpf(1) / timescale, distance_at(timescale, count)))
            digits, multiple = digits + math.log10(timescale), multiple + 1
        return extrapolated(known)


def discretisation() -> Derivation:
    """E5: the orders of the discretisation."""
    return Derivation(
        name="discretisation",
        title="How near AdamW's coefficients are to the continuum",
        statement=(
            "In a run of T steps all measures of the average differ from the continuum's by the order 1/T. The "
            "share of the initial weight is off by −∫s²/(2τ²T), relative, and by −(s(0) − s(1))/(2τT) where the "
            "schedule is read at the start of each step, as torch's schedulers do, + at its end and 0 in its middle. "
            "Under any schedule of bounded slope coefficients in sum, and Σc², differ by the order 1/T at a given τ; "
            "at a constant rate, in runs of many timescales, the coefficients by 1/(eτT) in sum and Σc² by 1/(2τT), "
            "relative."
        ),
        assumptions=Assumptions(
            (
                positive(tau), positive(delta), positive(value), real(slope), real(bend),
                Domain(y, sp.Integer(0), sampled=(sp.Rational(1, 4), 4)), positive(u),
                positive(z), integer(sym.t),
            ),
        ),
        steps=steps(),
        results={"distance": "distance"},
        brute_force={"distance": distance_of},
        source="THEORY.md, E5",
        arguments={y: "inverse_timescale"},
    )  # fmt: skip


DERIVATIONS = {"discretisation": discretisation}
