"""SGD on scale-invariant weights (R3, R8): the map of the norm, its equilibrium, the rotation, gradient over weight."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1

from ..optimizers import SGD
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, Domain, between, positive
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .extrapolation import extrapolated
from .lemmas import EXPM1
from .limits import Series, Solve
from .random_walk import HALF_ANGLE, ROOT_OF_PRODUCT

eta = x.eta
rate = sp.Symbol("r", positive=True)  # ηλ
G = sp.Symbol("G", positive=True)  # ‖g̃‖², of the gradient at unit norm
push = sp.Symbol("p", positive=True)  # η²‖g̃‖²
along, across = sp.Symbol("w", positive=True), sp.Symbol("g", positive=True)  # ‖w‖, and ‖g‖ = √G/‖w‖
norm4 = sp.Symbol("R", positive=True)  # ‖w‖⁴
ratio_square = sp.Symbol("Q", positive=True)  # ‖g‖²/‖w‖²
first, elapsed = sp.symbols("w_0 t", positive=True)  # the norm at the start, and the time since in steps
FEWEST, RUNS = 24, 26  # steps of the shortest run towards small steps, and how many runs
a = 1 - rate
RECORD = SGD(lr=1.0, weight_decay=0.1)
equilibrium = eta**2 * G / (rate * (2 - rate))


def steps() -> tuple[Step, ...]:
    record = x.with_symbols(RECORD)
    # A frame with the weight along the first axis and the gradient, at right angles to it, along the second.
    state = record.State(along, sp.Integer(0))
    inward = x.symbolic_update(record, x.clock(constant=True), state, sp.Integer(0)).weight
    outward = x.symbolic_update(record, x.clock(constant=True), record.State(0, 0), across).weight
    weight, new_square = sp.Symbol("w_new", real=True), sp.Symbol("N", positive=True)
    scale, quarter = sp.Symbol("delta", positive=True), sp.Rational(1, 4)
    drift = -4 * rate * norm4 + 2 * push
    rest = push / (2 * rate)
    transient = rest + (first**4 - rest) * sp.exp(-4 * rate * elapsed)
    mapped = (a**2 * sp.sqrt(norm4) + push / sp.sqrt(norm4)) ** 2
    return (
        Step(
            "update",
            Equation(sp.Tuple(weight, sp.Symbol("s", real=True)), sp.Tuple(a * along, -eta * across)),
            "SGD's own update in a frame with w along one axis and the gradient, which scale invariance keeps at right "
            "angles to w, along another",
            Identity(where={weight: inward, sp.Symbol("s", real=True): outward, x.lam: rate / eta}),
        ),
        Step(
            "map",
            Equation(new_square, a**2 * along**2 + eta**2 * G / along**2),
            "Pythagoras, with ‖g‖ = ‖g̃‖/‖w‖: the exact map of the squared norm, for constant ‖g̃‖",
            Identity(where={new_square: inward**2 + outward**2, x.lam: rate / eta, across: sp.sqrt(G) / along}),
        ),
        Step(
            "equilibrium",
            Equation(norm4, equilibrium),
            "the only fourth power of the norm that the map leaves as it is: ‖w‖⁴ = η²‖g̃‖²/(1 − a²), at any ηλ",
            Solve(conditions=(Equation(norm4, a**2 * norm4 + eta**2 * G),)),
        ),
        Step(
            "norm",
            Equation(norm4 ** sp.Rational(1, 4), sp.sqrt(eta) * (G / (rate * (2 - rate))) ** sp.Rational(1, 4)),
            "the norm at equilibrium",
            Identity(uses=("equilibrium",), lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "cosine",
            Equation(a * sp.sqrt(norm4) / sp.sqrt(a**2 * norm4 + eta**2 * G), a),
            "the cosine of the angle between w and the next w is a = 1 − ηλ, exactly",
            Identity(uses=("equilibrium",), lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "rotation",
            Equation(sp.acos(a), 2 * sp.atan(sp.sqrt(rate) / sp.sqrt(2 - rate))),
            "the rotation per step, in radians, in a form that loses no digits",
            Identity(lemmas=(HALF_ANGLE, ROOT_OF_PRODUCT)),
        ),
        Step(
            "gradient over weight",
            Equation(sp.sqrt(G) / sp.sqrt(norm4), sp.sqrt(rate * (2 - rate)) / eta),
            "‖g‖/‖w‖ = ‖g̃‖/‖w‖² = √(2λ/η − λ²) at equilibrium (R8)",
            Identity(uses=("equilibrium",), lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "drift",
            Equation(mapped.subs({rate: rate * scale, push: push * scale}) - norm4, drift * scale),
            "for small steps, ηλ and η²‖g̃‖² of one order δ, ‖w‖⁴ drifts by −4ηλ‖w‖⁴ + 2η²‖g̃‖² a step",
            Series(variable=scale, order=2),
        ),
        Step(
            "transient",
            Equation(
                sp.Tuple(sp.diff(transient, elapsed), transient.subs(elapsed, 0)),
                sp.Tuple(drift.subs(norm4, transient), first**4),
            ),
            "r_t⁴ = r_∞⁴ + (r_0⁴ − r_∞⁴) e^{−4ηλt} solves the equation of that drift, from r_0⁴",
            Identity(),
            shown=sp.Tuple(sp.Derivative(transient, elapsed), sp.Subs(transient, elapsed, 0)),
        ),
        Step(
            "norm over time",
            Equation(
                transient.subs(push, eta**2 * G) ** quarter,
                (first**4 * sp.exp(-4 * rate * elapsed) - eta**2 * G / (2 * rate) * expm1(-4 * rate * elapsed))
                ** quarter,
            ),
            "the norm itself, as a sum of positive numbers: what the map's small steps tend to",
            Identity(lemmas=(EXPM1,)),
        ),
        Step(
            "published norm",
            Equation(equilibrium / (eta**2 * G / (2 * rate)), 1 + rate / 2),
            "‖w‖⁴ over the published η‖g̃‖²/(2λ) is 1 as ηλ → 0, with a difference of order ηλ",
            Series(variable=rate, order=2),
        ),
        Step(
            "published rotation",
            Equation((2 * sp.atan(sp.sqrt(rate) / sp.sqrt(2 - rate))) ** 2 / (2 * rate), 1 + rate / 6),
            "rotation² over the published 2ηλ is 1 as ηλ → 0",
            Series(variable=rate, order=2, lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "published ratio",
            Equation(ratio_square / (2 * rate / eta**2), 1 - rate / 2),
            "the squared ratio over the published 2λ/η is 1 as ηλ → 0",
            Series(variable=rate, order=2, where={ratio_square: rate * (2 - rate) / eta**2}),
        ),
    )


def parts(lr: Number, decay: Number, weight: Number, gradient: Number) -> Number:
    """What one update of SGD itself makes of a weight, at a decay of so much a step."""
    record = RECORD.substituted(momentum=mpmath.mpf(0))
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, decay / lr))
    return record.update(x.numbers, record.State(as_real(weight), mpmath.mpf(0)), as_real(gradient), c).weight


def one_step(point: Point, norm: Number) -> tuple[Number, Number]:
    """The norm after one update of SGD itself from a weight (norm, 0), with a tangential gradient, and the angle."""
    size = mpmath.sqrt(as_real(point[G])) / norm
    along_it, across_it = (parts(as_real(point[eta]), as_real(point[rate]), w, g) for w, g in ((norm, 0), (0, size)))
    return mpmath.hypot(along_it, across_it), mpmath.atan2(abs(across_it), along_it)


def settled(point: Point) -> tuple[Number, Number]:
    """The norm that one update leaves as it is, by root finding on it, and the angle that it turns there."""
    near = mpmath.sqrt(as_real(point[eta])) * mpmath.root(as_real(point[G]) / as_real(point[rate]), 4)
    norm = mpmath.findroot(lambda n: one_step(point, n)[0] / n - 1, (near / 2, near), tol=1e-110)
    return norm, one_step(point, norm)[1]


def flowed(point: Point) -> Number:
    """The norm after ηλt = rt in ever more of SGD's own updates, extrapolated to infinitely many."""
    known = []
    with mpmath.workdps(150):
        for number in range(1, RUNS + 1):
            count = FEWEST * number
            share = as_real(point[elapsed]) / count
            decay, slope = as_real(point[rate]) * share, mpmath.sqrt(as_real(point[G]) * share)
            # What one update keeps of the weight, and how far a gradient ‖g̃‖ moves it: both in steps of a share.
            kept, moved = (parts(as_real(point[eta]), decay, w, g) for w, g in ((1, 0), (0, slope)))
            square = as_real(point[first]) ** 2
            for _ in range(count):
                square = kept**2 * square + moved**2 / square
            known.append((mpmath.mpf(1) / count, mpmath.sqrt(square)))
        return extrapolated(known)


