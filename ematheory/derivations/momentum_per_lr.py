"""SGD with momentum and per-LR decay (M2): the poles 1 − ηλ and μ, and what L2 makes of the same λ."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..optimizers import SGD
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point
from .limits import Series
from .momentum_l2 import gap, loss, own_pole, rate, spread

eta, lam, mu, t, w, m, g = x.eta, x.lam, x.mu, x.t, x.w_t, x.m_t, x.g_t
root = sp.Symbol("x", real=True)
RECORD = SGD(lr=1.0, momentum=0.5, weight_decay=0.1, decay="per_lr")
ratio = 2 / (loss + rate + sp.sqrt(spread))


def matrix(new: Any) -> sp.Matrix:
    return sp.Matrix([[sp.diff(row, state) for state in (w(t), m(t))] for row in new])


def steps() -> tuple[Step, ...]:
    new = x.symbolic_update(x.with_symbols(RECORD), x.clock(constant=True))
    slow = sp.Symbol("s", positive=True)  # 1 − the slow pole of L2
    return (
        Step(
            "update",
            Equation(
                sp.Tuple(w(t + 1), m(t + 1)),
                sp.Tuple((1 - eta * lam) * w(t) - eta * (mu * m(t) + g(t + 1)), mu * m(t) + g(t + 1)),
            ),
            "SGD's own update with per-LR decay: λ does not pass through the momentum buffer",
            Identity(where={w(t + 1): new.weight, m(t + 1): new.momentum}),
        ),
        Step(
            "poles",
            Equation((root * sp.eye(2) - matrix(new)).det(), (root - (1 - eta * lam)) * (root - mu)),
            "the poles are 1 − ηλ and μ: the timescale of the decay is 1/(ηλ), whatever the momentum",
            Identity(),
        ),
        Step(
            "decay of L2",
            Equation(slow / rate, ratio),
            "the slow rate of SGD with L2 (derivation momentum-l2) over ηλ, the rate of per-LR decay",
            Identity(where={slow: gap}),
        ),
        Step(
            "small decay",
            Equation(ratio, 1 / loss + (1 - loss) * rate / loss**3),
            "as ηλ → 0 it is 1/(1 − μ), 10 for μ = 0.9: the same λ decays so much faster as L2. SGDP divides its λ by "
            "1 − μ (arXiv 2006.08217), which makes per-LR decay as fast as L2",
            Series(variable=rate, order=2),
        ),
    )


def decay_ratio(point: Point) -> Number:
    """The slow rate of SGD with L2, by the eigenvalues of its own update, over ηλ."""
    return (1 - own_pole(point)) / point[rate]


def momentum_per_lr() -> Derivation:
    """M2: the two decays of SGD with momentum."""
    return Derivation(
        name="momentum-per-lr",
        title="SGD with momentum and per-LR decay, beside L2",
        statement=(
            "With per-LR decay the poles of weight and momentum are 1 − ηλ and μ, so the timescale is 1/(ηλ). With L2 "
            "the same λ forgets faster, by 1/(1 − μ) to first order in ηλ."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), positive(eta), positive(lam), between(mu, 0, 1), between(rate, 0, 1),
                between(loss, 0, 1), real(w), real(m), real(g),
            ),
            (sp.Gt(spread, 0), sp.Lt(rate, loss)),
        ),
        steps=steps(),
        results={"decay_ratio": "decay of L2"},
        brute_force={"decay_ratio": decay_ratio},
        source="THEORY.md, M2; Heo et al., arXiv 2006.08217",
        arguments={rate: "decay_per_step", loss: "one_minus_momentum"},
    )  # fmt: skip


DERIVATIONS = {"momentum-per-lr": momentum_per_lr}
