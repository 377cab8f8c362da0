"""Norm and gradient of scale-invariant weights while the learning rate falls slowly (R8), and AdamC's cure."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp

from ..optimizers import SGD, AdamC
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
        Step(
            "exponents of the norm",
            Equation(
                sp.Tuple(exponent(norms["sgd"]), exponent(norms["adamw"])),
                sp.Tuple(sp.Rational(1, 4), sp.Rational(1, 2)),
            ),
            "while η falls slowly against 1/(ηλ) the norm falls as η^{1/4} for SGD and as η^{1/2} for AdamW",
            Identity(),
        ),
        Step(
            "exponents of the gradient",
            Equation(
                sp.Tuple(exponent(gradients["sgd"]), exponent(gradients["adamw"])),
                sp.Tuple(-sp.Rational(1, 4), -sp.Rational(1, 2)),
            ),
            "and the gradient's norm ‖g̃‖/‖w‖ rises as η^{−1/4} and as η^{−1/2}",
            Identity(),
        ),
        Step(
            "ratio",
            Equation(gradients["sgd"] / norms["sgd"], ratio),
            "for SGD their ratio is √(2λ/η): it grows without bound as η → 0",
            Identity(),
        ),
        Step(
            "corrected decay",
            Equation(decay_share(), multiplier**2 * peak * lam),
            "AdamC's own update takes away λη_t²/η_max: its decay per LR is λη_t/η_max",
            Identity(),
        ),
        Step(
            "ratio with corrected decay",
            Equation(ratio.subs(lam, corrected), sp.sqrt(2 * lam / peak)),
            "with λη_t/η_max for λ the ratio keeps its value at the peak",
            Identity(),
        ),
        Step(
            "norms with corrected decay",
            Equation(
                sp.Tuple(*(value.subs(lam, corrected) for value in SQUARES.values())),
                sp.Tuple(*(value.subs(eta, peak) for value in SQUARES.values())),
            ),
            "and so do both norms",
            Identity(),
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
        results={"gradient_to_weight": "ratio", "gradient_to_weight_corrected": "ratio with corrected decay"},
        brute_force={"gradient_to_weight": ratio_of(False), "gradient_to_weight_corrected": ratio_of(True)},
        source="Defazio, arXiv 2506.02285; R8",
        arguments={eta: "lr", lam: "weight_decay", peak: "peak_lr"},
    )  # fmt: skip


DERIVATIONS = {"slow-decay": slow_decay}
