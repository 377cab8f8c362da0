"""Theorem 1 of 2405.13698 (E9): rescaled AdamW on a scale-invariant function, by induction on AdamW's own update."""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Brute, Derivation, Step
from .equations import Equation, Expression, replaced
from .evaluation import Number, Point, as_real, evaluate
from .limits import Solve
from .roots import ROOT

t, eta, lam, eps = x.t, x.eta_t, x.lam_t, x.eps
c = sp.Symbol("c", positive=True)
first, second = sp.symbols("x y", real=True)  # two of the weights; any number of others stand beside y
g = sp.Symbol("g", real=True)
m_hat = sp.Symbol("m̂", real=True)
root = sp.Symbol("r", positive=True)  # √v̂
partial = sp.Function("L_x", real=True)  # ∂L/∂x as a function of the weights
# The second run's weight, moments and gradient; E is what its weight misses when ε is not rescaled.
W, M, G, E = (sp.Function(name, real=True) for name in ("W", "M", "G", "E"))
V = sp.Function("V", nonnegative=True)
BASE = AdamW.State(x.w_t, x.m_t, x.v_t)
SCALED = AdamW.State(W, M, V)


class Loss(sp.Function):  # type: ignore[misc]
    """A differentiable function of two weights, known only by its derivative along the first."""

    def fdiff(self, argindex: int = 1) -> Expression:
        return partial(*self.args) if argindex == 1 else sp.Function("L_y", real=True)(*self.args)


def at(letters: Any, step: Expression) -> Any:
    return AdamW.State(*(letter(step) for letter in letters))


def scaled(state: Any) -> Any:
    """(c w, m/c, v/c²)."""
    return AdamW.State(c * state.weight, state.first_moment / c, state.second_moment / c**2)


def stepped(state: Any, gradient: Expression, scale: Expression, epsilon: Expression, step: Expression = t + 1) -> Any:
    """AdamW's own update with (scale·η, λ/scale, ε) at `step`, run on symbols."""
    record = x.with_symbols(AdamW(lr=1.0, weight_decay=0.1)).substituted(eps=epsilon)
    time = SymbolicTime(step=step, lr=scale * eta(step), weight_decay=lam(step) / scale)
    return x.symbolic_update(record, time, state, gradient)


def written(letters: Any, gradient: Expression, lr: Expression, decay: Expression, epsilon: Expression) -> sp.Tuple:
    """One update of (w, m, v) as the papers write it."""
    state = at(letters, t)
    m = x.beta1 * state.first_moment + (1 - x.beta1) * gradient
    v = x.beta2 * state.second_moment + (1 - x.beta2) * gradient**2
    step = lr * m / (1 - x.beta1 ** (t + 1)) / (sp.sqrt(v / (1 - x.beta2 ** (t + 1))) + epsilon)
    return sp.Tuple((1 - lr * decay) * state.weight - step, m, v)


def pairs(keys: Any, values: Any) -> dict[Expression, Expression]:
    return dict(zip(keys, values, strict=True))


def gradient_step() -> Step:
    here, there = Loss(first, second), Loss(c * first, c * second)
    chain_rule = Equation(sp.diff(there, first), sp.diff(here, first))
    return Step(
        "gradient",
        Equation(partial(c * first, c * second), partial(first, second) / c),
        "where L(c·w) = L(w) for every c > 0, both sides have the same derivative along each weight; by the chain rule "
        "the left one is c times the gradient at c·w",
        Solve(conditions=(chain_rule,)),
    )


def update_steps() -> tuple[Step, ...]:
    base = written(BASE, x.g_t(t + 1), eta(t + 1), lam(t + 1), eps)
    second_run = written(SCALED, G(t + 1), c * eta(t + 1), lam(t + 1) / c, eps / c)
    return (
        Step(
            "update",
            Equation(sp.Tuple(*at(BASE, t + 1)), base),
            "AdamW's own update with (η, λ, ε), for any schedule of η and λ",
            Identity(where=pairs(at(BASE, t + 1), stepped(at(BASE, t), x.g_t(t + 1), sp.Integer(1), eps))),
        ),
        Step(
            "rescaled update",
            Equation(sp.Tuple(*at(SCALED, t + 1)), second_run),
            "the same code with (cη, λ/c, ε/c)",
            Identity(where=pairs(at(SCALED, t + 1), stepped(at(SCALED, t), G(t + 1), c, eps / c))),
        ),
    )


