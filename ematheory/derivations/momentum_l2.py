"""SGD with momentum and L2 (M1): an exact double EMA of −g/λ, and its slow rate."""

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
from .poles import slow_pole

eta, lam, mu, t, w, m, g, q = x.eta, x.lam, x.mu, x.t, x.w_t, x.m_t, x.g_t, x.q_t
slow, fast = sp.symbols("r_+ r_-", positive=True)  # the two rates, r₊r₋ = μ
loss = sp.Symbol("phi", positive=True)  # 1 − μ
rate = sp.Symbol("epsilon", positive=True)  # ηλ
damping = sp.Symbol("d", positive=True)  # torch's dampening
root = sp.Symbol("x", real=True)
y = sp.Function("y", real=True)  # the first of the two EMAs
RECORD = SGD(lr=1.0, momentum=0.5, weight_decay=0.1)

# In terms of the rates: μ = r₊r₋ and ηλ = (1 − r₊)(1 − r₋).
BY_RATES = {mu: slow * fast, lam: (1 - slow) * (1 - fast) / eta}
inner = w(t) - eta * fast / (1 - fast) * m(t)
spread = (loss - rate) ** 2 - 4 * rate * (1 - loss)  # (loss + rate)² − 4·rate with less to cancel
gap = 2 * rate / (loss + rate + sp.sqrt(spread))


def steps() -> tuple[Step, ...]:
    new = x.symbolic_update(x.with_symbols(RECORD), x.clock(constant=True))
    code = {w(t + 1): new.weight, m(t + 1): new.momentum}
    matrix = sp.Matrix([[sp.diff(row, state) for state in (w(t), m(t))] for row in new])
    ahead = inner.subs(t, t + 1)
    return (
        Step(
            "update",
            Equation(
                sp.Tuple(w(t + 1), m(t + 1)),
                sp.Tuple(w(t) - eta * (mu * m(t) + g(t + 1) + lam * w(t)), mu * m(t) + g(t + 1) + lam * w(t)),
            ),
            "SGD's own update: λw joins the gradient and passes through the momentum buffer",
            Identity(where=code),
        ),
        Step(
            "characteristic polynomial",
            Equation((root * sp.eye(2) - matrix).det(), root**2 - (1 + mu - eta * lam) * root + mu),
            "the poles of weight and buffer",
            Identity(),
        ),
        Step(
            "rates",
            Equation(root**2 - (1 + mu - eta * lam) * root + mu, (root - slow) * (root - fast)),
            "r₊ and r₋ are those poles when μ = r₊r₋ and ηλ = (1 − r₊)(1 − r₋)",
            Identity(where=BY_RATES),
        ),
        Step(
            "first average",
            Equation(y(t + 1), slow * y(t) + (1 - slow) * q(t + 1)),
            "y_t = w_t − ηr₋/(1 − r₋) m_t is an EMA of q = −g/λ with the rate r₊, from y_0 = w_0",
            Identity(where={**code, y(t): inner, y(t + 1): ahead.xreplace(code), **BY_RATES}),
        ),
        Step(
            "second average",
            Equation(w(t + 1), fast * w(t) + (1 - fast) * y(t + 1)),
            "and w is an EMA of y with the rate r₋: a double EMA, exactly, with both averages started at w_0",
            Identity(where={**code, y(t + 1): ahead.xreplace(code), **BY_RATES}),
        ),
        *rate_steps(),
        *dampening_steps(),
    )


def dampening_steps() -> tuple[Step, ...]:
    """torch's dampening d: m ← μm + (1 − d)(g + λw), but the first buffer is the whole gradient."""
    slower = eta * (1 - damping)
    new = x.symbolic_update(x.with_symbols(RECORD), x.clock(constant=True)._replace(lr=slower))
    scaled = {m(t): m(t) / (1 - damping)}
    gradient = g(t + 1) + lam * w(t)
    damped = mu * m(t) + (1 - damping) * gradient
    first = x.g_t(1) + lam * x.w0
    by_rates = {lam: (1 - slow) * (1 - fast) / slower}
    # y_1 as derived for the rate η(1 − d), and what an EMA from w_0 would make of q_1 = −g_1/λ.
    begun = x.w0 - eta * first - slower * fast / (1 - fast) * first / (1 - damping)
    average = slow * x.w0 - (1 - slow) * x.g_t(1) / lam
    return (
        Step(
            "dampening",
            Equation(sp.Tuple(w(t + 1), m(t + 1)), sp.Tuple(w(t) - eta * damped, damped / (1 - damping))),
            "torch's rule with dampening d is SGD's own update at the rate η(1 − d) on the buffer m/(1 − d), so that "
            "ηλ(1 − d) stands for ηλ in the poles",
            Identity(where={w(t + 1): new.weight.subs(scaled), m(t + 1): new.momentum.subs(scaled)}),
        ),
        Step(
            "damped start",
            Equation(begun - average, -damping * eta * first / (1 - fast)),
            "but torch's first buffer is the whole gradient, so y_1 is not what an EMA from w_0 gives: with dampening "
            "the double EMA holds from the second step on alone",
            Identity(where=by_rates),
        ),
    )


