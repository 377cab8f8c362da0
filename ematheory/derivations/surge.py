"""The learning rate that lowers a quadratic loss most in one step, by batch (§5): sign steps surge, SGD's saturate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import mpmath
import sympy as sp

from ..optimizers import SGD, SignSGD
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, integer, positive, real
from .batch_scaling import ALL_SIGNS, batch, slope
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .limits import Limit, Series, Solve

eta = x.eta
G1, G2, H11, H22 = sp.symbols("G_1 G_2 H_11 H_22", positive=True)
H12, nu1, nu2, n1, n2 = sp.symbols("H_12 nu_1 nu_2 n_1 n_2", real=True)  # ν: mean signs; n: noises
S1, S2 = sp.symbols("S_1 S_2", positive=True)  # noise variances of one sample
change = sp.Symbol("Delta", real=True)
gain, diagonal, rest = sp.symbols("D A K", positive=True)  # Σ Gᵢqᵢ, tr H and Σ_{i≠j} Hᵢⱼqᵢqⱼ, ν = q√B
ratio = sp.Symbol("b", positive=True)  # B/B_n
signal, small = sp.symbols("s delta", positive=True)
number = sp.Symbol("d", integer=True, positive=True)
own, shared = sp.symbols("h c", positive=True)  # the Hessian of brute force: h on the diagonal and c everywhere
slopes, hessian = (G1, G2), ((H11, H12), (H12, H22))
SIGN, PLAIN = SignSGD(lr=1.0), SGD(lr=1.0)


def moved(record: Any, gradient: Expression) -> Expression:
    """What the optimizer's own update without decay adds to a weight of 0."""
    named = x.with_symbols(record)
    zero = sp.Integer(0)
    time = SymbolicTime(step=x.t + 1, lr=eta, weight_decay=zero)
    return x.symbolic_update(named, time, named.State(zero, zero), gradient).weight


def loss(step: Sequence[Any], gradient: Sequence[Any], curvature: Sequence[Sequence[Any]]) -> Any:
    """The change of a quadratic loss by a step."""
    places = range(len(step))
    bent = sum(step[i] * curvature[i][j] * step[j] for i in places for j in places)
    return sum(gradient[i] * step[i] for i in places) + bent / 2


def over_signs() -> Expression:
    """The mean change over the signs of two coordinates, + with the probability (1 + ν)/2."""
    total: Expression = sp.Integer(0)
    for s, r in product(ALL_SIGNS, repeat=2):
        step = [moved(SIGN, sp.Integer(sign)) for sign in (s, r)]
        total += (1 + s * nu1) / 2 * (1 + r * nu2) / 2 * loss(step, slopes, hessian)
    return total


def over_noise() -> Expression:
    """The mean change by SGD's own step over noises of mean 0 and variance 1."""
    noisy = (G1 + sp.sqrt(S1 / batch) * n1, G2 + sp.sqrt(S2 / batch) * n2)
    values = {(0, 0): 1, (2, 0): 1, (0, 2): 1}
    change_of = sp.Poly(sp.expand(loss([moved(PLAIN, g) for g in noisy], slopes, hessian)), n1, n2)
    return sp.Add(*(coefficient * values.get(powers, 0) for powers, coefficient in change_of.terms()))


