"""The implicit warm-up of a wider model's decay (R10): (η/m, mλ) against (η, λ), from the same start."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import STABLE
from .limits import Limit

eta, t, T = x.eta, x.t, x.T
rate, width = sp.Symbol("r", positive=True), sp.Symbol("m", positive=True)
a = sp.Symbol("a", positive=True)
W = sp.Function("W", positive=True)  # E w² of the run with η/m and mλ
w, u = sp.symbols("w u", real=True)
base = eta**2 / (1 - a**2)  # E w² at the base run's equilibrium, for updates of mean square 1
forgotten = 1 + (width**2 - 1) * a ** (2 * t)


def mean_square(expression: Expression) -> Expression:
    """E of a quadratic form in w, of mean square W(t), and a new update u, of mean square 1 and independent of w."""
    terms = sp.Poly(sp.expand(expression), w, u).terms()
    means = {(2, 0): W(t), (0, 2): sp.Integer(1), (1, 1): sp.Integer(0)}
    return sp.Add(*(coefficient * means[powers] for powers, coefficient in terms))


def steps() -> tuple[Step, ...]:
    record = AdamW(lr=1.0).substituted(lr=eta / width, weight_decay=width * (1 - a) / eta, beta1=0, beta2=0, eps=0)
    time = SymbolicTime(step=t + 1, lr=eta / width, weight_decay=width * (1 - a) / eta)
    # With β₁ = β₂ = 0 and ε = 0 the update is the gradient over its size, so a gradient u of size 1 is the update.
    held = SimpleNamespace(**{**vars(x.xp), "sqrt": lambda _: sp.Integer(1)})
    c = record.coefficients(held, time)
    weight = record.update(held, record.State(w, sp.Integer(0), sp.Integer(0)), u, c).weight
    new = sp.Symbol("w_new", real=True)
    ratio = (eta / width) ** 2 / W(t) / (eta**2 / base)
    stable = 1 / sp.sqrt(width**2 + (width**2 - 1) * expm1(2 * T * log1p(-rate)))
    return (
        Step(
            "update",
            Equation(new, a * w - eta / width * u),
            "AdamW's own update with η/m and mλ, without memory: the decay per step stays 1 − a = ηλ",
            Identity(where={new: weight}),
        ),
        Step(
            "mean square",
            Equation(W(t + 1), a**2 * W(t) + eta**2 / width**2),
            "its square averaged, for updates of mean square 1 that know nothing of the weight",
            Identity(where={W(t + 1): mean_square(weight**2)}),
        ),
        Step(
            "from the base equilibrium",
            Equation(W(t), base / width**2 * forgotten),
            "by induction, started at E w² = η²/(1 − a²), where the base run is at rest",
            Induction(variable=t, recurrence=("mean square",), initial={W(0): base}),
        ),
        Step(
            "relative update",
            Equation(ratio, 1 / forgotten),
            "the squared size of the update over that of the weight, beside the base run's: from 1/m² it rises to 1",
            Identity(uses=("from the base equilibrium",)),
        ),
        Step(
            "after T steps",
            Equation(1 / sp.sqrt(1 + (width**2 - 1) * (1 - rate) ** (2 * T)), stable),
            "its root after T steps, in a form that loses no digits at small ηλ",
            Identity(lemmas=STABLE),
        ),
        Step(
            "in the end",
            Equation(1 / forgotten, 1),
            "both runs have the same relative update in the end: the rate η/m alone does not lower it",
            Limit(variable=t, decaying=(a,)),
        ),
    )


def relative_update(point: Point) -> Number:
    """Both runs of AdamW's decay and updates: mean squares step by step, then the ratio of the relative updates."""
    lr, keep, m = as_real(point[eta]), 1 - as_real(point[rate]), as_real(point[width])
    start = lr**2 / (1 - keep**2)
    square = start
    for _ in range(point[T]):
        square = keep**2 * square + (lr / m) ** 2
    return (lr / m) / mpmath.sqrt(square) / (lr / mpmath.sqrt(start))


def implicit_warmup() -> Derivation:
    """R10: what scaling λ up with the width does at the start of a run."""
    compute: Callable[[Point], Number] = relative_update
    return Derivation(
        name="implicit-warmup",
        title="Decay that grows with the width warms up the relative update by itself",
        statement=(
            "Against a base run (η, λ) at rest, a run with (η/m, mλ) from the same weights has the relative update "
            "s_t = (1 + (m² − 1)a^{2t})^{−1/2}: 1/m at first, the base run's in the end, with the time constant of "
            "half the EMA's, 1/(2ηλ)."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), integer(T, most=200), positive(eta), between(a, 0, 1), between(rate, 0, 1),
                between(width, 1, sp.oo, sampled=(1, 64)), real(w), real(u),
            )
        ),
        steps=steps(),
        results={"relative_update": "after T steps"},
        brute_force={"relative_update": compute},
        source="Kosson et al., arXiv 2510.19093; R10",
        arguments={rate: "decay_per_step", width: "width", T: "steps"},
    )  # fmt: skip


DERIVATIONS = {"implicit-warmup": implicit_warmup}
