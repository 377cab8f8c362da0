"""Adam's batch rules (§5): √κ where gradients are noise, κ where they are signal, and what decay has to do."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import Adam, AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .batch_scaling import averaged_noises, batch, joined, kappa, rate, rule
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime
from .lemmas import STABLE
from .limits import Limit, Series, Solve
from .random_walk import ROOT_OF_PRODUCT

eta, lam, eps, b1, t, w, m = x.eta, x.lam, x.eps, x.beta1, x.t, x.w_t, x.m_t
slope, spread, weight = sp.symbols("G S w", positive=True)  # mean gradient; noise variance of one sample; the weight
noise = sp.Symbol("n", real=True)  # of mean 0 and variance 1
root = sp.Symbol("s", positive=True)  # √v
moment, square = sp.symbols("m v", positive=True)
first, second = sp.symbols("c_1 c_2", positive=True)  # 1 − β₁ and 1 − β₂
D, F = sp.symbols("D F", real=True)
ratio = sp.Symbol("q", positive=True)  # G²B/S, signal to noise of one batch
inverse = sp.Symbol("u", positive=True)  # 1/q
small = sp.Symbol("delta", positive=True)
RECORD, L2 = AdamW(lr=1.0, weight_decay=0.1), Adam(lr=1.0, weight_decay=0.1)
exact_root = sp.sqrt(slope**2 + spread / batch)
factor = sp.sqrt(kappa * (1 + kappa * ratio) / (1 + ratio))


def after(record: Any, state: tuple[Expression, ...], gradient: Expression) -> Any:
    """The state that the optimizer's own update makes, long after the start, and of √v the symbol s."""
    named = x.with_symbols(record)
    clock = SettledTime(step=t + 1, lr=eta, weight_decay=lam, multiplier=sp.Integer(1))
    held = type(x.xp)(**{**vars(x.xp), "sqrt": lambda _: root})
    return named.update(held, named.State(*state), gradient, named.coefficients(held, clock))


def expectation(e: Expression) -> Expression:
    """E over the noise of an expression at most quadratic in it."""
    return sp.Add(*(c * {0: 1, 2: 1}.get(k, 0) for (k,), c in sp.Poly(sp.expand(e), noise).terms()))


KEPT = "drift, diffusion, both memories, the share of ε and decay per sample"
MEMORIES = {"memory of m": batch / first, "memory of v": batch / second}
UNKNOWNS = (eta, lam, first, second, eps)


def common() -> tuple[Step, ...]:
    """What Adam does per sample, at any share of noise."""
    new = after(RECORD, (weight, moment, square), slope + sp.sqrt(spread / batch) * noise)
    quiet = after(RECORD, (w(t), m(t), square), sp.Integer(0))
    still = {lam: 0, eps: 0}
    return (
        Step(
            "mean square",
            Equation(square, slope**2 + spread / batch),
            "the v that the mean of Adam's own update leaves as it is: signal and noise of a batch",
            Solve(conditions=(Equation(square, expectation(new.second_moment)),)),
        ),
        Step(
            "mean moment",
            Equation(moment, slope),
            "and the first moment",
            Solve(conditions=(Equation(moment, expectation(new.first_moment)),)),
        ),
        Step(
            "drift",
            Equation(D, -eta * slope / (batch * (exact_root + eps)) - eta * lam * weight / batch),
            "the mean step per sample, √v held at its mean square: β₂ near 1",
            Identity(
                uses=("mean moment",),
                where={D: (after(RECORD, (weight, slope, square), slope).weight - weight) / batch, root: exact_root},
            ),
        ),
        Step(
            "after a gradient",
            Equation(sp.Tuple(w(t + 1), m(t + 1)), sp.Tuple(w(t) - eta * b1 * m(t) / root, b1 * m(t))),
            "without decay and ε, once a gradient has gone into the first moment",
            Identity(where={w(t + 1): quiet.weight.subs(still), m(t + 1): quiet.first_moment}),
        ),
        Step(
            "displacement",
            Equation(sp.Tuple(w(t), m(t)), sp.Tuple(-eta * (1 - b1 ** (t + 1)) / root, (1 - b1) * b1**t)),
            "t steps after a gradient 1",
            Induction(
                variable=t, recurrence=("after a gradient",), initial={w(0): -eta * (1 - b1) / root, m(0): 1 - b1}
            ),
        ),
        Step(
            "whole displacement",
            Equation(eta * (1 - b1 ** (t + 1)) / root, eta / root),
            "in the end η/√v, whatever β₁: so that its memory is the only thing that β₁ sets",
            Limit(variable=t, decaying=(b1,)),
        ),
        Step(
            "diffusion",
            Equation(F, eta**2 * spread / (batch**2 * (slope**2 + spread / batch))),
            "the variance that the noise of one batch adds, per sample",
            Identity(where={F: (eta / exact_root) ** 2 * spread / batch / batch}),
        ),
        *any_ratio(),
    )


