"""SGD with momentum on scale-invariant weights (R3, the table of section 4): norm and rotation at equilibrium."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import mpmath
import sympy as sp

from ..optimizers import SGD
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .limits import Series, Solve
from .momentum_l2 import loss, rate
from .scale_invariant_sgd import G

eta, lam, mu = x.eta, x.lam, x.mu
w, m, g = sp.symbols("w m g", real=True)
moments = sp.symbols("A B C", real=True)  # E of w·w, w·m and m·m
square = sp.Symbol("R", positive=True)  # ‖w‖²
noise = sp.Symbol("S", positive=True)  # ‖g‖²
versine = sp.Symbol("V", positive=True)  # 1 − cos of the rotation
root, relaxation = sp.symbols("x z", positive=True)
SQUARES = {
    "l2": eta * noise * (2 - loss) / (lam * loss * (2 * (2 - loss) - rate)),
    "per_lr": eta * noise * (2 - loss - rate * (1 - loss))
    / (lam * loss * (loss + rate * (1 - loss)) * (2 - loss) * (2 - rate)),
}  # fmt: skip
# What is at rest in the limit ηλ → 0: ‖w‖⁴ and the square of the rotation.
PUBLISHED = {
    "l2": (eta * G / (2 * lam * loss), 2 * rate / (2 - loss)),
    "per_lr": (eta * G / (2 * lam * loss**2), 2 * rate * loss / (2 - loss)),
}


def updated(decay: str) -> Any:
    record = x.with_symbols(SGD(lr=1.0, momentum=0.5, weight_decay=0.1, decay=decay))
    return x.symbolic_update(record, x.clock(constant=True), SGD.State(w, m), g)


def expectation(product: Expression) -> Expression:
    """E of a quadratic form; g is at right angles to w and its mean given w and m is 0."""
    values = dict(zip(((2, 0, 0), (1, 1, 0), (0, 2, 0)), moments, strict=True)) | {(0, 0, 2): noise}
    terms = sp.Poly(sp.expand(product), w, m, g).terms()
    return sp.Add(*(coefficient * values.get(powers, 0) for powers, coefficient in terms))


def steps(decay: str) -> tuple[Step, ...]:
    small = {lam: rate / eta, mu: 1 - loss}
    new = [sp.expand(part.subs(small)) for part in updated(decay)]
    conditions = tuple(
        Equation(old, expectation(e))
        for old, e in zip(moments, (new[0] ** 2, new[0] * new[1], new[1] ** 2), strict=True)
    )
    found = sp.solve([c.lhs - c.rhs for c in conditions], moments, dict=True)[0]
    at_rest = SQUARES[decay].subs(lam, rate / eta)
    turned = sp.factor(1 - expectation(new[0] * w).subs(found) / found[moments[0]])
    fourth, rotation = PUBLISHED[decay]
    over_published = sp.collect(sp.expand(sp.series(2 * turned / rotation, rate, 0, 2).removeO()), rate, sp.factor)
    power = sp.factor(SQUARES[decay] * G / noise)
    buffered = (1 - loss) * m + g + (lam * w if decay == "l2" else 0)
    kept = w if decay == "l2" else (1 - eta * lam) * w
    return (
        Step(
            "update",
            Equation(sp.Tuple(*sp.symbols("w' m'")), sp.Tuple(kept - eta * buffered, buffered)),
            "SGD's own update with momentum, in a frame in which w and m are coordinates",
            Identity(where=dict(zip(sp.symbols("w' m'"), updated(decay), strict=True))),
        ),
        Step(
            "second moments",
            Equation(sp.Tuple(*moments), sp.Tuple(at_rest, *(sp.factor(found[c]) for c in moments[1:]))),
            "w·w, w·m and m·m that one update leaves as they are in the limit of many coordinates: the gradient is at "
            "right angles to w, its mean is 0 and ‖g‖² = S",
            Solve(conditions=conditions),
        ),
        Step(
            "norm",
            Equation(square**2, power),
            "with ‖g‖² = ‖g̃‖²/‖w‖² that is an equation for the fourth power of the norm",
            Identity(where={square: sp.sqrt(power)}),
        ),
        Step(
            "versine",
            Equation(versine, turned),
            "1 − cos of the angle between w and the next w",
            Identity(uses=("second moments",), where={versine: 1 - expectation(new[0] * w) / moments[0]}),
        ),
        Step(
            "published norm",
            Equation(
                (power / fourth).subs(lam, rate / eta),
                sp.series((power / fourth).subs(lam, rate / eta), rate, 0, 2).removeO(),
            ),
            "over the published fourth power it is 1 as ηλ → 0",
            Series(variable=rate, order=2),
        ),
        Step(
            "published rotation",
            Equation(2 * versine / rotation, over_published),
            "2(1 − cos) over the square of the published rotation is 1 as ηλ → 0",
            Series(variable=rate, order=2, where={versine: turned}),
        ),
        *transient_steps(conditions, at_rest / noise, 4 / loss if decay == "l2" else sp.Integer(4)),
    )


def transient_steps(one_step: tuple[Equation, ...], ratio: Expression, speed: Expression) -> tuple[Step, ...]:
    """How fast the three moments come to rest: the slowest eigenvalue of their map, ‖w‖² over ‖g‖² being `ratio`."""
    # ‖g‖² = ‖g̃‖²/‖w‖² falls as the norm grows: by ‖g‖²/‖w‖² of itself.
    following = [e.rhs.subs(noise, 2 * noise - moments[0] / ratio) for e in one_step]
    rows = sp.Matrix([[sp.diff(e, c) for c in moments] for e in following])
    near = (root * sp.eye(3) - rows).det().subs(root, 1 - relaxation * rate)
    slowest = rate * loss**2 * (2 - loss) * (speed - relaxation)
    words = "4ηλ/(1 − μ)" if speed != 4 else "4ηλ"
    return (
        Step(
            "slow mode",
            Equation(sp.factor(near), slowest),
            "the characteristic polynomial of a small deviation of w·w, w·m and m·m, ‖g‖² following ‖w‖², near 1: at "
            "1 − zηλ it is, to first order, this; at ηλ = 0 its roots are 1, μ and μ², so one root is near 1",
            Series(variable=rate, order=2),
        ),
        Step(
            "relaxation",
            Equation(relaxation, speed),
            f"that root has so large a z: norms come to rest at the rate {words} a step",
            Solve(conditions=(Equation(slowest / rate, 0),)),
        ),
    )


def settled(decay: str, point: Point) -> tuple[Number, Number]:
    """‖w‖⁴ and 1 − cos at rest, from SGD's own responses to one gradient: sums over all past gradients."""
    lr, kept = as_real(point[eta]), 1 - as_real(point[loss])
    record = SGD(lr=1.0, decay=decay).substituted(momentum=kept)
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, as_real(point[rate]) / lr))
    state, seen, still = record.initial(x.numbers, as_real(0)), [as_real(0)], 0
    while still < 3:
        moved = record.update(x.numbers, state, as_real(len(seen) == 1), c)
        still = still + 1 if max(abs(p - q) for p, q in zip(moved, state, strict=True)) < mpmath.mpf(10) ** -52 else 0
        state = moved
        seen.append(state.weight)
    whole = sum(p * p for p in seen)
    # ‖w‖² = whole·‖g‖² and ‖g‖² = ‖g̃‖²/‖w‖².
    return whole * as_real(point[G]), 1 - sum(p * q for p, q in pairwise(seen)) / whole


