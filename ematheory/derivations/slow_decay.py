"""Norm and gradient of scale-invariant weights while the learning rate falls slowly (R8), and AdamC's cure."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp

from ..optimizers import SGD, AdamC, AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .limits import Solve

eta, lam = x.eta, x.lam
peak, multiplier = sp.symbols("eta_max s", positive=True)
G, size = sp.symbols("G C", positive=True)  # ‖g̃‖² of SGD, and the number of coordinates of AdamW
square, fourth = sp.symbols("R Q", positive=True)  # ‖w‖² and ‖w‖⁴
taken, power = sp.Symbol("alpha", positive=True), sp.Symbol("x_alpha", real=True)
length, steepness = sp.symbols("w_norm g_norm", positive=True)  # ‖w‖ and ‖g‖
w, m, v, g = sp.symbols("w m v g", real=True)
# ‖w‖² at rest for small ηλ: SGD's from derivation scale-invariant-sgd, AdamW's from adamw-random-walk.
SQUARES = {"sgd": sp.sqrt(eta * G / (2 * lam)), "adamw": eta * size / (2 * lam)}


def exponent(quantity: Expression) -> Expression:
    """d ln quantity/d ln η."""
    return eta * sp.diff(quantity, eta) / quantity


def decay_share() -> Expression:
    """The share of the weight that AdamC's own update takes away, at rate ηs and peak η_max."""
    record = x.with_symbols(AdamC(lr=1.0, weight_decay=0.1))
    time = x.clock(constant=True)._replace(lr=peak * multiplier, multiplier=multiplier)
    return record.decay_per_step(time)


def steps() -> tuple[Step, ...]:
    norms = {name: sp.sqrt(value) for name, value in SQUARES.items()}
    # ‖g‖ = ‖g̃‖/‖w‖ on a scale-invariant loss, whatever the optimizer.
    gradients = {name: sp.sqrt(G) / norm for name, norm in norms.items()}
    ratio = sp.sqrt(2 * lam / eta)
    corrected = lam * eta / peak
    return (
        Step(
            "sgd at rest",
            Equation(fourth, SQUARES["sgd"] ** 2),
            "‖w‖⁴ from the balance of SGD's small steps, 2ηλ‖w‖² = η²‖g̃‖²/‖w‖²",
            Solve(conditions=(Equation(2 * eta * lam * fourth, eta**2 * G),)),
        ),
        Step(
            "adamw at rest",
            Equation(square, SQUARES["adamw"]),
            "that of AdamW's, 2ηλ‖w‖² = η²C, its updates having mean square 1 a coordinate",
            Solve(conditions=(Equation(2 * eta * lam * square, eta**2 * size),)),
        ),
        *(
            Step(
                f"{name}'s exponent of the {what}",
                Equation(eta * sp.Derivative(sizes[name], eta) / sizes[name], sign * size),
                f"while η falls slowly against 1/(ηλ) {words} as η^({sign * size})",
                Identity(),
            )
            for what, sizes, sign, words in (
                ("norm", norms, 1, "the norm falls"),
                ("gradient", gradients, -1, "the gradient's norm ‖g̃‖/‖w‖ rises"),
            )
            for name, size in (("sgd", sp.Rational(1, 4)), ("adamw", sp.Rational(1, 2)))
        ),
        Step(
            "ratio",
            Equation(steepness / length, ratio),
            "for SGD their ratio is √(2λ/η): it grows without bound as η → 0",
            Identity(where={steepness: gradients["sgd"], length: norms["sgd"]}),
        ),
        Step(
            "corrected decay",
            Equation(taken, multiplier**2 * peak * lam),
            "AdamC's own update takes away λη_t²/η_max: its decay per LR is λη_t/η_max",
            Identity(where={taken: decay_share()}),
        ),
        Step(
            "ratio with corrected decay",
            Equation(ratio.subs(lam, corrected), sp.sqrt(2 * lam / peak)),
            "with λη_t/η_max for λ the ratio keeps its value at the peak",
            Identity(),
            shown=sp.Subs(ratio, lam, corrected),
        ),
        Step(
            "norms with corrected decay",
            Equation(
                sp.Tuple(*(value.subs(lam, corrected) for value in SQUARES.values())),
                sp.Tuple(*(value.subs(eta, peak) for value in SQUARES.values())),
            ),
            "and so do both norms",
            Identity(),
            shown=sp.Tuple(*(sp.Subs(value, lam, corrected) for value in SQUARES.values())),
        ),
        Step(
            "any optimizer",
            Equation(square, eta**2 * size / (2 * taken)),
            "for any updates of one size that know nothing of the weight, a decay of α a step balances η²‖u‖² at this",
            Solve(conditions=(Equation(2 * taken * square, eta**2 * size),)),
        ),
        Step(
            "exponent of the decay",
            Equation(power, 2),
            "so the norm stays where α ∝ η², as AdamC's is: ∂ log‖w‖²/∂ log η is 2 less that exponent",
            Solve(conditions=(Equation(exponent(eta**2 * size / (2 * lam * eta**power)), 0),)),
        ),
    )


