"""torch's NAdam on gradients (E4): its momentum follows a schedule, so that early gradients count for more than one."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import NAdam
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, namespace, root, v
from .gradient_kernel import s
from .lemmas import GEOMETRIC_SUM, STABLE, SUM_LINEARITY
from .limits import Limit

b1, eta, j, t, T, w, m, g = x.beta1, x.eta, x.j, x.t, x.T, x.w_t, x.m_t, x.g_t
base = sp.Symbol("c", positive=True)  # 0.96^ψ
missing = sp.Symbol("d", positive=True)  # 1 − c
RECORD = NAdam(lr=1.0, decay="per_lr")


class CorrectedRoot(SymbolicTime):
    """The clock with β₂^k vanished; the momentum's schedule, which also is a power, stays."""

    __slots__ = ()

    def power(self, base: sp.Expr) -> sp.Expr:
        return 0 * base if base == x.beta2 or base == mpmath.mpf("0.5") else base**self.step


def momentum(step: sp.Expr) -> sp.Expr:
    """μ_k = β₁(1 − ½c^k)."""
    return b1 * (1 - base**step / 2)


def steps() -> tuple[Step, ...]:
    record = x.with_symbols(RECORD).substituted(momentum_base=base, weight_decay=sp.Integer(0))
    time = CorrectedRoot(step=t + 1, lr=eta, weight_decay=sp.Integer(0), multiplier=sp.Integer(1))
    held = namespace(x.xp, root)
    before = record.State(w(t), m(t), x.v_t(t), sp.Integer(0))
    new = record.update(held, before, g(t + 1), record.coefficients(x.xp, time))
    moment = b1 * m(t) + (1 - b1) * g(t + 1)
    taken = (1 - momentum(t + 1)) * g(t + 1) + momentum(t + 2) * moment
    later = momentum(t + s + 1) * (1 - b1) * b1**s
    total = (
        1
        - momentum(t)
        + b1 * (1 - b1**T)
        - b1 * (1 - b1) * base ** (t + 1) * (1 - (b1 * base) ** T) / (2 * (1 - b1 * base))
    )
    plain = 1 + b1 * base**t * (1 - base) / (2 * (1 - b1 * base))
    kept = 1 - forget
    return (
        Step(
            "update",
            Equation(sp.Tuple(w(t + 1), m(t + 1)), sp.Tuple(w(t) - eta * taken / (root + x.eps), moment)),
            "NAdam's own update with √v held constant and its product of momenta vanished: the gradient enters with "
            "1 − μ_k, the mean with μ_{k+1}",
            Identity(where={w(t + 1): new.weight, m(t + 1): new.first_moment}),
        ),
        Step(
            "mean",
            Equation(m(t), sp.Sum((1 - b1) * b1 ** (t - j) * g(j), (j, 1, t))),
            "by induction: the gradient of step t enters the step s later with μ_{t+s+1}(1 − β₁)β₁^s",
            Induction(
                variable=t, recurrence=("update",), initial={m(0): sp.Integer(0), w(0): x.w0}, lemmas=(SUM_LINEARITY,)
            ),
        ),
        Step(
            "total of T lags",
            Equation(1 - momentum(t) + sp.Sum(later, (s, 0, T - 1)), total),
            "all that the gradient of step t adds to T steps: two geometric sums",
            Identity(lemmas=(SUM_LINEARITY, GEOMETRIC_SUM)),
        ),
        Step(
            "in a long run",
            Equation(total, plain),
            "more than 1 by a share that falls with the momentum's schedule",
            Limit(variable=T, decaying=(b1, base)),
        ),
        Step(
            "total",
            Equation(
                plain, 1 + kept * sp.exp(t * log1p(-missing)) * missing / (2 * (missing + forget * (1 - missing)))
            ),
            "in a form that loses no digits",
            Identity(lemmas=STABLE),
        ),
        Step(
            "late gradients",
            Equation(plain, 1),
            "late gradients count for 1, as with Nesterov's numerator β₁m + (1 − β₁)g, which μ → β₁ gives",
            Limit(variable=t, decaying=(base,)),
        ),
    )


def added(point: Point) -> Number:
    """What a gradient of 1 at step t moves the weight of NAdam itself by, over −η, in the end."""
    record = RECORD.substituted(
        beta1=1 - as_real(point[forget]), beta2=mpmath.mpf("0.5"), eps=mpmath.mpf(0),
        momentum_base=1 - as_real(point[missing]),
    )  # fmt: skip
    held, first = namespace(x.numbers, as_real(1)), int(point[t])
    state = record.State(*(mpmath.mpf(0),) * 4)
    for k in range(first, first + int(120 / as_real(point[forget])) + 2):
        time = CorrectedRoot(mpmath.mpf(k), mpmath.mpf(1), mpmath.mpf(0), mpmath.mpf(1))
        state = record.update(held, state, mpmath.mpf(int(k == first)), record.coefficients(x.numbers, time))
    return -state.weight


def nadam_kernel() -> Derivation:
    """E4 for torch's NAdam."""
    return Derivation(
        name="nadam-kernel",
        title="NAdam on gradients: a momentum on a schedule of its own",
        statement=(
            "torch's NAdam takes (1 − μ_k)g + μ_{k+1}m, μ_k = β₁(1 − ½c^k), c = 0.96^ψ. The gradient of step t enters "
            "the update s steps later with (1 − μ_t)δ_{s0} + μ_{t+s+1}(1 − β₁)β₁^s; all of it adds up to "
            "1 + ½β₁c^t(1 − c)/(1 − β₁c), and to 1 only for late t."
        ),
        assumptions=Assumptions(
            (
                integer(t, 1, most=5), integer(T, 1), integer(s), between(forget, 0, 1), between(missing, 0, 1),
                positive(eta), positive(v), positive(x.eps), real(x.w0), real(w), real(g),
            ),
        ),
        definitions={b1: 1 - forget, base: 1 - missing},
        steps=steps(),
        results={"total": "total"},
        brute_force={"total": added},
        source="Dozat, ICLR workshop 2016, as torch.optim.NAdam; THEORY.md, E4",
        arguments={forget: "one_minus_beta1", missing: "one_minus_momentum_base", t: "steps"},
        corrects="that NAdam is Adam with the numerator β₁m + (1 − β₁)g: its momentum starts near β₁/2",
    )  # fmt: skip


DERIVATIONS = {"nadam-kernel": nadam_kernel}
