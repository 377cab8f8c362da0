"""Weight decay across widths (§5): what fixed λ, λ ∝ √m and λ ∝ m keep when η ∝ 1/m."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive
from .batch_scaling import rule
from .checks import Antidifference, Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime, forget, namespace, rate
from .lemmas import STABLE
from .limits import Limit, Series, Solve

eta, lam, eps = x.eta, x.lam, x.eps
width = sp.Symbol("m", positive=True)  # the width's factor
inputs = sp.Symbol("n", integer=True, positive=True)
slope, weight = sp.symbols("g w", positive=True)
power, change = sp.symbols("p x_lambda", real=True)
RECORD = AdamW(lr=1.0, weight_decay=0.1)
GAINS = {
    "noise: ": (sp.Rational(1, 2), "the gain of random weights, √m times their root mean square"),
    "observed: ": (sp.Rational(3, 4), "the gain that Fan et al. measured, m^(3/4) times the root mean square"),
    "aligned: ": (sp.Integer(1), "the gain of weights of rank one, m times their root mean square"),
}


def first_weight(gradient: Expression) -> Expression:
    """The weight after AdamW's own first update, without ε."""
    named = x.with_symbols(RECORD)
    clock = SymbolicTime(step=sp.Integer(1), lr=eta, weight_decay=lam)
    state = named.State(weight, sp.Integer(0), sp.Integer(0))
    return x.symbolic_update(named, clock, state, gradient).weight.subs(eps, 0)


def eps_steps() -> tuple[Step, ...]:
    """ε ∝ 1/m: hidden gradients fall as 1/m, since they pass output weights of that size."""
    moved = x.with_symbols(RECORD)
    clock = SymbolicTime(step=sp.Integer(1), lr=eta, weight_decay=sp.Integer(0))
    state = moved.State(weight, sp.Integer(0), sp.Integer(0))
    step = (weight - x.symbolic_update(moved, clock, state, slope).weight) / eta
    passed, hidden = sp.symbols("v x_in", positive=True)  # an output weight, and the input of a hidden one
    return (
        Step(
            "hidden gradient",
            Equation(sp.Derivative(passed / width * weight * hidden, weight), passed * hidden / width),
            "an output is Σ vᵢ(wx)ᵢ/m with muP's output weights, of size 1/m: a hidden weight's gradient falls as 1/m",
            Identity(),
        ),
        Step(
            "ε",
            Equation(step.subs({slope: slope / width, eps: eps / width}, simultaneous=True), slope / (slope + eps)),
            "so AdamW's own first update stays as it was if ε ∝ 1/m: without that, ε stands out at large widths",
            Identity(),
        ),
    )


def mean_square(lr: Expression, decay: Expression) -> Expression:
    """E w² at rest over white gradients (derivation adamw-random-walk), ηλ being `decay`."""
    keep = (1 - decay) * (1 - forget)
    lost = decay + forget * (1 - decay)
    return lr**2 * forget * (1 + keep) / ((2 - forget) * decay * (2 - decay) * lost)


def steps() -> tuple[Step, ...]:
    index = sp.Symbol("i", integer=True)
    quiet = x.symbolic_update(
        x.with_symbols(RECORD),
        x.clock(constant=True),
        x.with_symbols(RECORD).State(weight, sp.Integer(0), x.v_t(x.t)),
        sp.Integer(0),
    ).weight
    learning = {"change of an output": eta * width}
    half = sp.Rational(1, 2)
    root = sp.sqrt(eta) / sp.sqrt(lam)
    before, wide = sp.symbols("V_1 V_m", positive=True)
    return (
        Step(
            "decay per step",
            Equation(quiet, (1 - eta * lam) * weight),
            "AdamW's own update without a gradient",
            Identity(),
        ),
        Step(
            "first update",
            Equation(
                sp.Tuple(first_weight(slope), first_weight(-slope)),
                sp.Tuple((1 - eta * lam) * weight - eta, (1 - eta * lam) * weight + eta),
            ),
            "AdamW's own first update moves every weight by η against its gradient's sign",
            Identity(),
        ),
        Step(
            "change of an output",
            Equation(sp.Sum(eta, (index, 1, inputs)), eta * inputs),
            "which over inputs of size 1, whose signs are those of the gradient, adds up: so η ∝ 1/m keeps it",
            Antidifference(certificate=eta * index),
        ),
        *rule("timescale: ", {**learning, "timescale": eta * lam}, (eta, lam), "it and the timescale", axis=width),
        Step(
            "norm at rest",
            Equation(2 * rate * mean_square(eta, rate) / eta**2, 1),
            "E w² at rest (derivation adamw-random-walk) is η/(2λ) at small ηλ",
            Limit(variable=rate, to=0),
        ),
        *(
            step
            for prefix, (exponent, what) in GAINS.items()
            for step in rule(prefix, {**learning, "gain": root * width**exponent}, (eta, lam), what, axis=width)
        ),
        Step(
            "any gain",
            Equation(change, 2 * power - 1),
            "with η ∝ 1/m a gain √(η/λ)·m^p stays where λ ∝ m^(2p − 1): the rules differ in p alone, and λ ∝ m is the "
            "one that keeps the timescale as well",
            Solve(conditions=(Equation(-half - change / 2 + power, 0),)),
        ),
        Step(
            "timescale at fixed λ",
            Equation(sp.log(1 - rate) / sp.log(1 - rate / width), log1p(-rate) / log1p(-rate / width)),
            "with η/m and the same λ the timescale is so many times as long",
            Identity(lemmas=STABLE),
        ),
        Step(
            "longer by the width",
            Equation(sp.log(1 - rate) / sp.log(1 - rate / width), width + (width - 1) * rate / 2),
            "m times, with a difference of order ηλ",
            Series(variable=rate, order=2),
        ),
        Step(
            "mean square at fixed λ",
            Equation(
                mean_square(eta / width, rate / width) / mean_square(eta, rate),
                (1 + (1 - rate / width) * (1 - forget)) / (1 + (1 - rate) * (1 - forget))
                * (2 - rate) / (2 * width - rate)
                * (rate + forget * (1 - rate)) / (rate / width + forget * (1 - rate / width)),
            ),
            "and E w² at rest falls by so much",
            Identity(),
        ),
        Step(
            "smaller by the width",
            Equation(width * mean_square(eta / width, rate / width) / mean_square(eta, rate), 1),
            "1/m at small ηλ",
            Limit(variable=rate, to=0),
        ),
        Step(
            "mean square at a fixed timescale",
            Equation(wide / before, 1 / width**2),
            "while with η/m and mλ it falls by 1/m², at any ηλ: it is the aligned gain that stays, exactly",
            Identity(where={before: mean_square(eta, eta * lam), wide: mean_square(eta / width, eta * lam)}),
        ),
        *eps_steps(),
    )  # fmt: skip