def theorem_steps() -> tuple[Step, ...]:
    return (
        Step(
            "every step",
            Equation(sp.Tuple(*at(SCALED, t)), sp.Tuple(*scaled(at(BASE, t)))),
            "by induction: at W_t = c·w_t the second run's gradient is 1/c of the first's (step “gradient”), so m "
            "falls by c, v by c², m̂/(√v̂ + ε) is unchanged as ε falls by c too, and cη carries c to W_{t+1}",
            Induction(
                variable=t,
                recurrence=("update", "rescaled update"),
                initial={W(0): c * x.w0, x.w_t(0): x.w0}
                | {letter(0): sp.Integer(0) for letter in (x.m_t, x.v_t, M, V)},
                where={G(t): x.g_t(t) / c},
                lemmas=(ROOT,),
            ),
        ),
        *(
            Step(name, Equation(one, other), reason, Identity(uses=("every step",)))
            for name, one, other, reason in (
                ("weight", W(t), c * x.w_t(t), "the weights differ by the factor c, so the function is the same"),
                ("first moment", M(t), x.m_t(t) / c, "the gradients' mean differs by 1/c"),
                ("second moment", V(t), x.v_t(t) / c**2, "and the mean of their squares by 1/c²"),
            )
        ),
    )


def failure_steps() -> tuple[Step, ...]:
    """What one update misses when ε stays as it was: the difference W' − c·w' from matching states."""
    new = stepped(at(BASE, t), x.g_t(t + 1), sp.Integer(1), eps)
    missed = stepped(scaled(at(BASE, t)), x.g_t(t + 1) / c, c, eps).weight - c * new.weight
    # The old moments, written with what the new ones are after bias correction.
    corrected = ((1 - x.beta1 ** (t + 1)) * m_hat, (1 - x.beta2 ** (t + 1)) * root**2)
    old = {
        letter(t): sp.solve(value - code, letter(t))[0]
        for letter, code, value in zip(BASE[1:], new[1:], corrected, strict=True)
    }
    start = AdamW.State(x.w0, sp.Integer(0), sp.Integer(0))
    one = sp.Integer(1)
    held = stepped(scaled(start), g / c, c, eps, one).weight - c * stepped(start, g, one, eps, one).weight
    at_first = c * x.eta * g * (c - 1) * eps / ((sp.Abs(g) + eps) * (sp.Abs(g) + c * eps))
    return (
        Step(
            "ε not rescaled",
            Equation(E(t + 1), c * eta(t + 1) * m_hat * (c - 1) * eps / ((root + eps) * (root + c * eps))),
            "with ε left as it was one update from matching states gives W' = c·w' + E, where r = √v̂; every factor but "
            "m̂ and c − 1 is positive",
            Identity(where={E(t + 1): missed.subs(old, simultaneous=True)}, lemmas=(ROOT,)),
        ),
        Step(
            "first update, ε not rescaled",
            Equation(E(1), at_first),
            "at the first update m̂ = g and √v̂ = |g|",
            Identity(where={E(1): held, eta(1): x.eta}, lemmas=(ROOT,)),
        ),
        Step(
            "only c = 1",
            Equation(c, 1),
            "for ε > 0 and g ≠ 0 that vanishes for c = 1 alone: the theorem fails without rescaling ε",
            Solve(conditions=(Equation(at_first / c, 0),), among=positive(c)),
        ),
    )


def invariants_step() -> Step:
    start = x.w0
    rescaled = {x.eta: c * x.eta, x.lam: x.lam / c, eps: eps / c, start: c * start}
    kept = (x.eta * x.lam, x.eta / start, eps * start)
    return Step(
        "invariants",
        Equation(sp.Tuple(*(e.subs(rescaled, simultaneous=True) for e in kept)), sp.Tuple(*kept)),
        "what the rescaling leaves alone: ηλ = 1/τ, η over the scale of the initial weights, ε times it; with the "
        "betas that is all that matters",
        Identity(),
        shown=sp.Tuple(*(replaced(e, rescaled) for e in kept)),
    )


@cache
def loss_gradient() -> tuple[Expression, Expression]:
    """The gradient of xy/(x² + y²), which depends on the direction of (x, y) alone."""
    loss = first * second / (first**2 + second**2)
    return sp.diff(loss, first), sp.diff(loss, second)