def part(decay: str, which: int) -> Callable[[Point], Number]:
    return lambda point: settled(decay, point)[which]


def scale_invariant_momentum(decay: str) -> Derivation:
    """R3 with momentum, for one meaning of decay."""
    words, power = ("L2", "1 − μ") if decay == "l2" else ("per-LR decay", "(1 − μ)²")
    turn = "√(2ηλ/(1+μ))" if decay == "l2" else "√(2ηλ(1−μ)/(1+μ))"
    speed = "4ηλ/(1 − μ)" if decay == "l2" else "4ηλ"
    return Derivation(
        name=f"scale-invariant-momentum-{decay.replace('_', '-')}",
        title=f"SGD with momentum and {words} on scale-invariant weights: norm and rotation at equilibrium",
        statement=(
            f"In the limit of many coordinates ‖w‖⁴ is as derived at any ηλ, near η‖g̃‖²/(2λ({power})), and the "
            f"rotation per step is near {turn}. A deviation from there dies out at the rate {speed} a step."
        ),
        assumptions=Assumptions(
            (
                positive(eta), between(loss, 0, 1, sampled=(sp.Rational(1, 5), 1)),
                between(rate, 0, 1, sampled=(sp.Rational(1, 20), 1)), positive(G),
                positive(noise), real(w), real(m), real(g),
            )
        ),
        definitions={mu: 1 - loss, lam: rate / eta},
        steps=steps(decay),
        results={"weight_norm_4": "norm", "versine": "versine"},
        brute_force={"weight_norm_4": part(decay, 0), "versine": part(decay, 1)},
        source="Wan et al., arXiv 2006.08419; Li et al., arXiv 2010.02916; R3",
        arguments={eta: "lr", rate: "decay_per_step", loss: "one_minus_momentum", G: "gradient_square"},
    )  # fmt: skip


DERIVATIONS = {
    f"scale-invariant-momentum-{decay.replace('_', '-')}": partial(scale_invariant_momentum, decay)
    for decay in ("l2", "per_lr")
}
