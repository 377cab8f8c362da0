"""Alignment (§5): how much an update changes a layer's output, at the start and at rest."""

from __future__ import annotations

from itertools import product

import mpmath
import sympy as sp

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive
from .batch_scaling import ALL_SIGNS
from .checks import Identity
from .derivation import Brute, Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, rate
from .limits import Limit
from .width_decay import first_weight, mean_square, slope, weight

eta = x.eta
inputs, outputs = sp.symbols("n k", integer=True, positive=True)
sigma = sp.Symbol("sigma", positive=True)  # of the weights at the start
size = sp.Symbol("X", positive=True)  # ‖X‖
relative = sp.Symbol("rho", positive=True)  # ‖ΔW‖/‖W‖
of_update, of_weight = sp.symbols("alpha_ΔW alpha_W", positive=True)
weight_norm, update_norm = sp.symbols("W_norm ΔW_norm", positive=True)  # ‖W‖ and ‖ΔW‖
one, other, first, second, new_one, new_other = sp.symbols("w_1 w_2 x_1 x_2 v_1 v_2", real=True)
change, output, square = sp.symbols("Delta Y Q", real=True)
RECORD = AdamW(lr=1.0)


def mean_over_weights(e: Expression) -> Expression:
    """E over two independent weights of mean 0 and variance σ² of an expression at most quadratic in them."""
    values = {(2, 0): sigma**2, (0, 2): sigma**2, (0, 0): sp.Integer(1)}
    return sp.Add(*(c * values.get(powers, 0) for powers, c in sp.Poly(sp.expand(e), one, other).terms()))


def steps() -> tuple[Step, ...]:
    difference = (new_one * first + new_other * second) - (one * first + other * second)
    norms = {
        weight_norm: sigma * sp.sqrt(inputs) * sp.sqrt(outputs),
        update_norm: eta * sp.sqrt(inputs) * sp.sqrt(outputs),
    }
    at_start = {of_weight: 1 / sp.sqrt(inputs), of_update: sp.Integer(1), **norms}
    mean_update = forget / (2 - forget)  # (1 − β₁)/(1 + β₁)
    moves = {
        letter: (first_weight(sign * slope) - weight).subs(x.lam, 0)
        for letter, sign in zip(sp.symbols("Delta_+ Delta_-", real=True), ALL_SIGNS, strict=True)
    }
    return (
        Step(
            "linear",
            Equation(change, (new_one - one) * first + (new_other - other) * second),
            "the output WX changes by ΔW X",
            Identity(where={change: difference}),
        ),
        Step(
            "relative change",
            Equation(change / output, of_update / of_weight * relative),
            "‖ΔY‖/‖Y‖, the alignments being α_W = ‖WX‖/(‖W‖‖X‖) and α_ΔW = ‖ΔW X‖/(‖ΔW‖‖X‖)",
            Identity(
                where={
                    change: of_update * update_norm * size, output: of_weight * weight_norm * size,
                    relative: update_norm / weight_norm,
                }
            ),
        ),
        Step(
            "random weights",
            Equation(square, sigma**2 * (first**2 + second**2)),
            "the mean square of an output of independent weights: Σ σ²xᵢ², so that ‖Y‖ is σ√k‖X‖ over k outputs",
            Identity(where={square: mean_over_weights((one * first + other * second) ** 2)}),
        ),
        Step(
            "alignment of random weights",
            Equation(sigma * sp.sqrt(outputs) * size / (weight_norm * size), 1 / sp.sqrt(inputs)),
            "which with ‖W‖ = σ√(nk) is α_W = 1/√n",
            Identity(where=norms),
        ),
        Step(
            "first update",
            Equation(sp.Tuple(*moves), sp.Tuple(-eta, eta)),
            "AdamW's own first update without decay moves each weight by η against its gradient, for one sample δᵢxⱼ",
            Identity(where=moves),
        ),
        Step(
            "alignment of the first update",
            Equation(eta * inputs * sp.sqrt(outputs) / (update_norm * sp.sqrt(inputs)), 1),
            "inputs of size 1 then move every output by ηn (derivation width-decay): ‖ΔW X‖ = ηn√k, ‖ΔW‖ = η√(nk) and "
            "‖X‖ = √n make α_ΔW = 1, as large as it can be",
            Identity(where=norms),
        ),
        Step(
            "change at the start",
            Equation(of_update / of_weight * update_norm / weight_norm, sp.sqrt(inputs) * eta / sigma),
            "so the first update changes the output by √n η/σ of itself",
            Identity(where=at_start),
        ),
        Step(
            "muP",
            Equation(sp.sqrt(inputs) * eta / sigma, eta * inputs),
            "which for σ = 1/√n is ηn: hence η ∝ 1/n",
            Identity(where={sigma: 1 / sp.sqrt(inputs)}),
        ),
        Step(
            "update at rest",
            Equation(eta**2 * mean_update / (2 * rate * mean_square(eta, rate)), mean_update),
            "at rest (derivation adamw-random-walk) (‖ΔW‖/‖W‖)² is 2ηλ(1 − β₁)/(1 + β₁) at small ηλ: with given "
            "alignments it is ηλ, not η, that sets the change of the output",
            Limit(variable=rate, to=0),
        ),
    )  # fmt: skip