def trained(point: Point, steps: int, scale: Number = 1) -> list[Any]:
    """The first weight's states after 0 … `steps` updates of AdamW with (scale·η, λ/scale, ε/scale, scale·w_0).

    Two weights descend g_k·xy/(x² + y²), a batch's scale-invariant loss, from (w_0, 1)·scale.
    """
    scale = as_real(scale)
    record = AdamW(lr=1.0).substituted(
        beta1=as_real(point[x.beta1]), beta2=as_real(point[x.beta2]), eps=as_real(point[eps]) / scale
    )
    states = [[record.initial(x.numbers, scale * as_real(w)) for w in (point[x.w0], 1)]]
    for k in range(1, steps + 1):
        time = SymbolicTime(as_real(k), scale * as_real(point[eta](k)), as_real(point[lam](k)) / scale)
        now = {letter: state.weight for letter, state in zip((first, second), states[-1], strict=True)}
        slopes = (as_real(point[x.g_t](k)) * as_real(evaluate(slope, now)) for slope in loss_gradient())
        coefficients = record.coefficients(x.numbers, time)
        moved = zip(states[-1], slopes, strict=True)
        states.append([record.update(x.numbers, state, slope, coefficients) for state, slope in moved])
    return [pair[0] for pair in states]


def rescaled_run(field: str, letter: Any) -> Any:
    """Brute force: both runs on a scale-invariant loss; a quantity of the second, beside the sequence of the first."""

    def compute(point: Point) -> Brute:
        base, other = trained(point, point[t]), trained(point, point[t], point[c])
        return Brute(getattr(other[-1], field), {letter: lambda k: getattr(base[k], field)})

    return compute


def missed_update(point: Point) -> Brute:
    """Brute force: one more update of the base run, and one of the rescaled state with ε as it was."""
    states, k = trained(point, point[t]), point[t] + 1
    gradient, scale = as_real(point[x.g_t](k)), as_real(point[c])
    record = AdamW(lr=1.0).substituted(**{n: as_real(point[getattr(x, n)]) for n in ("beta1", "beta2", "eps")})

    def after(state: Any, slope: Number, factor: Number) -> Any:
        time = SymbolicTime(as_real(k), factor * as_real(point[eta](k)), as_real(point[lam](k)) / factor)
        return record.update(x.numbers, state, slope, record.coefficients(x.numbers, time))

    old = states[-1]
    one = after(old, gradient, as_real(1))
    matching = AdamW.State(scale * old.weight, old.first_moment / scale, old.second_moment / scale**2)
    other = after(matching, gradient / scale, scale)
    corrected = one.first_moment / (1 - record.beta1**k), one.second_moment / (1 - record.beta2**k)
    return Brute(other.weight - scale * one.weight, {m_hat: corrected[0], root: x.numbers.sqrt(corrected[1])})


def missed_at_first(point: Point) -> Number:
    zero = {**point, t: 0, x.g_t: lambda k: point[g], eta: lambda k: point[x.eta]}
    return missed_update(zero).value


def theorem_1() -> Derivation:
    """E9: rescaling the weights of a scale-invariant function needs (cη, λ/c, ε/c), and then changes nothing."""
    return Derivation(
        name="theorem-1",
        title="Theorem 1: on a scale-invariant function (cη, λ/c, ε/c, c·w₀) trains the same function",
        statement=(
            "Where net(w) = net(c·w), c > 0, AdamW with (cη, λ/c, ε/c) from c·w_0 has W_t = c·w_t, M_t = m_t/c "
            "and V_t = v_t/c² at every step of any schedule, so it stays the same function; with ε as it was it fails."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=4),
                positive(c),
                positive(x.eta),
                positive(x.lam),
                positive(eps),
                between(x.beta1, 0, 1),
                between(x.beta2, 0, 1),
                between(eta, 0, 1),
                between(lam, 0, 1),
                real(x.g_t),
                real(g),
                real(x.w0),
            ),
            (sp.Ne(g, 0), sp.Ne(x.w0, 0)),
        ),
        steps=(gradient_step(), *update_steps(), *theorem_steps(), *failure_steps(), invariants_step()),
        results={
            "weight": "weight",
            "first_moment": "first moment",
            "second_moment": "second moment",
            "missed_update": "ε not rescaled",
            "first_missed_update": "first update, ε not rescaled",
        },
        brute_force={
            "weight": rescaled_run("weight", x.w_t),
            "first_moment": rescaled_run("first_moment", x.m_t),
            "second_moment": rescaled_run("second_moment", x.v_t),
            "missed_update": missed_update,
            "first_missed_update": missed_at_first,
        },
        source="Wang & Aitchison, arXiv 2405.13698, Theorem 1; E9",
        arguments={c: "scale", x.eta: "lr", g: "gradient", eps: "eps"},
    )


DERIVATIONS = {"theorem-1": theorem_1}
