"""The model EMA's batch rule (§5): ρ becomes ρ^κ, exactly for what it forgets; what the coarser steps do change."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from .assumptions import Assumptions, between, integer, positive, real
from .batch_scaling import batch, joined, kappa, rule
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .lemmas import STABLE
from .limits import Limit, Series, Solve

rho = sp.Symbol("rho", positive=True)
forget = sp.Symbol("c", positive=True)  # 1 − ρ
average = sp.Function("y", real=True)
model, start, speed, lag = sp.symbols("theta y_0 v L", real=True)  # v: the model's motion in one small step


def steps() -> tuple[Step, ...]:
    large_keep = (1 - forget) ** kappa
    return (
        Step(
            "small step",
            Equation(average(kappa + 1), rho * average(kappa) + (1 - rho) * model),
            "the average of a model that stays",
            Identity(where={average(kappa + 1): average(kappa) + (1 - rho) * (model - average(kappa))}),
        ),
        Step(
            "small steps",
            Equation(average(kappa), rho**kappa * start + (1 - rho**kappa) * model),
            "κ steps are one with ρ^κ, exactly",
            Induction(variable=kappa, recurrence=("small step",), initial={average(0): start}),
        ),
        *rule("", {"memory": batch / forget}, (forget,), "the memory B/(1 − ρ) in samples, at small 1 − ρ"),
        Step(
            "forgetting",
            Equation(1 - (1 - forget) ** kappa, joined(forget)),
            "1 − ρ^κ, in a form that loses no digits",
            Identity(lemmas=STABLE),
        ),
        Step(
            "linear rule",
            Equation((1 - large_keep) / (kappa * forget), 1 - (kappa - 1) * forget / 2),
            "over the linear rule's κ(1 − ρ) it is 1 as ρ → 1, with a difference of order 1 − ρ",
            Series(variable=forget, order=2),
        ),
        Step(
            "lag",
            Equation(lag, speed * rho / (1 - rho)),
            "behind a model that moves by v in a step: the lag that a step leaves as it is",
            Solve(conditions=(Equation(lag, rho * (lag + speed)),)),
        ),
        Step(
            "lag ratio",
            Equation(
                (kappa * large_keep / (1 - large_keep)) / ((1 - forget) / forget),
                kappa * forget * sp.exp(kappa * log1p(-forget)) / ((1 - forget) * joined(forget)),
            ),
            "the lag at ρ^κ behind a model that moves by κv in a step, over that at ρ: one average of coarser steps is "
            "nearer to its model",
            Identity(lemmas=STABLE),
        ),
        Step(
            "lag at long memory",
            Equation(kappa * forget * large_keep / ((1 - forget) * (1 - large_keep)), 1 - (kappa - 1) * forget / 2),
            "by (κ − 1)/2 steps of the old size, a share of order 1 − ρ",
            Series(variable=forget, order=2),
        ),
        Step(
            "lag in samples",
            Equation(
                batch * (1 - forget) / forget - kappa * batch * large_keep / (1 - large_keep),
                (kappa - 1) * batch / 2,
            ),
            "so that its lag in samples is shorter by (κ − 1)B/2 as ρ → 1",
            Limit(variable=forget, to=0),
        ),
    )


def follow(keep: Number, start: Number, count: int, model: Number, speed: Number) -> Number:
    """The average after `count` steps y ← ρy + (1 − ρ)θ, each after a motion of θ by `speed`."""
    for _ in range(count):
        model += speed
        start = keep * start + (1 - keep) * model
    return start


def forgetting(point: Point) -> Number:
    """What κ averages lose of a start of 1 beside a model at 0."""
    zero = mpmath.mpf(0)
    return 1 - follow(1 - as_real(point[forget]), zero + 1, int(point[kappa]), zero, zero)


def settled_lag(keep: Number, speed: Number) -> Number:
    """The lag behind a model that moves, once it has settled: averages followed until every trace of 0 is gone."""
    count = int(125 / (1 - keep)) + 1
    return count * speed - follow(keep, mpmath.mpf(0), count, mpmath.mpf(0), speed)


def lag_ratio(point: Point) -> Number:
    keep, count = 1 - as_real(point[forget]), int(point[kappa])
    return settled_lag(keep**count, as_real(count)) / settled_lag(keep, as_real(1))


def scaling_model_ema() -> Derivation:
    """§5: the EMA of the model at another batch."""
    return Derivation(
        name="scaling-model-ema",
        title="The model EMA at another batch: ρ^κ",
        statement=(
            "κ averages of one model with ρ are one with ρ^κ, exactly; 1 − ρ ∝ B is its limit, wrong by a share of "
            "order 1 − ρ. Behind a model that moves the average at ρ^κ lags by (κ − 1)B/2 samples less, a share of "
            "order 1 − ρ as well."
        ),
        assumptions=Assumptions(
            (
                integer(kappa, 1, most=4), between(forget, 0, 1, sampled=(sp.Rational(1, 50), 1)), between(rho, 0, 1),
                real(model),
                real(start), real(speed), positive(batch),
            )
        ),
        steps=steps(),
        results={"one_minus_ema": "forgetting", "lag_ratio": "lag ratio"},
        brute_force={"one_minus_ema": forgetting, "lag_ratio": lag_ratio},
        source="Busbridge et al., arXiv 2307.13813; THEORY.md §5",
        arguments={forget: "one_minus_ema", kappa: "batch_factor"},
    )  # fmt: skip


DERIVATIONS = {"scaling-model-ema": scaling_model_ema}
