"""Adam with L2 on scale-invariant weights (the table of section 4): the gradients' size sets norm and rotation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import mpmath
import sympy as sp

from ..optimizers import Adam
from . import symbols as x
from .assumptions import Assumptions, between, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime, forget, namespace
from .limits import Series, Solve
from .scale_invariant_momentum import expectation, g, m, moments, noise, w

eta, lam, b1 = x.eta, x.lam, x.beta1
share = sp.Symbol("rho", positive=True)  # ηλ/√v̂, the decay per step
size = sp.Symbol("sigma_g", positive=True)  # root mean square of a coordinate of g̃, the gradient at unit norm
count = sp.Symbol("C", positive=True)
norm = sp.Symbol("n", positive=True)  # ‖w‖
free, settled = sp.symbols("Lambda n_infty", positive=True)  # λ and ‖w‖ where neither is given by ρ
RECORD = Adam(lr=1.0, weight_decay=0.1)
root = size / norm  # √v̂: that of a coordinate of the gradient
square = eta * noise * (2 - forget) / (lam * root * (2 * (2 - forget) - forget * share))
cube = eta * count * size * (2 - forget) / (lam * (2 * (2 - forget) - forget * share))
turned = forget * share / (2 - forget)


def updated() -> Any:
    """Adam's own update with √v̂ held."""
    record = x.with_symbols(RECORD).substituted(eps=sp.Integer(0))
    time = SettledTime(step=sp.Integer(1), lr=eta, weight_decay=lam, multiplier=sp.Integer(1))
    held = namespace(x.xp, root)
    return record.update(held, record.State(w, m, 0), g, record.coefficients(x.xp, time))


def steps() -> tuple[Step, ...]:
    new = [sp.expand(part.subs({lam: share * root / eta, b1: 1 - forget})) for part in updated()[:2]]
    conditions = tuple(
        Equation(old, expectation(e))
        for old, e in zip(moments, (new[0] ** 2, new[0] * new[1], new[1] ** 2), strict=True)
    )
    found = sp.solve([c.lhs - c.rhs for c in conditions], moments, dict=True)[0]
    moment = b1 * m + (1 - b1) * (g + lam * w)
    letters = sp.symbols("w' m'")
    return (
        Step(
            "update",
            Equation(sp.Tuple(*letters), sp.Tuple(w - eta * moment / root, moment)),
            "Adam's own update with √v̂ at the gradient's own root mean square σ̃/‖w‖: λw joins the gradient",
            Identity(where=dict(zip(letters, updated()[:2], strict=True))),
        ),
        Step(
            "second moments",
            Equation(
                sp.Tuple(*moments),
                sp.Tuple(square.subs(lam, share * root / eta), *(sp.factor(found[c]) for c in moments[1:])),
            ),
            "w·w, w·m and m·m that one update leaves as they are in the limit of many coordinates: the gradient is at "
            "right angles to w, its mean is 0 and ‖g‖² = S; ρ = ηλ/√v̂",
            Solve(conditions=conditions),
        ),
        Step(
            "norm",
            Equation(moments[0] * norm, cube),
            "with ‖g‖² = Cσ̃²/‖w‖² that is an equation for the third power of the norm",
            Identity(
                uses=("second moments",), where={noise: count * size**2 / norm**2, lam: share * size / (norm * eta)}
            ),
        ),
        Step(
            "norm by the decay per step",
            Equation(moments[0], eta**2 * count * (2 - forget) / (share * (2 * (2 - forget) - forget * share))),
            "and for a given ρ one for its square, in which σ̃ no longer stands",
            Identity(uses=("second moments",), where={noise: count * size**2 / norm**2}),
        ),
        Step(
            "versine",
            Equation(1 - expectation(new[0] * w) / moments[0], turned),
            "1 − cos of the angle between w and the next w",
            Identity(uses=("second moments",)),
        ),
        Step(
            "published norm",
            Equation(cube / (eta * count * size / (2 * lam)), 1 + forget * share / (2 * (2 - forget))),
            "‖w‖³ over ηCσ̃/(2λ) is 1 as ρ → 0",
            Series(variable=share, order=2),
        ),
        Step(
            "published rotation",
            Equation(2 * turned, 2 * share * (1 - b1) / (1 + b1)),
            "the square of the rotation is near 2(1 − cos) = 2ρ(1 − β₁)/(1 + β₁)",
            Identity(where={b1: 1 - forget}),
        ),
        Step(
            "gradient scale",
            Equation((eta * free * settled / size) ** 3, eta**4 * free**2 * count / (2 * size**2)),
            "with ‖w‖³ = ηCσ̃/(2λ), ρ³ falls as σ̃^{−2}: the rotation goes as σ̃^{−1/3}, and layers with larger gradients "
            "turn more slowly",
            Identity(where={settled: (eta * count * size / (2 * free)) ** sp.Rational(1, 3)}),
        ),
    )