def norm(vector: list[Number]) -> Number:
    return mpmath.sqrt(sum(v * v for v in vector))


def through(matrix: list[list[Number]], vector: list[Number]) -> list[Number]:
    return [sum(w * v for w, v in zip(row, vector, strict=True)) for row in matrix]


def first_updates(matrix: list[list[Number]], gradient: list[list[Number]], lr: Number) -> list[list[Number]]:
    """What AdamW's own first update adds to each weight."""
    record = RECORD.substituted(beta1=mpmath.mpf(1) / 2, beta2=mpmath.mpf(1) / 2, eps=mpmath.mpf(0))
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, as_real(0)))
    return [
        [record.update(x.numbers, record.initial(x.numbers, w), g, c).weight - w for w, g in zip(*rows, strict=True)]
        for rows in zip(matrix, gradient, strict=True)
    ]


def some_numbers(point: Point, count: int, start: int) -> list[Number]:
    """Numbers of either sign that depend on the point, none of them 0."""
    seed = as_real(point[sigma])
    return [mpmath.sin((start + i + 1) * seed) + mpmath.mpf(1) / 7 for i in range(count)]


def relative_change(point: Point) -> Brute:
    """‖W'X − WX‖/‖WX‖ by AdamW's own first update of a 3 by 4 matrix, with the alignments and ratio of that case."""
    matrix = [some_numbers(point, 4, 10 * row) for row in range(3)]
    vector = some_numbers(point, 4, 40)
    gradient = [[d * v for v in vector] for d in some_numbers(point, 3, 50)]
    added = first_updates(matrix, gradient, as_real(point[eta]))
    after = [[w + d for w, d in zip(*rows, strict=True)] for rows in zip(matrix, added, strict=True)]
    before, now = through(matrix, vector), through(after, vector)
    sizes = [norm([w for row in rows for w in row]) for rows in (matrix, added)]
    bindings = {
        of_weight: norm(before) / (sizes[0] * norm(vector)),
        of_update: norm(through(added, vector)) / (sizes[1] * norm(vector)),
        relative: sizes[1] / sizes[0],
    }
    return Brute(norm([p - q for p, q in zip(now, before, strict=True)]) / norm(before), bindings)


def change_at_start(point: Point) -> Number:
    """‖ΔW X‖ over the root mean square of ‖WX‖, over all weights ±σ of 2 outputs and AdamW's own first update."""
    count, deviation = int(point[inputs]), as_real(point[sigma])
    vector = [mpmath.mpf((-1) ** i) for i in range(count)]
    rows = product(ALL_SIGNS, repeat=count)
    squares = [sum(s * v for s, v in zip(signs, vector, strict=True)) ** 2 for signs in rows]
    output_norm = deviation * mpmath.sqrt(2 * sum(squares) / len(squares))
    gradient = [[d * v for v in vector] for d in (mpmath.mpf(3), -mpmath.mpf(1) / 2)]
    added = first_updates([[deviation] * count] * 2, gradient, as_real(point[eta]))
    return norm(through(added, vector)) / output_norm


def alignment() -> Derivation:
    """§5: the alignment identity and its values at the start."""
    return Derivation(
        name="alignment",
        title="Alignment: how much an update changes a layer's output",
        statement=(
            "‖ΔY‖/‖Y‖ = (α_ΔW/α_W)·‖ΔW‖/‖W‖. At the start α_W = 1/√n for random weights of n inputs and α_ΔW = 1 for "
            "AdamW's first update on one sample, so the change is √n η/σ and muP's η ∝ 1/n keeps it; at rest ‖ΔW‖/‖W‖ "
            "is set by ηλ."
        ),
        assumptions=Assumptions(
            (
                positive(eta), positive(sigma), between(rate, 0, 1), between(forget, 0, 1),
                integer(inputs, 1, most=5), integer(outputs, 1), positive(relative), positive(of_update),
                positive(of_weight), positive(slope), positive(weight),
            )
        ),
        steps=steps(),
        results={"relative_change": "relative change", "change_at_start": "change at the start"},
        brute_force={"relative_change": relative_change, "change_at_start": change_at_start},
        source="Kosson et al., arXiv 2510.19093; muP: Yang et al., arXiv 2203.03466; THEORY.md §5",
        arguments={
            of_update: "update_alignment", of_weight: "weight_alignment", relative: "relative_update",
            inputs: "inputs", eta: "lr", sigma: "init_std",
        },
        corrects=(
            "that muP's η ∝ 1/m keeps the change of outputs throughout: it does at α_ΔW/α_W ∝ √m, as at the start; "
            "with alignments that do not depend on the width the change at rest is set by ηλ"
        ),
    )  # fmt: skip


DERIVATIONS = {"alignment": alignment}
