"""Schedule-Free SGD's weight is the uniform average of its iterates, whatever the gradients and the rates."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..optimizers import ScheduleFreeSGD
from . import symbols as x
from .assumptions import Assumptions, between, integer, real
from .checks import Identity, Induction
from .derivation import Brute, Derivation, Step
from .equations import Equation
from .evaluation import Point, as_real
from .lemmas import SUM_LINEARITY

t, i, j = x.t, x.i, x.j
iterate = sp.Function("z", real=True)  # the iterate z_k, z_0 = w_0
point = sp.Function("y", real=True)  # where the gradient of update k + 1 is taken
RECORD = ScheduleFreeSGD(lr=1.0, weight_decay=0.1)
decayed = sp.Function("d", real=True)  # η_k(g_k + λ_k y), the step that update k takes


def steps() -> tuple[Step, ...]:
    record, time = x.with_symbols(RECORD), x.clock()
    state = record.State(x.w_t(t), iterate(t))
    new = x.symbolic_update(record, time, state)
    at = record.point(x.xp, state, record.coefficients(x.xp, time))
    taken = x.eta_t(t + 1) * (x.g_t(t + 1) + x.lam_t(t + 1) * point(t))
    average = sp.Sum(iterate(i), (i, 1, t)) / t
    telescoped = x.w0 - sp.Sum(decayed(j), (j, 1, t))
    shares = x.w0 - sp.Sum((t + 1 - j) * decayed(j), (j, 1, t)) / t
    scaled = sp.Function("A", real=True)  # t·w_t
    return (
        Step(
            "update",
            Equation(
                sp.Tuple(iterate(t + 1), x.w_t(t + 1)),
                sp.Tuple(iterate(t) - taken, (t * x.w_t(t) + iterate(t) - taken) / (t + 1)),
            ),
            "Schedule-Free SGD's own update: z takes the step, the weight its share 1/(t + 1) of the new z",
            Identity(where={iterate(t + 1): new.iterate, x.w_t(t + 1): new.weight, point(t): at}),
        ),
        Step(
            "step on z",
            Equation(iterate(t + 1), iterate(t) - decayed(t + 1)),
            "the step d = η(g + λy), with the L2 decay at the point y where the gradient is taken",
            Identity(uses=("update",), where={decayed(t + 1): taken}),
        ),
        Step(
            "scaled weight",
            Equation(scaled(t + 1), scaled(t) + iterate(t + 1)),
            "t times the weight grows by the iterate, at every step: β and the rates do not enter",
            Identity(uses=("update",), where={scaled(t + 1): (t + 1) * x.w_t(t + 1), scaled(t): t * x.w_t(t)}),
        ),
        Step(
            "sum",
            Equation(scaled(t), sp.Sum(iterate(i), (i, 1, t))),
            "so t·w_t adds up the iterates; the initial weight is in none of them",
            Induction(variable=t, recurrence=("scaled weight",), initial={scaled(0): sp.Integer(0)}),
        ),
        Step(
            "average",
            Equation(scaled(t) / t, average),
            "the weight is the plain mean of z_1 … z_t",
            Identity(uses=("sum",)),
        ),
        Step(
            "iterate",
            Equation(iterate(t), telescoped),
            "z is the start less the steps taken",
            Induction(variable=t, recurrence=("step on z",), initial={iterate(0): x.w0}),
        ),
        Step(
            "sum over steps",
            Equation(sp.Sum(x.w0 - sp.Sum(decayed(j), (j, 1, i)), (i, 1, t)),
                     t * x.w0 - sp.Sum((t + 1 - j) * decayed(j), (j, 1, t))),
            "the step j is in the t + 1 − j iterates from z_j on",
            Induction(variable=t, lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "weights of the steps",
            Equation((t * x.w0 - sp.Sum((t + 1 - j) * decayed(j), (j, 1, t))) / t, shares),
            "the weight holds the step j with 1 − (j − 1)/t, what a linear decay of the rate to zero would give it",
            Identity(),
        ),
    )  # fmt: skip


def states(at: Point) -> list[Any]:
    """The states of Schedule-Free SGD itself over t ≥ 1 updates, in exact arithmetic up to 60 digits."""
    record = RECORD.substituted(beta1=as_real(at[x.beta1]))
    return x.run(
        record, at[x.w0], at[t], lambda k, state: at[x.g_t](k), lambda k: at[x.eta_t](k), lambda k: at[x.lam_t](k)
    )


def bound(run: list[Any], at: Point) -> dict[Any, Any]:
    """The iterates of a run, and the steps that they took."""
    return {
        iterate: lambda k: run[k].iterate,
        decayed: lambda k: run[k - 1].iterate - run[k].iterate,
        x.w0: as_real(at[x.w0]),
    }


def last_weight(at: Point) -> Brute:
    run = states(at)
    return Brute(run[-1].weight, bound(run, at))


def schedule_free() -> Derivation:
    """Schedule-Free SGD as an average."""
    return Derivation(
        name="schedule-free",
        title="Schedule-Free SGD averages its iterates uniformly",
        statement=(
            "With x ← (1 − 1/t)x + z/t the weight is the mean of z_1 … z_t for any gradients, rates, decays and β, and "
            "holds the step j with the share 1 − (j − 1)/t: a constant rate acts as a linear decay to zero. The "
            "initial weight's own share is forgotten at the first step; decay acts at y, through the steps."
        ),
        assumptions=Assumptions(
            (
                integer(t, 1, most=5), real(x.w0), between(x.beta1, 0, 1), between(x.eta_t, 0, 1),
                between(x.lam_t, 0, 1), real(x.g_t), real(x.w_t), real(iterate), real(decayed),
            ),
        ),
        steps=steps(),
        results={"average": "average", "weights_of_steps": "weights of the steps"},
        brute_force={"average": last_weight, "weights_of_steps": last_weight},
        source="Defazio et al., arXiv 2405.15682; THEORY.md §7",
    )  # fmt: skip


DERIVATIONS = {"schedule-free": schedule_free}