def at_rest(point: Point) -> tuple[Number, Number]:
    """‖w‖² and 1 − cos at rest, from Adam's own responses to one gradient, summed over all past ones."""
    lr, held_root = as_real(point[eta]), as_real(point[size]) / as_real(point[norm])
    record = RECORD.substituted(beta1=1 - as_real(point[forget]), beta2=as_real(1) / 2, eps=as_real(0))
    held = namespace(x.numbers, held_root)
    c = record.coefficients(held, SettledTime(as_real(1), lr, as_real(point[share]) * held_root / lr))
    state, seen, still = record.initial(held, as_real(0)), [as_real(0)], 0
    while still < 3:
        moved = record.update(held, state, as_real(len(seen) == 1), c)
        still = still + 1 if max(abs(p - q) for p, q in zip(moved[:2], state[:2], strict=True)) < 1e-52 else 0
        state = moved
        seen.append(state.weight)
    whole = mpmath.fsum(p * p for p in seen)
    # ‖w‖² = whole·‖g‖² with ‖g‖² = Cσ̃²/‖w‖².
    spread = whole * as_real(point[count]) * held_root**2
    return spread, 1 - mpmath.fsum(p * q for p, q in pairwise(seen)) / whole


def scale_invariant_adam() -> Derivation:
    """Section 4's row for Adam with L2."""
    return Derivation(
        name="scale-invariant-adam-l2",
        title="Adam with L2 on scale-invariant weights: norm and rotation at equilibrium",
        statement=(
            "In the limit of many coordinates and of β₂ → 1 Adam with L2 comes to ‖w‖³ near ηCσ̃/(2λ) and turns by near "
            "√(2ρ(1−β₁)/(1+β₁)) a step, ρ = ηλ‖w‖/σ̃: both depend on the size σ̃ of the gradients at unit norm, the "
            "rotation as σ̃^{−1/3}, so that layers turn at different rates."
        ),
        assumptions=Assumptions(
            (
                positive(eta), between(forget, 0, 1, sampled=(sp.Rational(1, 5), 1)),
                between(share, 0, 1, sampled=(sp.Rational(1, 20), 1)),
                positive(size), positive(count), positive(norm), positive(noise), real(w), real(m),
                real(g),
            )
        ),
        definitions={lam: share * root / eta},
        steps=steps(),
        results={"weight_norm_3": "norm", "weight_norm_2": "norm by the decay per step", "versine": "versine"},
        brute_force={
            "weight_norm_3": lambda point: at_rest(point)[0] * as_real(point[norm]),
            "weight_norm_2": lambda point: at_rest(point)[0],
            "versine": lambda point: at_rest(point)[1],
        },
        source="Kosson et al., arXiv 2305.17212; THEORY.md, section 4",
        arguments={share: "decay_per_step", forget: "one_minus_beta1", eta: "lr", count: "coordinates"},
        corrects="that L2 in Adam gives AdamW's balanced rotation: with L2 it depends on the gradients' scale",
    )  # fmt: skip


DERIVATIONS = {"scale-invariant-adam-l2": scale_invariant_adam}
