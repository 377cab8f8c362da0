"""Clipping gradients at a share of the weight (§7): the threshold √(2λ/η)‖w‖ is where a step leaves the norm alone."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp

from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, positive
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .limits import Series, Solve
from .random_walk import ROOT_OF_PRODUCT
from .scale_invariant_sgd import RECORD, a, along, equilibrium, eta, rate
from .scale_invariant_sgd import G as gradient_square

over = sp.Symbol("C", positive=True)  # the square of the threshold's multiple of √(2λ/η)
new_along, new_across, new_square = sp.symbols("w_r w_t N", positive=True)
seen, threshold = sp.symbols("q_g q_c", positive=True)  # ‖g‖²/‖w‖² at rest, and where it is clipped
clipped = sp.sqrt(2 * over * rate) / eta * along


def steps() -> tuple[Step, ...]:
    record = x.with_symbols(RECORD)
    inward = x.symbolic_update(record, x.clock(constant=True), record.State(along, sp.Integer(0)), sp.Integer(0))
    outward = x.symbolic_update(record, x.clock(constant=True), record.State(0, 0), clipped)
    return (
        Step(
            "clipped step",
            Equation(sp.Tuple(new_along, new_across), sp.Tuple(a * along, -along * sp.sqrt(2 * over * rate))),
            "SGD's own update in a frame with w along one axis and along another the gradient, of the largest length "
            "that clipping leaves, √(2Cλ/η)‖w‖",
            Identity(where={new_along: inward.weight, new_across: outward.weight}, lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "growth",
            Equation((new_along**2 + new_across**2) / along**2, 1 + 2 * rate * (over - 1) + rate**2),
            "no step multiplies ‖w‖² by more than 1 + 2(C − 1)ηλ + (ηλ)²",
            Identity(uses=("clipped step",)),
        ),
        Step(
            "neutral",
            Equation(over, 1 - rate / 2),
            "and at C = 1 − ηλ/2 no step lengthens the weight; the published C = 1 leaves 1 + (ηλ)²",
            Solve(conditions=(Equation(2 * rate * (over - 1) + rate**2, 0),)),
        ),
        Step(
            "at rest",
            Equation(seen, (2 - rate) * rate / eta**2),
            "where gradients of one length have brought the norm to rest (scale-invariant-sgd) ‖g‖²/‖w‖² is 2λ/η − λ²",
            Identity(where={seen: gradient_square / equilibrium}),
        ),
        Step(
            "never clipped at rest",
            Equation(seen / (2 * rate / eta**2), 1 - rate / 2),
            "that is C = 1 − ηλ/2 as well: gradients of one length are at most just not clipped, and clipping at C "
            "takes away what exceeds the norm's own balance √C times",
            Identity(uses=("at rest",)),
        ),
        Step(
            "largest turn",
            Equation(-new_across / new_along, sp.sqrt(over) * sp.sqrt(2 * rate) / (1 - rate)),
            "the tangent of the angle that a clipped step turns the weight by, the largest of all",
            Identity(uses=("clipped step",), lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "beside rest",
            Equation((2 * over * rate / a**2) / (rate * (2 - rate) / a**2), over * (1 + rate / 2)),
            "its square is C(1 + ηλ/2) times that of the rotation at rest, tan² arccos a",
            Series(variable=rate, order=2),
        ),
    )


def after_a_burst(point: Point) -> tuple[Number, Number]:
    """SGD's own step from a weight of length 1 on a gradient far too large, cut to the threshold: both parts of w."""
    lr, decay = as_real(point[eta]), as_real(point[rate]) / as_real(point[eta])
    record = RECORD.substituted(momentum=mpmath.mpf(0))
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, decay))
    limit = mpmath.sqrt(2 * as_real(point[over]) * decay / lr)
    burst = [mpmath.mpf(0), 1000 * limit]
    size = mpmath.sqrt(sum(g * g for g in burst))
    cut = [g * limit / size for g in burst]
    starts = (mpmath.mpf(1), mpmath.mpf(0))
    found = [
        record.update(x.numbers, record.initial(x.numbers, w), g, c).weight
        for w, g in zip(starts, cut, strict=True)
    ]  # fmt: skip
    return found[0], found[1]


def by_burst(measure: Callable[[Number, Number], Number]) -> Callable[[Point], Number]:
    return lambda point: measure(*after_a_burst(point))


def relative_clipping() -> Derivation:
    """§7: SIBERT's clipping."""
    return Derivation(
        name="relative-clipping",
        title="Clipping at √(2Cλ/η)‖w‖: the threshold is the gradient that balances decay",
        statement=(
            "On scale-invariant weights SGD with decay whose gradient is clipped at √(2Cλ/η)‖w‖ multiplies ‖w‖² by at "
            "most 1 + 2(C − 1)ηλ + (ηλ)² a step and turns the weight by at most arctan(√(2Cηλ)/(1 − ηλ)). At rest "
            "under gradients of one length ‖g‖/‖w‖ is √(2λ/η − λ²): C = 1 is the length that balances decay."
        ),
        assumptions=Assumptions((positive(eta), between(rate, 0, 1), positive(along), positive(gradient_square))),
        definitions={x.lam: rate / eta},
        steps=steps(),
        results={"norm_growth": "growth", "turn_tangent": "largest turn"},
        brute_force={
            "norm_growth": by_burst(lambda w, g: w * w + g * g),
            "turn_tangent": by_burst(lambda w, g: abs(g) / w),
        },
        source="Li et al., arXiv 2202.00980 (SIBERT); the equilibrium: scale-invariant-sgd; THEORY.md, section 7",
        arguments={rate: "decay_per_step", over: "clip_multiple"},
        corrects="that at C = 1 a clipped step keeps the norm: it does to first order, C = 1 − ηλ/2 does exactly",
    )


DERIVATIONS = {"relative-clipping": relative_clipping}