def any_ratio() -> tuple[Step, ...]:
    """The factor of η that keeps drift and diffusion at any signal to noise."""
    by = {eta: eta * factor.subs(ratio, slope**2 * batch / spread), batch: kappa * batch}
    drift, diffusion = eta * slope / (batch * exact_root), eta**2 * spread / (batch**2 * exact_root**2)
    return (
        Step(
            "kept at any ratio",
            Equation(
                sp.Tuple(*(e.subs(by, simultaneous=True) ** 2 for e in (drift, sp.sqrt(diffusion)))),
                sp.Tuple(drift**2, diffusion),
            ),
            "η' = η√(κ(1 + κq)/(1 + q)), q = G²B/S the signal to noise of the old batch, keeps drift and diffusion per "
            "sample (their squares here) at ε = 0, both at once and at any q",
            Identity(),
        ),
        Step(
            "learning rate",
            Equation(kappa * sp.sqrt(ratio + 1 / kappa) / sp.sqrt(ratio + 1), factor),
            "η'/η, κ times the root mean square of a gradient of the new batch over that of the old",
            Identity(lemmas=(ROOT_OF_PRODUCT,)),
        ),
    )


def noise_steps() -> tuple[Step, ...]:
    drift = eta * slope / (batch * (exact_root + eps))
    coupled = after(L2, (weight, slope + lam * weight, square), slope).weight - weight
    step = {"drift": eta / sp.sqrt(batch), "diffusion": eta**2 / batch}
    share = {"share of ε": eps * sp.sqrt(batch)}
    decays = {
        "per LR: ": eta * lam / batch,
        "independent: ": lam / batch,
        "L2: ": eta * lam / sp.sqrt(batch),
    }
    return (
        *common(),
        Step(
            "drift in noise",
            Equation(
                drift.subs(slope, small * slope) / small,
                eta / sp.sqrt(batch) * slope / (sp.sqrt(spread) * (1 + eps * sp.sqrt(batch) / sp.sqrt(spread))),
            ),
            "per unit of a gradient that vanishes beside its noise: η/√B, with ε beside √v as ε√B",
            Limit(variable=small, to=0),
        ),
        Step(
            "diffusion in noise",
            Equation(eta**2 * spread / (batch**2 * (small**2 * slope**2 + spread / batch)), eta**2 / batch),
            "whatever the noise",
            Limit(variable=small, to=0),
        ),
        Step(
            "decay of L2",
            Equation(
                (sp.diff(coupled, weight) / batch).subs({root: sp.sqrt(spread / batch), eps: 0}),
                -eta * lam / (sp.sqrt(batch) * sp.sqrt(spread)),
            ),
            "Adam with L2 divides λw by √v as well: per sample ηλ/√(BS), on the scale of the drift",
            Identity(),
        ),
        *(each for prefix, decay in decays.items()
          for each in rule(prefix, {**step, **MEMORIES, **share, "decay": decay}, UNKNOWNS, KEPT)),
        Step(
            "square root rule",
            Equation(factor**2 / kappa, 1 + (kappa - 1) * ratio - (kappa - 1) * ratio**2),
            "(η'/η)² is κ for pure noise, with a share of order q beyond",
            Series(variable=ratio, order=3),
        ),
        Step(
            "weight decay",
            Equation((1 - (1 - rate) ** kappa) / (sp.sqrt(kappa) * eta), joined(rate) / (sp.sqrt(kappa) * eta)),
            "the λ' with which one step at √κη decays as κ steps did: 1 − η'λ' = (1 − ηλ)^κ",
            Identity(lemmas=STABLE),
        ),
        Step(
            "square root rule of decay",
            Equation((1 - (1 - rate) ** kappa) / (kappa * rate), 1 - (kappa - 1) * rate / 2),
            "over √κλ it is 1 as ηλ → 0, with a difference of order ηλ",
            Series(variable=rate, order=2),
        ),
        Step(
            "timescale without",
            Equation(
                kappa * sp.log(1 - rate) / sp.log(1 - sp.sqrt(kappa) * rate),
                kappa * log1p(-rate) / log1p(-sp.sqrt(kappa) * rate),
            ),
            "if λ stays at √κη the timescale in samples grows",
            Identity(lemmas=STABLE),
        ),
        Step(
            "λ left alone",
            Equation(
                kappa * sp.log(1 - rate) / sp.log(1 - sp.sqrt(kappa) * rate),
                sp.sqrt(kappa) - (kappa - sp.sqrt(kappa)) * rate / 2,
            ),
            "by √κ: at 16 times the batch the average forgets after 4 times as many samples",
            Series(variable=rate, order=2),
        ),
    )  # fmt: skip


