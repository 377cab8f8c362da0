"""What one convention's λ is in another (THEORY.md §10, the rows of torch), from the optimizers' own updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from ..optimizers import SGD, Adam, AdamW, Optimizer
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .limits import Solve
from .roots import ROOT

t, eta, lam, s = x.t, x.eta, x.lam, x.multiplier_t
independent = sp.Symbol("lambda_ind", positive=True)
PER_LR = AdamW(lr=1.0, weight_decay=0.1)
INDEPENDENT = AdamW(lr=1.0, weight_decay=0.1, decay="independent")
# Another program's weight; and the weight an L2 optimizer without decay comes to.
W = sp.Function("W", real=True)


def stepped(optimizer: Optimizer, decay: Expression, gradient: Expression = None, lr: Expression = None) -> Any:
    """The optimizer's own update number t + 1 on symbols with λ = `decay` and, unless given, η_k = η s_k."""
    rate = eta * s(t + 1) if lr is None else lr
    time = SymbolicTime(step=t + 1, lr=rate, weight_decay=decay, multiplier=s(t + 1))
    return x.symbolic_update(x.with_symbols(optimizer), time, gradient=gradient)


def lost(optimizer: Optimizer, decay: Expression) -> Expression:
    """What the update takes away in proportion to the old weight: minus the derivative by it, plus 1."""
    return 1 - sp.diff(stepped(optimizer, decay).weight, x.w_t(t))


def decay_steps() -> tuple[Step, ...]:
    alpha = x.alpha_t(t + 1)
    return (
        Step(
            "per LR",
            Equation(alpha, eta * s(t + 1) * lam),
            "torch.optim.AdamW's update takes away the share η_k λ of the weight, with η_k = η s_k",
            Identity(where={alpha: lost(PER_LR, lam)}),
        ),
        Step(
            "independent",
            Equation(alpha, s(t + 1) * independent),
            "the paper's update (1711.05101) takes away s_k λ_ind",
            Identity(where={alpha: lost(INDEPENDENT, independent)}),
        ),
        Step(
            "translated",
            Equation(lam, independent / eta),
            "the shares are equal at every step of every schedule for one λ alone",
            Solve(conditions=(Equation(eta * s(t + 1) * lam, s(t + 1) * independent),)),
        ),
    )


def same_state_step() -> Step:
    other = stepped(INDEPENDENT, independent)
    names = (W(t + 1), x.m_t(t + 1), x.v_t(t + 1))
    per_lr = stepped(PER_LR, independent / eta)
    return Step(
        "same update",
        Equation(sp.Tuple(*names), sp.Tuple(*per_lr)),
        "with it both updates take every state and gradient to the same state, so the weights agree at every step",
        Identity(where=dict(zip(names, other, strict=True)), lemmas=(ROOT,)),
    )


def order_step() -> Step:
    """Decay after the step, on the new weight: HF Transformers' legacy AdamW and bitsandbytes on CUDA."""
    rate = eta * s(t + 1)
    plain = stepped(PER_LR, sp.Integer(0)).weight
    scaled = stepped(PER_LR, lam, lr=rate)
    step = plain - x.w_t(t)
    return Step(
        "new weight",
        Equation(W(t + 1), (1 - rate * lam) * x.w_t(t) + (1 - rate * lam) * step),
        "decay applied to the new weight is decay of the old one with the update scaled by 1 − ηλ: the same timescale",
        Identity(where={W(t + 1): scaled.weight - rate * lam * step}, lemmas=(ROOT,)),
    )


def new_weight_share_step() -> Step:
    """What decay of the new weight makes of the average (E2): the q of a step enters with less."""
    share = eta * s(t + 1) * lam
    step = stepped(PER_LR, sp.Integer(0)).weight - x.w_t(t)
    return Step(
        "new weight as an average",
        Equation(W(t + 1), (1 - share) * x.w_t(t) + share * (1 - share) * x.q_t(t + 1)),
        "so that with α = ηλ and q = −u/λ the new q enters as (1 − α)q with the share α: the average's shares are as "
        "they were, of values smaller by 1 − α",
        Identity(where={W(t + 1): (1 - share) * (x.w_t(t) + step), x.q_t(t + 1): step / share}, lemmas=(ROOT,)),
    )


def l2_step(name: str, optimizer: Optimizer) -> Step:
    """The L2 optimizer's update is its update without decay on the gradient g + λw."""
    without = optimizer.substituted(weight_decay=0)
    shifted = stepped(without, sp.Integer(0), gradient=x.g_t(t + 1) + lam * x.w_t(t)).weight
    return Step(
        f"{name} with L2",
        Equation(W(t + 1), shifted),
        f"torch.optim.{name}'s weight_decay adds λw to the gradient and does nothing else",
        Identity(where={W(t + 1): stepped(optimizer, lam).weight}, lemmas=(ROOT,)),
    )


def shrunk(optimizer: Optimizer, decay: Number, point: Point) -> Number:
    """Brute force: the share of the weight lost by one update of zero gradient, run in numbers."""
    record = optimizer.substituted(beta1=as_real(0.9), beta2=as_real(0.999), eps=as_real(1e-8))
    multiplier = point[s](1)
    weight = as_real(point[x.w0])
    states = x.run(
        record, weight, 1, lambda *_: 0, lambda _: point[eta] * multiplier, lambda _: decay, lambda _: multiplier
    )
    return 1 - states[-1].weight / weight


def matching_decay() -> Callable[[Point], Number]:
    """Brute force: the λ at which AdamW loses what independent decay does, from losses that are linear in λ."""

    def compute(point: Point) -> Number:
        wanted = shrunk(INDEPENDENT, point[independent], point)
        return wanted / shrunk(PER_LR, as_real(1), point)

    return compute


def conventions() -> Derivation:
    """§10: independent decay is per-LR decay with λ = λ_ind/η; L2 enters the gradient and is neither."""
    adam, sgd = Adam(lr=1.0, weight_decay=0.1), SGD(lr=1.0, momentum=0.5, weight_decay=0.1)
    return Derivation(
        name="conventions",
        title="Weight-decay conventions: independent decay, per-LR decay, L2",
        statement=(
            "AdamW with independent decay λ_ind and with per-LR decay λ = λ_ind/η take every state to the same state, "
            "for every schedule of η; decay of the new weight only scales the update by 1 − ηλ; L2 adds λw to the "
            "gradient of Adam and SGD."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=4),
                *(positive(letter) for letter in (eta, lam, independent, x.eps)),
                *(between(letter, 0, 1) for letter in (x.beta1, x.beta2, x.mu, s)),
                real(x.g_t),
                real(x.w0),
            ),
            (sp.Ne(x.w0, 0),),
        ),
        steps=(
            *decay_steps(),
            same_state_step(),
            order_step(),
            new_weight_share_step(),
            l2_step("Adam", adam),
            l2_step("SGD", sgd),
        ),
        results={"weight_decay": "translated"},
        brute_force={"weight_decay": matching_decay()},
        source="Loshchilov & Hutter, arXiv 1711.05101, algorithm 2; torch.optim's AdamW, Adam and SGD",
        arguments={independent: "independent_weight_decay", eta: "lr"},
    )


DERIVATIONS = {"conventions": conventions}