def steps() -> tuple[Step, ...]:
    signs = H11 + H22 + 2 * H12 * nu1 * nu2
    best = (G1 * nu1 + G2 * nu2) / signs
    whole = gain * sp.sqrt(batch) / (diagonal + rest * batch)
    noise_batch, most = diagonal / rest, gain / (2 * sp.sqrt(diagonal) * sp.sqrt(rest))
    straight = G1**2 + G2**2
    bent, noisy = G1**2 * H11 + 2 * G1 * G2 * H12 + G2**2 * H22, H11 * S1 + H22 * S2
    steady = straight / (bent + noisy / batch)
    return (
        Step(
            "sign step",
            Equation(change, -eta * (G1 * nu1 + G2 * nu2) + eta**2 / 2 * signs),
            "the mean change of a quadratic loss by SignSGD's own step, two coordinates' noises independent: E uᵢ² = 1 "
            "and E uᵢuⱼ = νᵢνⱼ, so with more coordinates −η Σ Gᵢνᵢ + η²/2 (tr H + Σ_{i≠j} Hᵢⱼνᵢνⱼ)",
            Identity(where={change: over_signs()}),
        ),
        Step(
            "best sign step",
            Equation(eta, best),
            "the η that lowers it most",
            Solve(conditions=(Equation(sp.diff(-eta * (G1 * nu1 + G2 * nu2) + eta**2 / 2 * signs, eta), 0),)),
        ),
        Step(
            "mean sign",
            Equation(sp.erf(small * signal / sp.sqrt(2)), sp.sqrt(2) * small * signal / sp.sqrt(sp.pi)),
            "of Gaussian noise: erf(s/√2) at a signal s = √B G/σ, linear but for a difference of order s³: ν = q√B",
            Series(variable=small, order=3),
        ),
        Step(
            "small signals",
            Equation(
                best.subs({nu1: sp.sqrt(batch) * signal, nu2: sp.sqrt(batch) * signal}),
                sp.sqrt(batch) * signal * (G1 + G2) / (H11 + H22 + 2 * H12 * signal**2 * batch),
            ),
            "so that η is D√B/(A + KB), with D = Σ Gᵢqᵢ, A = tr H and K = Σ_{i≠j} Hᵢⱼqᵢqⱼ (here of two equal signals)",
            Identity(),
        ),
        Step(
            "noise batch",
            Equation(batch, noise_batch),
            "the batch at which it is largest, where K > 0: ∂ log η/∂ log B = 0",
            Solve(conditions=(Equation(slope(whole, batch), 0),), among=positive(batch)),
        ),
        Step(
            "surge",
            Equation(whole / most, 2 / (sp.sqrt(noise_batch / batch) + sp.sqrt(batch / noise_batch))),
            "η = η_max/[½(√(B_n/B) + √(B/B_n))] with B_n = A/K and η_max = D/(2√(AK))",
            Identity(),
        ),
        Step(
            "sign factor",
            Equation(2 / (1 / sp.sqrt(ratio) + sp.sqrt(ratio)), 2 * sp.sqrt(ratio) / (1 + ratio)),
            "η/η_max by b = B/B_n",
            Identity(),
        ),
        Step(
            "small batches",
            Equation(whole / sp.sqrt(batch), gain / diagonal),
            "below B_n it is the square root rule",
            Limit(variable=batch, to=0),
        ),
        Step(
            "large batches",
            Equation(whole * sp.sqrt(batch), gain / rest),
            "and beyond it falls as 1/√B while the signals √B G/σ stay small",
            Limit(variable=batch, to=sp.oo),
        ),
        Step(
            "certain signs",
            Equation(best.subs({nu1: 1 - small * signal, nu2: 1 - small * signal}), (G1 + G2) / (H11 + H22 + 2 * H12)),
            "but not to 0: where the signs are certain it is that of the noiseless step, at any batch",
            Limit(variable=small, to=0),
        ),
        Step(
            "SGD's step",
            Equation(change, -eta * straight + eta**2 / 2 * (bent + noisy / batch)),
            "the same mean for SGD's own step: −η‖G‖² + η²/2 (GᵀHG + tr(HΣ)/B)",
            Identity(where={change: over_noise()}),
        ),
        Step(
            "best step of SGD",
            Equation(eta, steady),
            "the η that lowers it most",
            Solve(conditions=(Equation(sp.diff(-eta * straight + eta**2 / 2 * (bent + noisy / batch), eta), 0),)),
        ),
        Step(
            "SGD's saturation",
            Equation(steady / (straight / bent), 1 / (1 + noisy / bent / batch)),
            "η = η_max/(1 + B_n/B) with B_n = tr(HΣ)/GᵀHG and η_max = ‖G‖²/GᵀHG",
            Identity(),
        ),
        Step(
            "SGD's factor",
            Equation(1 / (1 + 1 / ratio), ratio / (1 + ratio)),
            "η/η_max by b = B/B_n",
            Identity(),
        ),
    )


def vertex(of: Callable[[Number], Number]) -> Number:
    """Where a parabola through 0 is least, from its values at 1 and 2."""
    one, two = of(mpmath.mpf(1)), of(mpmath.mpf(2))
    bent = two - 2 * one  # twice the coefficient of η²
    return -(one - bent / 2) / bent


def step_of(record: Any, lr: Number, gradient: Number) -> Number:
    record = record.substituted(momentum=mpmath.mpf(0))
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, as_real(0)))
    return record.update(x.numbers, record.initial(x.numbers, mpmath.mpf(0)), gradient, c).weight