def rate_steps() -> tuple[Step, ...]:
    x_slow = sp.Symbol("x_slow", positive=True)
    condition = Equation(x_slow**2 - (loss + rate) * x_slow + rate, 0)
    third = (1 - loss) * (2 - loss) * rate**3 / loss**5
    return (
        Step(
            "gap",
            Equation(x_slow, gap),
            "1 − r₊, the smaller root of x² − (1 − μ + ηλ)x + ηλ, without cancellation; real while ηλ ≤ (1 − √μ)²",
            Solve(conditions=(condition,), among=between(x_slow, 0, (loss + rate) / 2)),
        ),
        Step(
            "timescale",
            Equation(-1 / sp.log(1 - gap), -1 / log1p(-gap)),
            "the time constant −1/ln r₊ of the slow average, in steps",
            Identity(lemmas=STABLE),
        ),
        Step(
            "small decay",
            Equation(gap, rate / loss + (1 - loss) * rate**2 / loss**3 + third),
            "1 − r₊ = ηλ/(1−μ) + μ(ηλ)²/(1−μ)³ + μ(1+μ)(ηλ)³/(1−μ)⁵ + …, so that τ is near (1−μ)/(ηλ)",
            Series(variable=rate, order=4),
        ),
    )


def own_pole(point: Point) -> Number:
    """The larger eigenvalue of what SGD itself does to the unit states."""
    record = RECORD.substituted(momentum=1 - as_real(point[loss]))
    decay = as_real(point[rate]) / as_real(point[eta])
    return slow_pole(record, SymbolicTime(*(as_real(v) for v in (1, point[eta], decay))))


def momentum_l2() -> Derivation:
    """M1: torch's SGD with momentum and L2 is a double EMA of −g/λ."""
    return Derivation(
        name="momentum-l2",
        title="SGD with momentum and L2: an exact double EMA",
        statement=(
            "With dampening 0 the weight is exactly the EMA, with rate r₋, of an EMA, with rate r₊, of −g/λ, both "
            "started at w_0; r₊r₋ = μ and (1 − r₊)(1 − r₋) = ηλ. The slow one has 1 − r₊ = ηλ/(1 − μ) + …, so τ is "
            "near (1 − μ)/(ηλ). Beyond ηλ = (1 − √μ)² the poles are complex, a gradient's weight oscillates, and there "
            "is no τ (momentum-oscillation). With dampening d the poles are those of ηλ(1 − d)."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), positive(eta), between(rate, 0, 1), between(loss, 0, 1),
                between(slow, 0, 1), between(fast, 0, 1), between(damping, 0, 1), real(w), real(m),
            ),
            (sp.Gt(spread, 0), sp.Lt(rate, loss), sp.Ne(slow, fast)),
        ),
        definitions={q(t): -g(t) / lam},
        steps=steps(),
        results={"slow_pole_gap": "gap", "timescale_steps": "timescale"},
        brute_force={
            "slow_pole_gap": lambda point: 1 - own_pole(point),
            "timescale_steps": lambda point: -1 / mpmath.log(own_pole(point)),
        },
        source="THEORY.md, M1; torch.optim.SGD with dampening 0",
        arguments={rate: "decay_per_step", loss: "one_minus_momentum"},
        corrects="τ = 1/(ηλ) is often said of SGD with L2 as well: with momentum it is (1 − μ)/(ηλ)",
    )  # fmt: skip


DERIVATIONS = {"momentum-l2": momentum_l2}
