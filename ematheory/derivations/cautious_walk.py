"""AdamW with cautious decay on white gradients (§7): its mean square is twice AdamW's, and a little more."""

from __future__ import annotations

from itertools import product

import mpmath
import sympy as sp

from ..optimizers import AdamW
from . import symbols as x
from .assumptions import Assumptions, between, positive
from .checks import Identity
from .derivation import Brute, Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime, namespace
from .limits import Limit, Series, Solve
from .random_walk import ROOT_OF_PRODUCT

eta, lam = x.eta, x.lam
rate = sp.Symbol("r", positive=True)  # ηλ
size, update = sp.symbols("w u", positive=True)  # |w| and |u| of one step
W, W_alone, mean_w, mean_u, square_u = sp.symbols("W W_A A U S", positive=True)  # E w², AdamW's, E|w|, E|u|, E u²
ratio, pull, small = sp.symbols("R kappa x", positive=True)
place = sp.Symbol("z", real=True)
RECORD = AdamW(lr=1.0, decay="cautious")
ahead = 2 * eta**2 / (rate * (2 - rate))
following = W - rate * (2 - rate) * W / 2 + eta * (eta + rate * mean_u * mean_w)


def moved(sign: int) -> Expression:
    """The weight |w| after AdamW's own cautious update by a u of this sign, with β₁ = 0 and √v + ε held at 1."""
    record = x.with_symbols(RECORD).substituted(beta1=sp.Integer(0))
    held = namespace(x.xp, 1 - x.eps)
    clock = SettledTime(step=sp.Integer(1), lr=eta, weight_decay=rate / eta, multiplier=sp.Integer(1))
    state = record.State(size, sp.Integer(0), sp.Integer(0))
    return record.update(held, state, sign * update, record.coefficients(held, clock)).weight


def averaged(square: Expression) -> Expression:
    """The mean of a quadratic form in |w| and |u|, which are independent."""
    means = {(2, 0): W, (1, 1): mean_w * mean_u, (0, 2): sp.Integer(1)}
    terms = sp.Poly(sp.expand(square), size, update).terms()
    return sp.Add(*(coefficient * means[powers] for powers, coefficient in terms))


def closed(share: Expression) -> Expression:
    """The ratio R with R² = 2(1 + cR√(r/(2 − r))): its root mean square over AdamW's."""
    return share * sp.sqrt(rate) / sp.sqrt(2 - rate) + sp.sqrt(share**2 * rate / (2 - rate) + 2)


