"""AdEMAMix on gradients (E4): AdamW's kernel, and α times that of the slow mean."""

from __future__ import annotations

import mpmath
import sympy as sp

from ..optimizers import AdEMAMix
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime, forget, namespace, rate, root, v, weight
from .gradient_kernel import kernel, moment_steps, s
from .lemmas import SUM_LINEARITY

a, b1, eta, lam = x.a, x.beta1, x.eta, x.lam
j, t, T, w, m, g = x.j, x.t, x.T, x.w_t, x.m_t, x.g_t
b3 = sp.Symbol("beta_3", positive=True)
forget3 = sp.Symbol("b_3", positive=True)  # 1 − β₃
mix = sp.Symbol("A", positive=True)  # AdEMAMix's α
slow_t = sp.Function("slow_moment", real=True)
RECORD = AdEMAMix(lr=1.0, weight_decay=0.1)


def mixed(part: Expression) -> Expression:
    """What holds for β₁ of AdamW's kernel, plus α times the same for β₃."""
    return part + mix * part.subs(b1, b3)


def update_steps() -> tuple[Step, ...]:
    record = x.with_symbols(RECORD).substituted(beta3=b3, alpha=mix)
    time = SettledTime(step=t + 1, lr=eta, weight_decay=lam, multiplier=sp.Integer(1))
    held = namespace(x.xp, root)
    new = record.update(held, x.symbolic_state(record), g(t + 1), record.coefficients(held, time))
    fast, slow = (b * mean(t) + (1 - b) * g(t + 1) for b, mean in ((b1, m), (b3, slow_t)))
    after = sp.Tuple(w(t + 1), m(t + 1), slow_t(t + 1))
    average = sp.Sum((1 - b1) * b1 ** (t - j) * g(j), (j, 1, t))
    return (
        Step(
            "update",
            Equation(after, sp.Tuple(a * w(t) - eta * (fast + mix * slow) / (root + x.eps), fast, slow)),
            "AdEMAMix's own update, long after the start and with √v held constant",
            Identity(where={w(t + 1): new.weight, m(t + 1): new.first_moment, slow_t(t + 1): new.slow_moment}),
        ),
        Step(
            "unrolled",
            Equation(
                sp.Tuple(w(t), m(t), slow_t(t)), sp.Tuple(weight(mixed(kernel(t - j))), average, average.subs(b1, b3))
            ),
            "by induction on the weight and both means: the gradient at lag s enters with k_{a,β₁} + αk_{a,β₃}",
            Induction(
                variable=t,
                recurrence=("update",),
                initial={w(0): x.w0, m(0): sp.Integer(0), slow_t(0): sp.Integer(0)},
                lemmas=(SUM_LINEARITY,),
            ),
        ),
    )


def lag_steps() -> tuple[Step, ...]:
    """AdamW's kernel sums to one with a mean lag, for any two rates; then both kernels together."""
    own = (1 - forget) / forget + mix * (1 - forget3) / forget3
    lag = a / (1 - a) + b1 / (1 - b1)
    return (
        *moment_steps()[:4],
        Step(
            "lag of both",
            Equation(mixed(lag) / (1 + mix), (1 - rate) / rate + own / (1 + mix)),
            "the coefficients sum to 1 + α: on a steady gradient AdEMAMix steps 1 + α times as far. Their mean lag is "
            "that of the two kernels, weighted 1 and α",
            Identity(),
        ),
    )


def response(point: Point) -> list[Number]:
    """−λw at the steps of a long run of AdEMAMix itself from w = 0 whose only gradient, 1, is the first."""
    lr, decay = as_real(point[eta]), as_real(point[rate]) / as_real(point[eta])
    held = namespace(x.numbers, as_real(1))
    betas = {name: 1 - as_real(point[letter]) for name, letter in (("beta1", forget), ("beta3", forget3))}
    record = RECORD.substituted(**betas, beta2=as_real(1) / 2, eps=as_real(0), alpha=as_real(point[mix]))
    c = record.coefficients(held, SettledTime(as_real(1), lr, decay, as_real(1)))
    state, found = record.initial(held, as_real(0)), []
    for k in range(int(120 / min(as_real(point[letter]) for letter in (rate, forget, forget3))) + 1):
        state = record.update(held, state, as_real(int(k == 0)), c)
        found.append(-decay * state.weight)
    return found


def mean_lag(point: Point) -> Number:
    found = response(point)
    return mpmath.fsum(lag * c for lag, c in enumerate(found)) / mpmath.fsum(found)


def ademamix_kernel() -> Derivation:
    """E4 for AdEMAMix."""
    return Derivation(
        name="ademamix-kernel",
        title="AdEMAMix on gradients: two kernels",
        statement=(
            "With √v held constant the gradient at lag s enters AdEMAMix's weight with k_{a,β₁} + αk_{a,β₃}, k being "
            "AdamW's kernel. The coefficients sum to 1 + α, and the mean lag is a/(1 − a) + [β₁/(1−β₁) + αβ₃/(1−β₃)]/"
            "(1 + α)."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=4), integer(T, 1), integer(s), between(rate, 0, 1), between(forget, 0, 1),
                between(forget3, 0, 1), positive(mix), positive(eta), positive(v), positive(x.eps), real(x.w0), real(g),
            ),
            (sp.Ne(rate, forget), sp.Ne(rate, forget3)),
        ),
        definitions={a: 1 - rate, b1: 1 - forget, b3: 1 - forget3, lam: rate / eta},
        steps=update_steps() + lag_steps(),
        results={"mean_lag": "lag of both"},
        brute_force={"mean_lag": mean_lag},
        source="Pagliardini et al., arXiv 2409.03137; THEORY.md, E4",
        arguments={rate: "decay_per_step", forget: "one_minus_beta1", forget3: "one_minus_beta3", mix: "slow_weight"},
    )  # fmt: skip


DERIVATIONS = {"ademamix-kernel": ademamix_kernel}
