"""SGD's batch rules (§5): drift, diffusion and decay per sample, and their exact forms."""

from __future__ import annotations

from itertools import product

import mpmath
import sympy as sp

from ..optimizers import SGD
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .batch_scaling import ALL_SIGNS, averaged_noises, batch, joined, kappa, rate, rule
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import STABLE
from .limits import Series

eta, lam, w = x.eta, x.lam, x.w_t
slope, spread, start = sp.symbols("G S w_0", positive=True)  # mean gradient; noise variance of one sample; the start
noise = sp.Symbol("n", real=True)  # of mean 0 and variance 1
D, F = sp.symbols("D F", real=True)  # drift and diffusion
RECORD = SGD(lr=1.0, weight_decay=0.1)


def after(record: SGD, weight: Expression, buffer: Expression, gradient: Expression) -> tuple[Expression, Expression]:
    """(w, m) after SGD's own update."""
    named = x.with_symbols(record)
    new = x.symbolic_update(named, x.clock(constant=True), named.State(weight, buffer), gradient)
    return new.weight, new.momentum


def expectation(e: Expression) -> Expression:
    """E over the noise of an expression at most quadratic in it."""
    return sp.Add(*(c * {0: 1, 2: 1}.get(k, 0) for (k,), c in sp.Poly(sp.expand(e), noise).terms()))


def steps() -> tuple[Step, ...]:
    step = after(RECORD, start, sp.Integer(0), slope + sp.sqrt(spread / batch) * noise)[0] - start
    mean = expectation(step)
    per_sample = {"drift": eta / batch, "diffusion": eta**2 / batch**2, "decay": eta * lam / batch}
    keep = 1 - rate
    following = after(RECORD, w(kappa), sp.Integer(0), slope)[0]
    curved = sp.Symbol("q", positive=True)  # η(h + λ)
    return (
        Step(
            "drift",
            Equation(D, -eta / batch * slope - eta * lam / batch * start),
            "the mean of SGD's own update over the B samples that it uses: η/B times the gradient, ηλ/B of the weight",
            Identity(where={D: mean / batch}),
        ),
        Step(
            "diffusion",
            Equation(F, eta**2 * spread / batch**2),
            "its variance per sample; the mean of B gradients has the noise S/B",
            Identity(where={F: expectation((step - mean) ** 2) / batch}),
        ),
        *rule("", per_sample, (eta, lam), "drift, diffusion and decay per sample"),
        Step(
            "small step",
            Equation(w(kappa + 1), keep * w(kappa) - eta * slope),
            "on a gradient that stays",
            Identity(where={w(kappa + 1): following, lam: rate / eta}),
        ),
        Step(
            "small steps",
            Equation(w(kappa), keep**kappa * start - eta * slope * (1 - keep**kappa) / rate),
            "κ steps at the batch B",
            Induction(variable=kappa, recurrence=("small step",), initial={w(0): start}),
        ),
        Step(
            "large step",
            Equation(
                after(RECORD, start, sp.Integer(0), slope)[0].subs(eta, eta * (1 - keep**kappa) / rate),
                keep**kappa * start - eta * slope * (1 - keep**kappa) / rate,
            ),
            "are one step exactly at η' = (1 − (1 − ηλ)^κ)/λ and the same λ",
            Identity(where={lam: rate / eta}),
        ),
        Step(
            "learning rate",
            Equation(eta * (1 - keep**kappa) / rate, eta * joined(rate) / rate),
            "so that 1 − η'λ = (1 − ηλ)^κ, in a form that loses no digits",
            Identity(lemmas=STABLE),
        ),
        Step(
            "linear rule",
            Equation((1 - keep**kappa) / (rate * kappa), 1 - (kappa - 1) * rate / 2),
            "η' over the linear rule's κη is 1 as ηλ → 0, with a difference of order ηλ",
            Series(variable=rate, order=2),
        ),
        Step(
            "noise",
            Equation(
                kappa * rate**2 * (1 - keep ** (2 * kappa)) / ((1 - keep**2) * (1 - keep**kappa) ** 2),
                kappa * rate * (2 - joined(rate)) / ((2 - rate) * joined(rate)),
            ),
            "the noise of the κ steps, η²S/B Σ (1 − ηλ)^{2i}, over that of the one, η'²S/(κB)",
            Identity(lemmas=STABLE),
        ),
        Step(
            "noise of small decay",
            Equation(
                kappa * rate * (1 + keep**kappa) / ((2 - rate) * (1 - keep**kappa)), 1 + (kappa**2 - 1) * rate**2 / 12
            ),
            "which is 1 but for a difference of order (ηλ)²",
            Series(variable=rate, order=3),
        ),
        Step(
            "curvature",
            Equation((1 - curved) ** kappa, 1 - kappa * curved + kappa * (kappa - 1) * curved**2 / 2),
            "on a gradient hw, q = η(h+λ), κ steps leave (1 − q)^κ of the weight and one step at κη leaves 1 − κq: the "
            "rule asks for κq ≪ 1",
            Series(variable=curved, order=3),
        ),
    )


def patterns(point: Point) -> tuple[list[Number], int]:
    """The weight that κ updates of SGD itself leave of 0, for a gradient 1 and every order of unit noises."""
    lr, decay = as_real(point[eta]), as_real(point[rate]) / as_real(point[eta])
    record = RECORD.substituted(momentum=mpmath.mpf(0))
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, decay))
    found, count = [], int(point[kappa])
    for signs in product(ALL_SIGNS, repeat=count):
        state = record.initial(x.numbers, mpmath.mpf(0))
        for sign in signs:
            state = record.update(x.numbers, state, mpmath.mpf(1 + sign), c)
        found.append(state.weight)
    return found, count


def learning_rate(point: Point) -> Number:
    """The mean that κ updates come to, which one update on the same gradient, 1, has to make of 0."""
    found, _ = patterns(point)
    return -sum(found) / len(found)


def noise_ratio(point: Point) -> Number:
    """The variance of κ updates over that of one update, on the mean of κ noises, of the same mean."""
    found, count = patterns(point)
    mean = sum(found) / len(found)
    large = [mean * (1 + sample) for sample in averaged_noises(count)]
    return sum((v - mean) ** 2 for v in found) / sum((v - mean) ** 2 for v in large)


def scaling_sgd() -> Derivation:
    """§5: SGD's linear rule, λ unchanged."""
    return Derivation(
        name="scaling-sgd",
        title="SGD's batch rule: η in proportion, λ unchanged",
        statement=(
            "Per sample SGD drifts by η/B, diffuses by η²/B² and decays by ηλ/B: all three stay where η ∝ B and λ "
            "stays. κ steps on one gradient are exactly one at η' = (1 − (1 − ηλ)^κ)/λ with the same λ; their noise "
            "differs by the order (ηλ)², and curvature by the order (κη(h + λ))²."
        ),
        assumptions=Assumptions(
            (
                integer(kappa, 1, most=4), between(rate, 0, 1), positive(eta), positive(lam), positive(batch),
                real(noise), positive(start),
            )
        ),
        steps=steps(),
        results={"lr": "learning rate", "noise_ratio": "noise"},
        brute_force={"lr": learning_rate, "noise_ratio": noise_ratio},
        source="THEORY.md §5; the comparison of κ steps with one: Goyal et al., arXiv 1706.02677",
        arguments={eta: "lr", rate: "decay_per_step", kappa: "batch_factor"},
    )  # fmt: skip


DERIVATIONS = {"scaling-sgd": scaling_sgd}