def at_rest(point: Point, rate: Number, decay: Number) -> Number:
    """‖w‖² that SGD's own update leaves as it is, by root finding, at so small a decay that ηλ does not show."""
    record = SGD(lr=1.0, weight_decay=0.1).substituted(momentum=mpmath.mpf(0))
    # Only ηλ‖w‖⁴/(η²‖g̃‖²) is compared, so η and ‖g̃‖² may be scaled down together with λ.
    small = mpmath.mpf(10) ** -70
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), rate, decay * small))
    push = as_real(point[G]) * small

    def growth(norm: Number) -> Number:
        inward, outward = (
            record.update(x.numbers, record.State(start, mpmath.mpf(0)), slope, c).weight
            for start, slope in ((norm, mpmath.mpf(0)), (mpmath.mpf(0), mpmath.sqrt(push) / norm))
        )
        return (inward**2 + outward**2) / norm**2 - 1

    guess = mpmath.root(rate * push / (2 * decay * small), 4)
    with mpmath.workdps(200):
        return mpmath.findroot(lambda n: growth(n) / small, (guess * 0.9, guess * 1.1), tol=1e-200) ** 2


def adamw_at_rest(rate: Number, decay: Number) -> Number:
    """E w² of a coordinate that AdamW's own update leaves, without momentum, at so small a decay that ηλ does not show.

    White gradients of one size make its updates ±1: the map of E w² is run 2^n times by squaring it n times.
    """
    zero, one = mpmath.mpf(0), mpmath.mpf(1)
    small = mpmath.mpf(10) ** -70
    with mpmath.workdps(200):
        record = AdamW(lr=1.0, weight_decay=0.1).substituted(beta1=zero, eps=zero)
        c = record.coefficients(x.numbers, SymbolicTime(one, rate, decay * small))
        kept, moved = (
            record.update(x.numbers, record.State(start, zero, one), slope, c).weight ** 2
            for start, slope in ((one, zero), (zero, one))
        )
        while kept > small:
            kept, moved = kept**2, moved * (1 + kept)
        return moved * small  # E w² goes as 1/λ


def power_of(sign: int, at: Callable[[Point, Number, Number], Number]) -> Callable[[Point], Number]:
    """The exponent of ‖w‖^sign in η, from two learning rates: of a power it is the same at any two."""

    def measured(point: Point) -> Number:
        rate, decay = as_real(point[eta]), as_real(point[lam])
        near, far = (at(point, rate * factor, decay) for factor in (1, 2))
        return sign * mpmath.log(far / near) / (2 * mpmath.log(2))

    return measured


def ratio_of(corrected: bool) -> Callable[[Point], Number]:
    def measured(point: Point) -> Number:
        rate, decay = as_real(point[eta]), as_real(point[lam])
        if corrected:
            decay = decay * rate / as_real(point[peak])
        return mpmath.sqrt(as_real(point[G])) / at_rest(point, rate, decay)

    return measured


def slow_decay() -> Derivation:
    """R8: what a slowly falling learning rate does to norms and gradients."""
    return Derivation(
        name="slow-decay",
        title="Gradients grow as the learning rate falls, and corrected decay stops it",
        statement=(
            "At small ηλ and while η changes slowly against 1/(ηλ), ‖w‖ ∝ η^{1/4} and ‖g‖ ∝ η^{−1/4} for SGD on a "
            "normalised layer, η^{1/2} and η^{−1/2} for AdamW; SGD's ‖g‖/‖w‖ = √(2λ/η). Decay λη_t/η_max keeps all of "
            "them at their values at the peak."
        ),
        assumptions=Assumptions(
            (
                positive(eta), positive(lam), positive(peak), positive(multiplier), positive(G), positive(size),
                real(w),
            )
        ),
        steps=steps(),
        results={
            "gradient_to_weight": "ratio", "gradient_to_weight_corrected": "ratio with corrected decay",
            "sgd_norm_exponent": "sgd's exponent of the norm", "adamw_norm_exponent": "adamw's exponent of the norm",
            "sgd_gradient_exponent": "sgd's exponent of the gradient",
            "adamw_gradient_exponent": "adamw's exponent of the gradient",
        },
        brute_force={
            "gradient_to_weight": ratio_of(False), "gradient_to_weight_corrected": ratio_of(True),
            "sgd_norm_exponent": power_of(1, at_rest), "sgd_gradient_exponent": power_of(-1, at_rest),
            "adamw_norm_exponent": power_of(1, lambda point, *rates: adamw_at_rest(*rates)),
            "adamw_gradient_exponent": power_of(-1, lambda point, *rates: adamw_at_rest(*rates)),
        },
        source="Defazio, arXiv 2506.02285; R8",
        arguments={eta: "lr", lam: "weight_decay", peak: "peak_lr"},
    )  # fmt: skip


DERIVATIONS = {"slow-decay": slow_decay}