def signal_steps() -> tuple[Step, ...]:
    drift = eta * slope / (batch * (sp.sqrt(slope**2 + small * spread / batch) + eps))
    of_noise = sp.sqrt(kappa * (inverse + kappa) / (1 + inverse))
    kept = {"drift": eta / batch, **MEMORIES, "ε beside the gradient": eps, "decay": eta * lam / batch}
    return (
        *common(),
        Step(
            "drift in signal",
            Equation(drift, eta / batch / (1 + eps / slope)),
            "where noise vanishes beside the gradient: η/B, with ε beside the gradient, which no batch changes",
            Limit(variable=small, to=0),
        ),
        *rule("", kept, UNKNOWNS, "drift, both memories, the share of ε and decay per sample"),
        Step(
            "learning rate by noise",
            Equation(factor.subs(ratio, 1 / inverse), of_noise),
            "η'/η by u = S/(G²B), the noise to signal of the old batch",
            Identity(lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "linear rule",
            Equation((of_noise / kappa) ** 2, 1 - (kappa - 1) * inverse / kappa + (kappa - 1) * inverse**2 / kappa),
            "(η'/η)² is κ² for pure signal, with a share of order u beyond",
            Series(variable=inverse, order=3),
        ),
        Step(
            "weight decay",
            Equation((1 - (1 - rate) ** kappa) / (kappa * eta), joined(rate) / (kappa * eta)),
            "the λ' with which one step at κη decays as κ steps did",
            Identity(lemmas=STABLE),
        ),
        Step(
            "λ kept",
            Equation(
                (1 - (1 - rate) ** kappa) / (kappa * rate),
                1 - (kappa - 1) * rate / 2 + (kappa - 1) * (kappa - 2) * rate**2 / 6,
            ),
            "it is λ as ηλ → 0, with a difference of order ηλ",
            Series(variable=rate, order=3),
        ),
    )


def drift_of(gradients: list[Number], record: AdamW) -> Number:
    """The mean step of AdamW itself at η = 1, √v being the root mean square of the gradients and m their mean."""
    count = len(gradients)
    size = mpmath.sqrt(sum(g * g for g in gradients) / count)
    held = type(x.numbers)(**{**vars(x.numbers), "sqrt": lambda _: size})
    c = record.coefficients(held, SymbolicTime(as_real(10**9), as_real(1), as_real(0)))
    state = record.State(mpmath.mpf(0), sum(gradients) / count, size**2)
    return sum(record.update(held, state, g, c).weight for g in gradients) / count


def factor_by_orders(size: Number, count: int) -> Number:
    """κ times the drift of a batch of one over that of a batch of κ, noises ±1 in all their orders."""
    record = RECORD.substituted(beta1=mpmath.mpf(1) / 2, beta2=mpmath.mpf(1) / 2, eps=mpmath.mpf(0))
    one, many = ([size + sample for sample in averaged_noises(k)] for k in (1, count))
    return count * drift_of(one, record) / drift_of(many, record)


def keeps(lr: Number, decay: Number, count: int) -> Number:
    """What is left of a weight of 1 after updates of AdamW itself without a gradient."""
    record = RECORD.substituted(beta1=mpmath.mpf(1) / 2, beta2=mpmath.mpf(1) / 2, eps=mpmath.mpf(1))
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, decay))
    state = record.initial(x.numbers, mpmath.mpf(1))
    for _ in range(count):
        state = record.update(x.numbers, state, mpmath.mpf(0), c)
    return state.weight


