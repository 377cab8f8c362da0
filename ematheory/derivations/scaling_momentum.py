"""Batch rules of SGD with momentum whose memory is kept in samples (§5): η ∝ B², and what L2 and per-LR decay do."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp

from ..optimizers import SGD
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive
from .batch_scaling import batch, joined, kappa, rule
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .lemmas import STABLE
from .limits import Limit, Series
from .momentum_l2 import gap, loss
from .momentum_l2 import rate as decay

eta, lam, mu, t, w, m = x.eta, x.lam, x.mu, x.t, x.w_t, x.m_t
root = sp.Symbol("x", real=True)
slow, fast = sp.symbols("p_+ p_-", positive=True)  # 1 − r₊ and 1 − r₋, of the two poles
scale = sp.Symbol("delta", positive=True)
L2, PER_LR = (SGD(lr=1.0, momentum=0.5, weight_decay=0.1, decay=decay) for decay in ("l2", "per_lr"))
both = joined(slow) * joined(fast)


def new_state(record: SGD) -> Any:
    """The sequences after SGD's own update without a gradient."""
    return x.symbolic_update(x.with_symbols(record), x.clock(constant=True), gradient=sp.Integer(0))


def steps() -> tuple[Step, ...]:
    free = [row.subs(lam, 0) for row in new_state(L2)]
    shrunk = new_state(PER_LR).weight.subs(m(t), 0) / w(t)
    joint = 1 - (1 - slow) ** kappa, 1 - (1 - fast) ** kappa
    per_sample = {"drift": eta / (loss * batch), "diffusion": eta**2 / (loss * batch) ** 2, "memory": batch / loss}
    decays = {"L2": eta * lam / (loss * batch), "per-LR": eta * lam / batch}
    kept = "drift and diffusion (1/B of the displacement and of its square over B), memory and decay"
    return (
        Step(
            "after a gradient",
            Equation(sp.Tuple(w(t + 1), m(t + 1)), sp.Tuple(w(t) - eta * mu * m(t), mu * m(t))),
            "SGD's own update without decay, once a gradient has gone into the buffer",
            Identity(where={w(t + 1): free[0], m(t + 1): free[1]}),
        ),
        Step(
            "displacement",
            Equation(sp.Tuple(w(t), m(t)), sp.Tuple(-eta * (1 - mu ** (t + 1)) / (1 - mu), mu**t)),
            "t steps after a gradient 1, which makes w = −η and m = 1 of 0",
            Induction(variable=t, recurrence=("after a gradient",), initial={w(0): -eta, m(0): sp.Integer(1)}),
        ),
        Step(
            "whole displacement",
            Equation(eta * (1 - mu ** (t + 1)) / (1 - mu), eta / loss),
            "in the end it is η/(1 − μ), over steps whose memory is 1/(1 − μ)",
            Limit(variable=t, decaying=(mu,), where={mu: 1 - loss}),
        ),
        Step(
            "decay of L2",
            Equation(gap / decay, 1 / loss),
            "the slow rate of L2 (derivation momentum-l2) is ηλ/(1 − μ) at small ηλ",
            Limit(variable=decay, to=0),
        ),
        Step(
            "decay per LR",
            Equation(shrunk, 1 - eta * lam),
            "per-LR decay does not pass through the buffer: its rate is ηλ",
            Identity(),
        ),
        *rule("L2: ", {**per_sample, "decay": decays["L2"]}, (eta, lam, loss), kept),
        *rule("per LR: ", {**per_sample, "decay": decays["per-LR"]}, (eta, lam, loss), kept),
        Step(
            "learning rate",
            Equation(kappa * (1 - (1 - loss) ** kappa) / loss, kappa * joined(loss) / loss),
            "η'/η at μ' = μ^κ: one gradient of κ, whose share of the mean is 1/κ, moves the weight as before where "
            "η'/(1 − μ^κ) = κη/(1 − μ)",
            Identity(lemmas=STABLE),
        ),
        Step(
            "square rule",
            Equation((1 - (1 - loss) ** kappa) / (kappa * loss), 1 - (kappa - 1) * loss / 2),
            "over the rule's κ² it is 1 as μ → 1, with a difference of order 1 − μ",
            Series(variable=loss, order=2),
        ),
        Step(
            "poles of L2",
            Equation(
                root**2 - (1 + mu - decay) * root + mu, (root - (1 - slow) ** kappa) * (root - (1 - fast) ** kappa)
            ),
            "and L2's poles r± (derivation momentum-l2) become r±^κ, κ steps' forgetting in one, where μ' = (r₊r₋)^κ "
            "and η'λ' = (1 − r₊^κ)(1 − r₋^κ)",
            Identity(where={mu: ((1 - slow) * (1 - fast)) ** kappa, decay: joint[0] * joint[1]}),
        ),
        Step(
            "decay per step",
            Equation(joint[0] * joint[1], both),
            "η'λ', in a form that loses no digits",
            Identity(lemmas=STABLE),
        ),
        Step(
            "square rule of decay",
            Equation(
                (joint[0] * joint[1] / (slow * fast)).subs({slow: scale * slow, fast: scale * fast}, simultaneous=True),
                kappa**2 - kappa**2 * (kappa - 1) * scale * (slow + fast) / 2,
            ),
            "near poles of 1 it is κ²ηλ, so that λ stays, with a difference of the order of their distance from 1",
            Series(variable=scale, order=2),
        ),
    )


