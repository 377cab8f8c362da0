"""AdamW's weights are an exponential moving average (E1, E2), from the optimizer's own update; others are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from ..optimizers import COUPLED, SGD, Adam, AdamW, Lion, NAdam, Optimizer, RMSprop, SignSGD
from ..optimizers.optimizer import SymbolicTime
from ..typing import FloatArray
from . import symbols as x
from .assumptions import Assumptions, Domain, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Brute, Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import SUM_LINEARITY, peel_first
from .normal_form import normal_form

i, j, k, t = x.i, x.j, x.k, x.t
alpha, eta, lam, w, u, q = x.alpha_t, x.eta_t, x.lam_t, x.w_t, x.u_t, x.q_t


def kept(first: Expression) -> Expression:
    """P_{i,t} = Π_{j=i+1}^{t} (1 − α_j): what is left after step t of what step i put in."""
    return sp.Product(1 - alpha(j), (j, first + 1, t))


def average(coefficient: Expression, target: sp.Function) -> Expression:
    """P_{0,t} w_0 + Σ_i coefficient_i P_{i,t} target_i."""
    return kept(0) * x.w0 + sp.Sum(coefficient * kept(i) * target(i), (i, 1, t))


def require_ema_rate(rate: float | FloatArray, name: str = "lr·weight_decay") -> None:
    """Raise `ValueError` unless 0 < ηλ < 1, without which the weights are no average of anything.

    >>> require_ema_rate(1e-4)
    >>> require_ema_rate(1.5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: an exponential moving average needs 0 < lr·weight_decay < 1, got 1.5: ...
    """
    values = np.atleast_1d(np.asarray(rate, dtype=np.float64))
    wrong = values[~((values > 0) & (values < 1))]
    if wrong.size == 0:
        return
    meant = (
        "without decay the weights are a plain sum of updates and have no timescale"
        if wrong[0] == 0
        else "the old weight would be multiplied by 1 − ηλ ≤ 0; a smaller lr or weight_decay was probably meant"
        if wrong[0] >= 1
        else "both factors must be positive numbers"
    )
    raise ValueError(f"an exponential moving average needs 0 < {name} < 1, got {wrong[0]:g}: {meant}")


def decay_factor(optimizer: Optimizer) -> Expression:
    """α_{t+1} where the update is (1 − α_{t+1}) w_t plus terms without w_t; read off the code that runs.

    Raises `ValueError` with the reason, and with what the factor depends on, where there is no such number.
    """
    record = x.with_symbols(optimizer)
    new = x.symbolic_update(record, x.clock())
    old = w(t)
    factor = normal_form(1 - (new.weight - new.weight.subs(old, 0)) / old)
    state = {w, x.m_t, x.v_t, x.g_t}
    inside = sorted({call.func.__name__ for call in factor.atoms(sp.core.function.AppliedUndef) if call.func in state})
    remembered = [part for part in new[1:] if normal_form(sp.diff(part, old)) != 0]
    if factor == 0 or not np.any(np.asarray(optimizer.weight_decay, dtype=np.float64)):
        raise ValueError(
            f"{name_of(optimizer)} is no EMA of its updates: no decay multiplies the weight; give weight_decay > 0"
        )
    if inside:
        raise ValueError(f"{name_of(optimizer)} is no EMA of its updates: {refusal(optimizer, inside)}")
    if remembered and getattr(record, "momentum", 0) != 0:
        raise ValueError(
            f"{name_of(optimizer)} is no EMA of its updates: with L2 the term λ·w_t also enters the momentum buffer, "
            "so the update keeps a memory of past weights. What holds instead: w is a double EMA of −g/λ whose "
            "rates are the roots of r² − (1 + μ − ηλ) r + μ = 0; or use decay='per_lr'"
        )
    return factor


def name_of(optimizer: Optimizer) -> str:
    words = {"l2": "L2", "per_lr": "per-LR decay"}
    decay = getattr(optimizer, "decay", "l2" if isinstance(optimizer, Adam | RMSprop) else "per_lr")
    return f"{type(optimizer).__name__} with {words.get(decay, f'{decay} decay')}"


def refusal(optimizer: Optimizer, inside: list[str]) -> str:
    seen = f"what multiplies w_t depends on {', '.join(inside)}"
    if isinstance(optimizer, Adam | RMSprop):
        return (
            f"no constant multiplies the weight; λ·w_t enters the gradient and passes through 1/√v̂, so {seen}. "
            "AdamW's decay does not; its identity holds"
        )
    return f"the decay is switched on and off by the sign of u·w, so {seen}. With decay='per_lr' the identity holds"


def direction(record: Optimizer, time: SymbolicTime) -> Expression:
    """u, the update before decay, in the papers' form: m̂/(√v̂ + ε), SGD's buffer (Nesterov: g + μm), or a sign."""
    new = x.symbolic_update(record, time)
    if isinstance(record, AdamW):
        return adam_direction(record, sp, new, record.beta1, record.beta2, record.eps, time.step)
    if isinstance(record, SGD):
        plain = x.symbolic_update(record.substituted(weight_decay=0), time.__class__(time.step, time.lr, 0))
        return x.g_t(time.step) + record.momentum * plain.momentum if record.nesterov else plain.momentum
    if isinstance(record, Lion):
        return sp.sign(record.beta1 * x.m_t(time.step - 1) + (1 - record.beta1) * x.g_t(time.step))
    if isinstance(record, SignSGD):
        return sp.sign(new.first_moment)
    raise no_direction(record)


def no_direction(record: Optimizer) -> ValueError:
    return ValueError(
        f"no update direction is written down for {type(record).__name__}; known are AdamW, SGD, Lion and SignSGD"
    )


def adam_direction(record: AdamW, xp: Any, after: Any, beta1: Any, beta2: Any, eps: Any, step: Any) -> Any:
    """m̂/(√v̂ + ε) of the moments after a step, with the bias correction and the ε that the record has."""
    one, two = (1 - beta1**step, 1 - beta2**step) if record.bias_correction else (1, 1)
    v_hat = after.second_moment / two
    if record.eps_is_inside:
        return (after.first_moment / one) / xp.sqrt(v_hat + eps)
    hat = eps / xp.sqrt(two) if record.eps_placement == "uncorrected" else eps
    return (after.first_moment / one) / (xp.sqrt(v_hat) + hat)


def reached(optimizer: Optimizer, step: Expression) -> Expression:
    """The share of its update that a step keeps: 1 − α where decay comes after it."""
    return 1 - alpha(step) if optimizer.decays_after_step else sp.Integer(1)


def domains(optimizer: Optimizer) -> tuple[Domain, ...]:
    own = (between(x.beta1, 0, 1), between(x.beta2, 0, 1), positive(x.eps))
    momentum = (between(x.mu, 0, 1),) if getattr(optimizer, "momentum", 0) != 0 else ()
    sequences = (between(eta, 0, 1), between(lam, 0, 1), between(x.multiplier_t, 0, 1), real(x.g_t))
    return (
        integer(t, most=5),
        integer(k, 1, t),
        *sequences,
        *(own if isinstance(optimizer, AdamW | Lion) else momentum),
        real(x.w0),
    )


def ema_identity(optimizer: Optimizer) -> Derivation:
    """The EMA identity of an optimizer record for arbitrary η_t and λ_t; its numbers do not matter.

    Raises `ValueError` with the reason for an optimizer whose weights are no EMA of its updates: Adam with L2,
    cautious AdamW, SGD with momentum and L2, or no decay at all.

    >>> bool(ema_identity(AdamW(lr=1.0, weight_decay=0.1)).verify())
    True
    """
    if isinstance(optimizer, (*COUPLED, NAdam)) and not optimizer.decays_where_aligned:
        raise no_direction(optimizer)  # their steps take sums over a vector, or numbers of their own schedule
    definition = {alpha(t): decay_factor(optimizer).subs(t, t - 1)}
    record = x.with_symbols(optimizer)
    one = type(optimizer).__name__
    return Derivation(
        name=f"{one.lower()}-ema",
        title=f"{name_of(optimizer)}: the weights are an exponential moving average",
        statement=(
            "For every schedule of the learning rate and of the decay, w_t = (1 − α_t) w_{t−1} + α_t q_t with α_t the "
            f"decay of step t and q_t = −(η_t/α_t) {'(1 − α_t) ' if optimizer.decays_after_step else ''}u_t; unrolled, "
            "w_t is an average of w_0 and q_1 … q_t whose weights sum to one."
        ),
        assumptions=Assumptions(domains(optimizer)),
        definitions={
            **definition,
            q(t): normal_form(-eta(t) * (reached(optimizer, t) * u(t)).subs(definition) / definition[alpha(t)]),
        },
        steps=identity_steps(record) + unrolled_steps(record),
        results={"weight": "unrolled", "weight_from_updates": "on updates"},
        brute_force={"weight": last_weight(optimizer), "weight_from_updates": last_weight(optimizer)},
        source="Wang & Aitchison, arXiv 2405.13698, section 3; E1 and E2",
    )


def identity_steps(record: Optimizer) -> tuple[Step, ...]:
    time = x.clock()
    after = {w(t + 1): x.symbolic_update(record, time).weight, u(t + 1): direction(record, time)}
    return (
        Step(
            "update",
            Equation(w(t + 1), w(t) - alpha(t + 1) * w(t) - eta(t + 1) * (reached(record, t + 1) * u(t + 1))),
            "the optimizer's own update, run on symbols, takes away the share α of the weight and adds −ηu, "
            "where u is written as the papers write it",
            Identity(where=after),
        ),
        Step(
            "ema",
            Equation(w(t + 1), (1 - alpha(t + 1)) * w(t) + alpha(t + 1) * q(t + 1)),
            "with q = −(η/α)u the same step is a weighted mean of the old weight and q, for every t and every schedule",
            Identity(uses=("update",)),
        ),
    )


def unrolled_steps(record: Optimizer) -> tuple[Step, ...]:
    start = {w(0): x.w0}
    linear = (SUM_LINEARITY,)
    return (
        Step(
            "unrolled",
            Equation(w(t), average(alpha(i), q)),
            "by induction over the steps: each one multiplies what is there by 1 − α and adds α·q",
            Induction(variable=t, recurrence=("ema",), initial=start, lemmas=linear),
        ),
        Step(
            "coefficient",
            Equation(alpha(k) * kept(k), kept(k) - kept(k - 1)),
            "the coefficient c_{t,k} = α_k P_{k,t} of q_k is a difference of consecutive products, so sums telescope",
            Identity(lemmas=(peel_first(k),)),
        ),
        Step(
            "sum",
            Equation(kept(0) + sp.Sum(alpha(i) * kept(i), (i, 1, t)), 1),
            "the share P_{0,t} of the initial weight and the coefficients sum to one: w_t is a mean",
            Induction(variable=t, multiplier=1 - alpha(t + 1), lemmas=linear),
        ),
        Step(
            "on updates",
            Equation(w(t), average(-eta(i) * reached(record, i), u)),
            "on the updates themselves the coefficient is −η_i P_{i,t}; it ranks the steps otherwise than α_i P_{i,t} "
            "does when λ varies",
            Induction(variable=t, recurrence=("update",), initial=start, lemmas=linear),
        ),
    )


def last_weight(optimizer: Optimizer) -> Callable[[Point], Brute]:
    """Brute force: run the optimizer on sampled gradients; its last weight, with the updates u_k that it made.

    u is computed from the optimizer's state after each step, never from differences of weights.
    """

    def compute(point: Point) -> Brute:
        letters = {"beta1": x.beta1, "beta2": x.beta2, "eps": x.eps, "momentum": x.mu}
        held = {name: point[letter] for name, letter in letters.items() if letter in point}
        record = optimizer.substituted(**held)
        states = x.run(
            record, point[x.w0], point[t], lambda k, _: point[x.g_t](k), point[eta], point[lam], point[x.multiplier_t]
        )
        made = {k: update_made(record, states[k - 1], states[k], k, point) for k in range(1, len(states))}
        return Brute(states[-1].weight, {u: made.__getitem__})

    return compute


def update_made(record: Optimizer, before: Any, state: Any, step: int, point: Point) -> Number:
    """u_k from the states before and after step k."""
    exact = as_real
    if isinstance(record, Lion):
        held = exact(record.beta1)
        return x.numbers.sign(held * before.first_moment + (1 - held) * exact(point[x.g_t](step)))
    if isinstance(record, SignSGD):
        return x.numbers.sign(state.first_moment)
    if isinstance(record, AdamW):
        beta1, beta2, eps = map(exact, (record.beta1, record.beta2, record.eps))
        return adam_direction(record, x.numbers, state, beta1, beta2, eps, step)
    momentum: Number = state.momentum
    if isinstance(record, SGD) and record.decay == "l2":
        return exact(point[x.g_t](step))
    nesterov = isinstance(record, SGD) and record.nesterov
    return exact(point[x.g_t](step)) + exact(point[x.mu]) * momentum if nesterov else momentum


DERIVATIONS = {"adamw-ema": lambda: ema_identity(AdamW(lr=1.0, weight_decay=0.1))}