def decay_for(power: Number, point: Point) -> Number:
    """The λ' with which one update at η' = κ^power η leaves what κ updates leave, both of AdamW itself."""
    lr, count = as_real(point[eta]), int(point[kappa])
    left = keeps(lr, as_real(point[rate]) / lr, count)
    larger = lr * mpmath.mpf(count) ** power
    unit = 1 - keeps(larger, mpmath.mpf(1), 1)  # an update's loss is linear in λ'
    return (1 - left) / unit


def timescale_ratio(point: Point) -> Number:
    """Samples to forget a given share, at √κη and the same λ, over those before."""
    lr, count = as_real(point[eta]), int(point[kappa])
    decay = as_real(point[rate]) / lr
    before, after_ = keeps(lr, decay, 1), keeps(lr * mpmath.sqrt(count), decay, 1)
    return count * mpmath.log(before) / mpmath.log(after_)


def assumptions() -> Assumptions:
    return Assumptions(
        (
            integer(kappa, 1, most=4), integer(t, most=5), between(rate, 0, 1), positive(eta),
            positive(lam), positive(slope), positive(spread), positive(batch), positive(ratio), positive(inverse),
            positive(eps), between(b1, 0, 1), real(noise), between(x.beta2, 0, 1),
        ),
        (sp.Lt(sp.sqrt(kappa) * rate, 1),),
    )  # fmt: skip


def scaling_adam_noise() -> Derivation:
    """§5: Adam(W) where gradients are mostly noise."""
    return Derivation(
        name="scaling-adam-noise",
        title="Adam and AdamW at another batch, gradients being noise: √κ, and λ too",
        statement=(
            "√v is then √(S/B), so that per sample the drift is η/√B and the diffusion η²/B: η ∝ √B, 1 − β ∝ B and "
            "ε ∝ 1/√B. Decay per sample then needs λ ∝ √B per LR, λ_ind ∝ B independent of it, and no change of L2. "
            "At any signal to noise q of the batch η' = η√(κ(1 + κq)/(1 + q)) keeps drift and diffusion."
        ),
        assumptions=assumptions(),
        steps=noise_steps(),
        results={
            "lr_factor": "learning rate", "weight_decay": "weight decay", "timescale_ratio": "timescale without",
        },
        brute_force={
            "lr_factor": lambda point: factor_by_orders(mpmath.sqrt(as_real(point[ratio])), int(point[kappa])),
            "weight_decay": lambda point: decay_for(mpmath.mpf(1) / 2, point),
            "timescale_ratio": timescale_ratio,
        },
        source="Malladi et al., arXiv 2205.10287, noise-dominated gradients; decay: THEORY.md §5",
        arguments={ratio: "signal_to_noise", kappa: "batch_factor", rate: "decay_per_step", eta: "lr"},
        corrects=(
            "the square root rule as often used, with λ left alone: the timescale in samples then grows by √κ; and "
            "that any rule needs pure noise: η√(κ(1 + κq)/(1 + q)) is exact at any q"
        ),
    )  # fmt: skip


def scaling_adam_signal() -> Derivation:
    """§5: Adam(W) where gradients are mostly signal."""
    return Derivation(
        name="scaling-adam-signal",
        title="Adam and AdamW at another batch, gradients being signal: κ, and λ stays",
        statement=(
            "√v is then the gradient itself, the drift per sample η/B and the noise no matter: η ∝ B, 1 − β ∝ B, and "
            "ε and λ stay. κ steps' decay is one step's at λ' = (1 − (1 − ηλ)^κ)/(κη)."
        ),
        assumptions=assumptions(),
        steps=signal_steps(),
        results={"lr_factor": "learning rate by noise", "weight_decay": "weight decay"},
        brute_force={
            "lr_factor": lambda point: factor_by_orders(1 / mpmath.sqrt(as_real(point[inverse])), int(point[kappa])),
            "weight_decay": lambda point: decay_for(mpmath.mpf(1), point),
        },
        source="THEORY.md §5",
        arguments={inverse: "noise_to_signal", kappa: "batch_factor", rate: "decay_per_step", eta: "lr"},
    )


DERIVATIONS = {"scaling-adam-noise": scaling_adam_noise, "scaling-adam-signal": scaling_adam_signal}
