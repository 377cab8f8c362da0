"""SGD with Nesterov's momentum and L2 (M2): its poles, and its slow rate without cancellation."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import SGD
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .lemmas import STABLE
from .limits import Series, Solve
from .momentum_per_lr import matrix
from .poles import slow_pole

eta, lam, mu, t, w, m, g = x.eta, x.lam, x.mu, x.t, x.w_t, x.m_t, x.g_t
loss = sp.Symbol("phi", positive=True)  # 1 − μ
rate = sp.Symbol("epsilon", positive=True)  # ηλ
root = sp.Symbol("x", real=True)
RECORD = SGD(lr=1.0, momentum=0.5, weight_decay=0.1, nesterov=True)

total = loss + rate * (2 - loss)  # the sum of the two gaps 1 − r; their product is ηλ
spread = (loss - rate * (2 - loss)) ** 2 - 4 * rate * (1 - loss) ** 2  # total² − 4·rate with less to cancel
gap = 2 * rate / (total + sp.sqrt(spread))


def steps() -> tuple[Step, ...]:
    new = x.symbolic_update(x.with_symbols(RECORD), x.clock(constant=True))
    slope, x_slow = g(t + 1) + lam * w(t), sp.Symbol("x_slow", positive=True)
    polynomial = root**2 - (1 + mu) * (1 - eta * lam) * root + mu * (1 - eta * lam)
    return (
        Step(
            "update",
            Equation(
                sp.Tuple(w(t + 1), m(t + 1)),
                sp.Tuple(w(t) - eta * (mu**2 * m(t) + (1 + mu) * slope), mu * m(t) + slope),
            ),
            "SGD's own update in torch's Nesterov form: the step is g + λw + μ times the new buffer",
            Identity(where={w(t + 1): new.weight, m(t + 1): new.momentum}),
        ),
        Step(
            "characteristic polynomial",
            Equation((root * sp.eye(2) - matrix(new)).det(), polynomial),
            "the poles of weight and buffer; those of the plain momentum have μ for the last term",
            Identity(),
        ),
        Step(
            "gaps",
            Equation(polynomial.subs({root: 1 - root, lam: rate / eta, mu: 1 - loss}), root**2 - total * root + rate),
            "the same in the distance of a pole from 1",
            Identity(),
        ),
        Step(
            "real poles",
            Equation(spread.subs(loss, 1 - mu), (1 - rate) * ((1 - mu) ** 2 - rate * (1 + mu) ** 2)),
            "the poles are real while ηλ ≤ ((1 − μ)/(1 + μ))²",
            Identity(),
        ),
        Step(
            "gap",
            Equation(x_slow, gap),
            "the smaller gap, without cancellation",
            Solve(conditions=(Equation(x_slow**2 - total * x_slow + rate, 0),), among=between(x_slow, 0, total / 2)),
        ),
        Step(
            "timescale",
            Equation(-1 / sp.log(1 - gap), -1 / log1p(-gap)),
            "the time constant −1/ln r of the slow pole, in steps",
            Identity(lemmas=STABLE),
        ),
        Step(
            "small decay",
            Equation(gap, rate / loss + (1 - loss) ** 2 * rate**2 / loss**3),
            "ηλ/(1 − μ) + μ²(ηλ)²/(1 − μ)³: the first term is plain momentum's, which has μ(ηλ)²/(1 − μ)³ next",
            Series(variable=rate, order=3),
        ),
    )


def own_pole(point: Point) -> Number:
    """The larger eigenvalue of what SGD itself does to the unit states."""
    record = RECORD.substituted(momentum=1 - as_real(point[loss]))
    decay = as_real(point[rate]) / as_real(point[eta])
    return slow_pole(record, SymbolicTime(*(as_real(v) for v in (1, point[eta], decay))))


def momentum_nesterov() -> Derivation:
    """M2's last formula: the poles of torch's Nesterov momentum with L2."""
    return Derivation(
        name="momentum-nesterov",
        title="SGD with Nesterov's momentum and L2: its poles",
        statement=(
            "The poles of weight and buffer solve r² − (1 + μ)(1 − ηλ)r + μ(1 − ηλ) = 0. They are real while "
            "ηλ ≤ ((1 − μ)/(1 + μ))², a quarter of plain momentum's range for μ near 1, and the slow one has "
            "1 − r = ηλ/(1 − μ) + …, so the timescale is near (1 − μ)/(ηλ) as without Nesterov's form."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), positive(eta), between(loss, 0, 1),
                between(rate, 0, (loss / (2 - loss)) ** 2), positive(lam), between(mu, 0, 1), real(w), real(m), real(g),
            ),
            (sp.Gt(spread, 0),),
        ),
        steps=steps(),
        results={"slow_pole_gap": "gap", "timescale_steps": "timescale"},
        brute_force={
            "slow_pole_gap": lambda point: 1 - own_pole(point),
            "timescale_steps": lambda point: -1 / mpmath.log(own_pole(point)),
        },
        source="THEORY.md, M2; torch.optim.SGD with nesterov=True",
        arguments={rate: "decay_per_step", loss: "one_minus_momentum"},
    )  # fmt: skip


DERIVATIONS = {"momentum-nesterov": momentum_nesterov}
