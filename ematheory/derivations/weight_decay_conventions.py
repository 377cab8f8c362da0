"""Weight-decay conventions: independent decay is per-LR decay with λ/η, and L2 is a term of the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from ..conventions import PAPER, TORCH_ADAMW
from ..optimizers import SGD, Adam, AdamW, Optimizer
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Brute, Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point

t, eta, lam, shape = x.t, x.eta, x.lam, x.multiplier_t
# The second run's weight and moments; the first has w, m, v.
W, M = (sp.Function(name, real=True) for name in ("W", "M"))
V = sp.Function("V", nonnegative=True)
PER_LR = AdamW.State(x.w_t, x.m_t, x.v_t)
INDEPENDENT = AdamW.State(W, M, V)
LETTERS = {"weight": "w", "first_moment": "m", "second_moment": "v", "momentum": "m"}


def at(letters: Any, step: Expression) -> sp.Tuple:
    return sp.Tuple(*(letter(step) for letter in letters))


def translated() -> Expression:
    """torch's λ for the paper's: the ratio of what multiplies λ in the two conventions, from their own records."""
    return PAPER.decay_per_step(lam, eta, 1) / TORCH_ADAMW.decay_per_step(1, eta, 1)


def stepped(letters: Any, decay: str, weight_decay: Expression) -> sp.Tuple:
    """AdamW's own update t + 1 at rate η s, run on symbols."""
    record = x.with_symbols(AdamW(lr=1.0, weight_decay=0.1, decay=decay))
    time = SymbolicTime(t + 1, eta * shape(t + 1), weight_decay, shape(t + 1))
    state = AdamW.State(*at(letters, t))
    return sp.Tuple(*x.symbolic_update(record, time, state, x.g_t(t + 1)))


def written(letters: Any, share: Expression) -> sp.Tuple:
    """An update of (w, m, v) that takes `share` of the weight, as the papers write it."""
    w, m, v = (letter(t) for letter in letters)
    first = x.beta1 * m + (1 - x.beta1) * x.g_t(t + 1)
    second = x.beta2 * v + (1 - x.beta2) * x.g_t(t + 1) ** 2
    rate = eta * shape(t + 1) / (1 - x.beta1 ** (t + 1))
    return sp.Tuple(
        (1 - share) * w - rate * first / (sp.sqrt(second / (1 - x.beta2 ** (t + 1))) + x.eps), first, second
    )


def translation_steps() -> tuple[Step, ...]:
    ours, theirs = at(INDEPENDENT, t + 1), at(PER_LR, t + 1)
    code = {
        **dict(zip(ours, stepped(INDEPENDENT, "independent", lam), strict=True)),
        **dict(zip(theirs, stepped(PER_LR, "per_lr", translated()), strict=True)),
    }
    start = {letter(0): sp.Integer(0) for letter in (*PER_LR[1:], *INDEPENDENT[1:])}
    return (
        Step(
            "independent update",
            Equation(ours, written(INDEPENDENT, shape(t + 1) * lam)),
            "AdamW's own update with independent decay takes the share s·λ of the old weight",
            Identity(where=code),
        ),
        Step(
            "translated update",
            Equation(theirs, written(PER_LR, shape(t + 1) * lam)),
            "with per-LR decay the share is η·s·λ', and λ' = λ/η makes it the same at every multiplier s",
            Identity(where=code),
        ),
        Step(
            "same run",
            Equation(at(INDEPENDENT, t), at(PER_LR, t)),
            "by induction: from one start, on gradients that agree where the weights do, every state is the same",
            Induction(
                variable=t,
                recurrence=("independent update", "translated update"),
                initial={W(0): x.w0, x.w_t(0): x.w0, **start},
            ),
        ),
        Step("weight", Equation(W(t), x.w_t(t)), "and so is the weight", Identity(uses=("same run",))),
    )


def after(optimizer: Optimizer, weight_decay: Expression, gradient: Expression) -> Any:
    """The state after the optimizer's own update on symbols."""
    record = x.with_symbols(optimizer).substituted(weight_decay=weight_decay)
    time = SymbolicTime(t + 1, eta * shape(t + 1), weight_decay, shape(t + 1))
    return x.symbolic_update(record, time, None, gradient)


def gradient_step(name: str, optimizer: Optimizer) -> Step:
    """The optimizer with decay λ is the optimizer without decay on the gradient g + λw."""
    decayed = after(optimizer, lam, x.g_t(t + 1))
    plain = after(optimizer, sp.Integer(0), x.g_t(t + 1) + lam * x.w_t(t))
    symbols = [sp.Function(f"{LETTERS[field]}__{name}", real=True)(t + 1) for field in optimizer.State._fields]
    return Step(
        f"{name} with L2",
        Equation(sp.Tuple(*symbols), sp.Tuple(*plain)),
        f"{name}'s own update with decay λ is its update without decay on g + λw: no share of the weight is taken, and "
        "what λw does depends on the moments that it enters",
        Identity(where=dict(zip(symbols, decayed, strict=True))),
    )


def both_runs(field: str, letter: Any) -> Callable[[Point], Brute]:
    """Brute force: AdamW with independent decay and, beside it, with λ/η and per-LR decay, on the same gradients."""

    def compute(point: Point) -> Brute:
        rate, share = point[eta], point[lam]
        base = trajectory(point, "per_lr", share / rate)
        other = trajectory(point, "independent", share)
        return Brute(getattr(other[-1], field), {letter: lambda k: getattr(base[k], field)})

    return compute


def trajectory(point: Point, decay: str, weight_decay: Number) -> list[Any]:
    held = {name: point[getattr(x, name)] for name in ("beta1", "beta2", "eps")}
    record = AdamW(lr=1.0, decay=decay).substituted(**held)
    return x.run(
        record, point[x.w0], point[t], lambda k, state: point[x.g_t](k) + state.weight,
        lambda k: point[eta] * point[shape](k), lambda k: weight_decay, lambda k: point[shape](k),
    )  # fmt: skip


def weight_decay_conventions() -> Derivation:
    """torch's rows of the table of conventions."""
    return Derivation(
        name="weight-decay-conventions",
        title="Weight-decay conventions: independent decay, per-LR decay and L2",
        statement=(
            "AdamW with independent decay λ (shrink 1 − s_tλ) and with per-LR decay λ/η (torch.optim.AdamW, shrink "
            "1 − ηs_t·λ/η) give the same states at every step of every schedule s. Adam's and SGD's L2 decay is "
            "λw in the gradient."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), positive(eta), between(lam, 0, 1), between(x.beta1, 0, 1), between(x.beta2, 0, 1),
                positive(x.eps), between(shape, 0, 1), real(x.g_t), real(x.w0),
            )
        ),
        steps=(
            *translation_steps(),
            gradient_step("Adam", Adam(lr=1.0, weight_decay=0.1)),
            gradient_step("SGD", SGD(lr=1.0, momentum=0.5, weight_decay=0.1)),
            gradient_step("Nesterov", SGD(lr=1.0, momentum=0.5, weight_decay=0.1, nesterov=True)),
        ),
        results={"weight": "weight"},
        brute_force={"weight": both_runs("weight", x.w_t)},
        source="Loshchilov & Hutter, arXiv 1711.05101, algorithm 2; torch.optim's sources",
    )  # fmt: skip


DERIVATIONS = {"weight-decay-conventions": weight_decay_conventions}