def measured(compute: Callable[[Number, Number, Point], Number]) -> Callable[[Point], Number]:
    return lambda point: compute(*settled(point), point)


def scale_invariant_sgd() -> Derivation:
    """R3 and R8 for SGD without momentum."""
    return Derivation(
        name="scale-invariant-sgd",
        title="SGD on scale-invariant weights: norm, rotation and gradient over weight at equilibrium",
        statement=(
            "Where the loss does not depend on the weights' scale the gradient is at right angles to them and falls as "
            "1/‖w‖, so ‖w‖² → (1−ηλ)²‖w‖² + η²‖g̃‖²/‖w‖². At rest ‖w‖⁴ = η²‖g̃‖²/(1 − a²), a = 1 − ηλ, the rotation "
            "per step is arccos a and ‖g‖/‖w‖ = √(2λ/η − λ²): only ηλ sets the angle. For small steps the norm goes "
            "there as r_t⁴ = r_∞⁴ + (r_0⁴ − r_∞⁴) e^{−4ηλt}."
        ),
        assumptions=Assumptions(
            (
                positive(eta), between(rate, 0, 1), positive(G), positive(along), positive(across),
                Domain(elapsed, sp.Integer(0), sampled=(sp.Integer(0), sp.Integer(1))),
                Domain(first, sp.Integer(0), sampled=(sp.Integer(4), sp.Integer(6))),
            )
        ),
        steps=steps(),
        results={
            "weight_norm": "norm", "rotation": "rotation", "gradient_to_weight": "gradient over weight",
            "norm_over_time": "norm over time",
        },
        brute_force={
            "weight_norm": measured(lambda norm, turned, point: norm),
            "rotation": measured(lambda norm, turned, point: turned),
            "gradient_to_weight": measured(lambda norm, turned, point: mpmath.sqrt(as_real(point[G])) / norm**2),
            "norm_over_time": flowed,
        },
        source="Li et al., arXiv 2010.02916; Wan et al., arXiv 2006.08419; Defazio, arXiv 2506.02285; R3 and R8",
        arguments={
            eta: "lr", rate: "decay_per_step", G: "gradient_square", elapsed: "elapsed_steps", first: "weight_norm",
        },
        corrects=(
            "the published ‖w‖⁴ = η‖g̃‖²/(2λ), rotation √(2ηλ) and ‖g‖/‖w‖ = √(2λ/η) are the limits ηλ → 0: the exact "
            "ones differ by 1 + ηλ/2, 1 + ηλ/12 and 1 − ηλ/4 to first order"
        ),
    )  # fmt: skip


DERIVATIONS = {"scale-invariant-sgd": scale_invariant_sgd}