def run(momentum: Number, lr: Number, decay: Number, state: tuple[Number, Number], count: int | None = None) -> Any:
    """The (w, m) that `count` updates of SGD with L2 itself leave, or as many as move the weight."""
    record = L2.substituted(momentum=momentum)
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, decay))
    current = record.State(*state)
    while count is None or count > 0:
        before, current = current, record.update(x.numbers, current, mpmath.mpf(0), c)
        count = None if count is None else count - 1
        if count is None and abs(current.weight - before.weight) < mpmath.mpf(10) ** -55:
            break
    return current


def learning_rate(point: Point) -> Number:
    """How far a gradient 1 at last moves SGD's weight over how far its share 1/κ does at μ^κ and the same η."""
    keep, count = 1 - as_real(point[loss]), int(point[kappa])
    one = mpmath.mpf(1)
    small = run(keep, one, 0 * one, (-one, one)).weight
    large = run(keep**count, one, 0 * one, (-one / count, one / count)).weight
    return small / large


def decay_per_step(point: Point) -> Number:
    """det(1 − M^κ), M the matrix of SGD's own update, which is η'λ' by the characteristic polynomial at 1."""
    p, q = as_real(point[slow]), as_real(point[fast])
    one, count = mpmath.mpf(1), int(point[kappa])
    columns = [run((1 - p) * (1 - q), one, p * q, unit, count) for unit in ((one, 0 * one), (0 * one, one))]
    (ww, wm), (mw, mm) = columns
    return (1 - ww) * (1 - mm) - wm * mw


def scaling_momentum() -> Derivation:
    """§5: SGD with momentum, its memory kept in samples."""
    return Derivation(
        name="scaling-momentum",
        title="SGD with momentum at another batch: η ∝ B², 1 − μ ∝ B",
        statement=(
            "A gradient moves the weight by η/(1 − μ) over 1/(1 − μ) steps. With the memory kept in samples 1 − μ ∝ B "
            "and η ∝ B²; L2, which decays by ηλ/(1 − μ), then keeps λ, while per-LR decay, by ηλ, needs λ ∝ 1/B. "
            "Exactly: μ' = μ^κ, η' = κη(1 − μ^κ)/(1 − μ), and for L2 both poles to the power κ."
        ),
        assumptions=Assumptions(
            (
                integer(kappa, 1, most=4), integer(t, most=5), between(loss, 0, 1, sampled=(sp.Rational(1, 20), 1)),
                positive(eta),
                between(mu, 0, 1), between(slow, 0, 1), between(fast, 0, 1), positive(lam), positive(batch),
                between(decay, 0, 1),
            )
        ),
        steps=steps(),
        results={"lr_factor": "learning rate", "decay_per_step": "decay per step"},
        brute_force={"lr_factor": learning_rate, "decay_per_step": decay_per_step},
        source="THEORY.md §5; the buffer is torch.optim.SGD's, m ← μm + g, as in M1 and M2",
        arguments={
            loss: "one_minus_momentum", kappa: "batch_factor", slow: "slow_pole_gap", fast: "fast_pole_gap",
        },
        corrects="that SGD's λ never depends on the batch: with per-LR decay and the memory kept in samples λ ∝ 1/B",
    )  # fmt: skip


DERIVATIONS = {"scaling-momentum": scaling_momentum}