def at_rest(lr: Number, decay: Number, forgotten: Number) -> Number:
    """E w² of AdamW itself over white gradients: what V = MVMᵀ + nnᵀ solves, M and n taken from its own update."""
    record = RECORD.substituted(beta1=1 - forgotten, beta2=mpmath.mpf(1) / 2, eps=mpmath.mpf(0))
    held = namespace(x.numbers, mpmath.mpf(1))
    c = record.coefficients(held, SettledTime(as_real(1), lr, decay / lr))
    (ww, wm), (mw, mm), (wn, mn) = (
        record.update(held, record.State(*map(mpmath.mpf, (w, m, 0))), mpmath.mpf(g), c)[:2]
        for w, m, g in ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    )
    matrix = mpmath.matrix(
        [
            [1 - ww**2, -2 * ww * mw, -(mw**2)],
            [-ww * wm, 1 - ww * mm - mw * wm, -mw * mm],
            [-(wm**2), -2 * wm * mm, 1 - mm**2],
        ]
    )
    return mpmath.lu_solve(matrix, mpmath.matrix([wn**2, wn * mn, mn**2]))[0]


def mean_square_ratio(point: Point) -> Number:
    """E w² at η/m and the same λ over that at η."""
    lr, decay, factor = (as_real(point[symbol]) for symbol in (eta, rate, width))
    forgotten = as_real(point[forget])
    return at_rest(lr / factor, decay / factor, forgotten) / at_rest(lr, decay, forgotten)


def timescale_growth(point: Point) -> Number:
    """Steps of AdamW itself to lose a given share at η/m and the same λ, over those at η."""
    record = RECORD.substituted(beta1=mpmath.mpf(0), beta2=mpmath.mpf(0), eps=mpmath.mpf(1))
    lr = as_real(point[eta])
    left = []
    for factor in (1, as_real(point[width])):
        c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr / factor, as_real(point[rate]) / lr))
        left.append(record.update(x.numbers, record.initial(x.numbers, mpmath.mpf(1)), mpmath.mpf(0), c).weight)
    return mpmath.log(left[0]) / mpmath.log(left[1])


def width_decay() -> Derivation:
    """§5: the rules for λ at another width, by what each keeps."""
    return Derivation(
        name="width-decay",
        title="Weight decay at another width: which rule keeps what",
        statement=(
            "muP's η ∝ 1/m keeps the change of an output by an update. With the same λ the timescale then grows as m; "
            "λ ∝ m keeps it. A gain √(η/λ)·m^p at rest stays where λ ∝ m^(2p−1): fixed λ keeps that of random weights "
            "(p = 1/2), λ ∝ √m the observed one (p = 3/4), and λ ∝ m that of aligned weights (p = 1). ε ∝ 1/m keeps "
            "its share beside gradients that fall as 1/m."
        ),
        assumptions=Assumptions(
            (
                between(rate, 0, 1), between(forget, 0, 1), positive(eta),
                between(width, 1, sp.oo), integer(inputs, 1), positive(lam), positive(slope), positive(weight),
                between(x.beta1, 0, 1), between(x.beta2, 0, 1),
            )
        ),
        steps=steps(),
        results={"timescale_growth": "timescale at fixed λ", "mean_square_ratio": "mean square at fixed λ"},
        brute_force={"timescale_growth": timescale_growth, "mean_square_ratio": mean_square_ratio},
        source=(
            "arXiv 2405.13698, 2505.01618 and 2510.19093 (λ ∝ m); Fan et al., arXiv 2510.15262 (λ ∝ √m); muP: Yang et "
            "al., arXiv 2203.03466; THEORY.md §5"
        ),
        arguments={rate: "decay_per_step", forget: "one_minus_beta1", width: "width_factor"},
        corrects=(
            "that λ ∝ m and λ ∝ √m exclude each other as facts: they keep different things, the timescale and a gain "
            "that grows as m^(3/4), and agree if that gain grows as m"
        ),
    )  # fmt: skip


DERIVATIONS = {"width-decay": width_decay}