def steps() -> tuple[Step, ...]:
    along, against = sp.symbols("w_+ w_-", real=True)  # the next weight where u points along the weight, and against
    both = {along: -eta * update + (1 - rate) * size, against: size + eta * update}
    gaussian = sp.exp(-rate * place**2 / (2 * eta**2))
    normal_size = sp.sqrt(2) / sp.sqrt(sp.pi)  # E|z| of a standard normal
    by_size = pull + sp.sqrt(pull**2 + 2)
    strength = lam * normal_size * eta / sp.sqrt(rate * (2 - rate))  # λ E|w|/R of a Gaussian weight
    return (
        Step(
            "update",
            Equation(sp.Tuple(*both), sp.Tuple(*both.values())),
            "AdamW's own cautious update, β₁ = 0 and √v held: it decays only where u points along the weight",
            Identity(where={along: moved(1), against: moved(-1)}),
        ),
        Step(
            "next mean square",
            Equation(W_alone, following),
            "half of the updates of a symmetric u, independent of w and with E u² = 1, point along the weight",
            Identity(where={W_alone: averaged((moved(1) ** 2 + moved(-1) ** 2) / 2)}),
        ),
        Step(
            "at rest",
            Equation(W, ahead * (1 + rate / eta * mean_u * mean_w)),
            "the mean square that it leaves alone, exactly: E w² = 2 η²/(1 − a²)·(1 + λ E|u| E|w|)",
            Solve(conditions=(Equation(W, following),)),
        ),
        Step(
            "over AdamW",
            Equation(W / (eta**2 / (1 - (1 - rate) ** 2)), 2 + 2 * rate / eta * mean_u * mean_w),
            "R², the mean square over AdamW's η²/(1 − a²), is more than 2, and at most 2 + 2R√(ηλ/(2 − ηλ)), since "
            "E|u| ≤ 1 and E|w| ≤ √(E w²): cautious decay is λ/2 up to a term of order √(ηλ), whatever the updates",
            Identity(uses=("at rest",)),
        ),
        Step(
            "diffusion",
            Equation(eta**2 / 2 * sp.Derivative(gaussian, place), -rate / 2 * place * gaussian),
            "for small steps the weight drifts by −ηλw/2, half of AdamW's, and spreads by η²: in this density, a "
            "Gaussian, the two flows of probability cancel",
            Identity(),
        ),
        Step(
            "closure",
            Equation(ratio, by_size),
            "with E|w| = √(2/π)·√(E w²), that of a Gaussian weight, R² = 2 + 2κR has one positive solution",
            Solve(conditions=(Equation(ratio**2, 2 + 2 * pull * ratio),), among=positive(ratio)),
        ),
        Step(
            "gaussian closure",
            Equation(by_size.subs(pull, strength * normal_size), closed(2 / sp.pi)),
            "for Gaussian updates, E|u| = √(2/π)",
            Identity(lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "sign closure",
            Equation(by_size.subs(pull, strength), closed(normal_size)),
            "for updates ±1, E|u| = 1",
            Identity(lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "small decay",
            Equation(closed(2 / sp.pi).subs(rate, small**2) ** 2, 2 * (1 + 2 * small / sp.pi)),
            "R² is 2(1 + (2/π)√(ηλ)) up to a term of order ηλ, x = √(ηλ)",
            Series(variable=small, order=2),
        ),
        Step(
            "small decay of signs",
            Equation(
                closed(normal_size).subs(rate, small**2) ** 2,
                2 * (1 + normal_size * small),
            ),
            "and 2(1 + √(2/π)·√(ηλ)) for updates ±1",
            Series(variable=small, order=2),
        ),
        Step(
            "half the decay",
            Equation(closed(2 / sp.pi).subs(rate, small**2), sp.sqrt(2)),
            "cautious decay acts as λ/2 only as ηλ → 0",
            Limit(variable=small, to=0),
        ),
    )


def stepped(point: Point, weight: Number, gradient: Number) -> Number:
    """The weight after one update of cautious AdamW itself."""
    record = RECORD.substituted(beta1=mpmath.mpf(0), beta2=mpmath.mpf(1) / 2, eps=mpmath.mpf(0))
    held = namespace(x.numbers, as_real(1))
    lr = as_real(point[eta])
    c = record.coefficients(held, SettledTime(step=as_real(1), lr=lr, weight_decay=as_real(point[rate]) / lr))
    return record.update(held, record.State(weight, mpmath.mpf(0), mpmath.mpf(0)), gradient, c).weight


def enumerated(point: Point) -> Brute:
    """E w² after four steps over every sequence of updates ±½ and ±√(7/4), and the moments one step before."""
    sizes = (mpmath.mpf(1) / 2, mpmath.sqrt(mpmath.mpf(7)) / 2)
    updates = [sign * size for sign, size in product((1, -1), sizes)]
    weights = [as_real(0)]
    for _ in range(4):
        before, weights = weights, [stepped(point, w, u) for w in weights for u in updates]
    mean = {W: sum(w * w for w in before) / len(before), mean_w: sum(map(abs, before)) / len(before)}
    return Brute(sum(w * w for w in weights) / len(weights), {**mean, mean_u: sum(sizes) / 2})


def settled(point: Point, next_square: Number) -> Number:
    """R of the root mean square y that one step leaves alone, the mean square after it being a quadratic in y."""
    at = [next_square(mpmath.mpf(y)) for y in (0, 1, 2)]
    second = (at[2] - 2 * at[1] + at[0]) / 2 - 1
    first = at[1] - at[0] - second - 1
    y = (-first - mpmath.sqrt(first**2 - 4 * second * at[0])) / (2 * second)
    keep = 1 - as_real(point[rate])
    return y * mpmath.sqrt(1 - keep**2) / as_real(point[eta])


def of_gaussian(point: Point) -> Number:
    """By the mean over the angle of (w, u), both Gaussian: a step is linear along every ray."""

    def next_square(y: Number) -> Number:
        quarter = mpmath.pi / 2

        def square(angle: Number) -> Number:
            return stepped(point, y * mpmath.cos(angle), mpmath.sin(angle)) ** 2

        return 2 * mpmath.quad(square, [0, quarter, 2 * quarter]) / mpmath.pi

    return settled(point, next_square)


def of_signs(point: Point) -> Number:
    """By the mean over a Gaussian w > 0 and both signs of u."""

    def next_square(y: Number) -> Number:
        def weighted(z: Number) -> Number:
            squares = sum(stepped(point, y * z, mpmath.mpf(u)) ** 2 for u in (1, -1))
            return squares * mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)

        return mpmath.quad(weighted, [0, 7, 18], method="gauss-legendre", maxdegree=5)

    return settled(point, next_square)


def cautious_walk() -> Derivation:
    """Cautious decay on pure noise without momentum."""
    return Derivation(
        name="cautious-random-walk",
        title="Cautious decay on white gradients: more than half of the decay is lost",
        statement=(
            "Without momentum the decay acts at half of the steps, and E w² = 2(1 + λ E|u| E|w|) times AdamW's, "
            "exactly. For Gaussian updates the root mean square is √2·√(1 + (2/π)√(ηλ)) times AdamW's as ηλ → 0, for "
            "updates ±1 √2·√(1 + √(2/π)·√(ηλ)) times; at finite ηλ these hold for a Gaussian weight."
        ),
        assumptions=Assumptions(
            (positive(eta), between(rate, 0, 1), positive(W), positive(mean_w), between(mean_u, 0, 1))
        ),
        definitions={lam: rate / eta},
        steps=steps(),
        results={
            "gaussian_rms_ratio": "gaussian closure", "sign_rms_ratio": "sign closure",
            "next_mean_square": "next mean square",
        },
        brute_force={
            "gaussian_rms_ratio": of_gaussian, "sign_rms_ratio": of_signs, "next_mean_square": enumerated,
        },
        source="Chen et al., arXiv 2510.12402; THEORY.md, §7",
        arguments={rate: "decay_per_step"},
        corrects=(
            "that a mask which is on half of the time halves the decay: λ/2 gives the root mean square √2·AdamW's only "
            "as √(ηλ) → 0, and (2/π)√(ηλ) is for Gaussian updates, √(2/π)√(ηλ) for those of one size"
        ),
    )  # fmt: skip


DERIVATIONS = {"cautious-random-walk": cautious_walk}