def hessian_of(point: Point) -> list[list[Number]]:
    places, everywhere = range(int(point[number])), as_real(point[shared])
    return [[everywhere + (as_real(point[own]) if i == j else 0) for j in places] for i in places]


def slopes_of(point: Point) -> list[Number]:
    return [as_real(point[G1]) + i * as_real(point[G2]) for i in range(int(point[number]))]


def best_sign_step(point: Point, over: Number) -> Number:
    """The best η at b = `over` of SignSGD itself, over every pattern of signs of d coordinates."""
    curvature, gradient = hessian_of(point), slopes_of(point)
    places = range(len(gradient))
    crossed = sum(curvature[i][j] for i in places for j in places if i != j)
    mean = mpmath.sqrt(over * sum(curvature[i][i] for i in places) / crossed)  # ν = q√B at B = bA/K

    def change_at(lr: Number) -> Number:
        total = mpmath.mpf(0)
        for signs in product(ALL_SIGNS, repeat=len(gradient)):
            chance = mpmath.fprod((1 + sign * mean) / 2 for sign in signs)
            total += chance * loss([step_of(SIGN, lr, mpmath.mpf(s)) for s in signs], gradient, curvature)
        return total

    return vertex(change_at)


def sign_factor(point: Point) -> Number:
    return best_sign_step(point, as_real(point[ratio])) / best_sign_step(point, mpmath.mpf(1))


def best_sgd_step(point: Point, spread: Number) -> Number:
    """The best η of SGD itself at noises of this variance, over every pattern of their signs."""
    curvature, gradient = hessian_of(point), slopes_of(point)
    size = mpmath.sqrt(spread)

    def change_at(lr: Number) -> Number:
        patterns = list(product(ALL_SIGNS, repeat=len(gradient)))
        steps = ([step_of(PLAIN, lr, g + size * s) for g, s in zip(gradient, p, strict=True)] for p in patterns)
        return sum(loss(step, gradient, curvature) for step in steps) / len(patterns)

    return vertex(change_at)


def sgd_factor(point: Point) -> Number:
    """At B = bB_n, where a batch's noise has the variance S/B = GᵀHG/(b tr H), over that without noise."""
    curvature, gradient = hessian_of(point), slopes_of(point)
    places = range(len(gradient))
    bent = sum(gradient[i] * curvature[i][j] * gradient[j] for i in places for j in places)
    spread = bent / (as_real(point[ratio]) * sum(curvature[i][i] for i in places))
    return best_sgd_step(point, spread) / best_sgd_step(point, mpmath.mpf(0))


def surge() -> Derivation:
    """§5: the learning rate that suits a batch best, for sign steps and for SGD."""
    return Derivation(
        name="surge",
        title="The best learning rate by batch: sign steps surge, SGD's saturate",
        statement=(
            "On a quadratic the sign step that lowers the loss most has η = η_max/[½(√(B_n/B) + √(B/B_n))], √B below "
            "B_n = tr H/Σ_{i≠j} Hᵢⱼqᵢqⱼ and 1/√B beyond, while signals √B G/σ are small (ν = q√B) and that sum is "
            "positive; where signs are certain η no longer depends on B. SGD's has η = η_max/(1 + B_n/B)."
        ),
        assumptions=Assumptions(
            (
                positive(eta), positive(ratio), positive(batch), positive(G1), positive(G2), positive(H11),
                positive(H22), positive(H12), positive(S1), positive(S2), positive(gain), positive(diagonal),
                positive(rest), positive(signal), positive(small), integer(number, 3, most=2), positive(own),
                positive(shared), real(nu1), real(nu2), real(n1), real(n2),
            ),
            # The mean signs of brute force are below 1, at b and at B_n.
            (sp.Lt(ratio * (own + shared), (number - 1) * shared), sp.Lt(own + shared, (number - 1) * shared)),
        ),
        steps=steps(),
        results={"lr_factor": "sign factor", "sgd_lr_factor": "SGD's factor"},
        brute_force={"lr_factor": sign_factor, "sgd_lr_factor": sgd_factor},
        source="Li et al., arXiv 2405.14578; SGD: McCandlish et al., arXiv 1812.06162; THEORY.md §5",
        arguments={ratio: "batch_ratio"},
        corrects=(
            "that the best η of sign steps falls to 0 as the batch grows: the fall ends where the signs become certain"
        ),
    )  # fmt: skip


DERIVATIONS = {"surge": surge}
