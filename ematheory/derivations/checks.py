"""Checks that run: each decides whether a step's own equation follows, or says what is left over.

A check that cannot decide fails. `Identity` and `Induction` are here with the two that need a certificate
(`Antidifference`, `Antiderivative`); limits, series and solutions are in limits.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from .assumptions import Assumptions
from .equations import Definitions, Equation, Expression, substitute
from .evaluation import EvaluationError, Number, Point, agree, evaluate
from .lemmas import Lemma, apply, nonnegative, peel_last
from .normal_form import Undecided, normal_form

SPOT_POINTS = 2  # sampled points at which an identity is evaluated as well
BRUTE_FORCE_STEPS = range(5)  # n − start at which an induction is evaluated


@dataclass(frozen=True)
class Context:
    """What a check may use: the assumptions, the definitions of atoms and the equations of the earlier steps."""

    assumptions: Assumptions = Assumptions()
    definitions: Definitions = field(default_factory=dict)
    equations: Mapping[str, Equation] = field(default_factory=dict)

    def equation(self, label: str) -> Equation:
        if label not in self.equations:
            known = ", ".join(map(repr, self.equations)) or "none"
            raise ValueError(f"a check uses the step {label!r}, which does not come before it; earlier steps: {known}")
        return self.equations[label]

    def rules(self, uses: tuple[str, ...], where: Definitions) -> Definitions:
        """The definitions with those of a check and with earlier equations read from left to right."""
        earlier = {lhs: rhs for label in uses for lhs, rhs in self.equation(label).pairs()}
        return {**self.definitions, **where, **earlier}


@dataclass(frozen=True)
class Outcome:
    """Whether a check passed; `residual` is what should have been zero, `detail` what was done or went wrong."""

    passed: bool
    residual: str = "0"
    detail: str = ""

    def __bool__(self) -> bool:
        return self.passed


class Failure(Exception):
    """A check's reason to fail, with the residual."""

    def __init__(self, detail: str, residual: object = "undecided") -> None:
        super().__init__(detail)
        self.detail, self.residual = detail, str(residual)


@dataclass(frozen=True, kw_only=True)
class Check:
    """Base of the checks: `lemmas` in order, `uses` labels of earlier steps (read lhs → rhs), `where` definitions.

    Subclasses define `prove(equation, context)`, which raises `Failure` or returns a few words on what was done.
    """

    lemmas: tuple[Lemma, ...] = ()
    uses: tuple[str, ...] = ()
    where: Definitions = field(default_factory=dict)

    kind = "check"

    def prove(self, equation: Equation, context: Context) -> str:
        raise NotImplementedError

    def run(self, equation: Equation, context: Context) -> Outcome:
        """The outcome for this equation; never an exception for an equation that is merely wrong."""
        try:
            return Outcome(True, detail=self.prove(equation, context))
        except Failure as failure:
            return Outcome(False, failure.residual, failure.detail)
        except (Undecided, EvaluationError, ArithmeticError, NotImplementedError, sp.PolynomialError) as error:
            return Outcome(False, "undecided", f"no decision: {error}")

    def needs(self) -> tuple[str, ...]:
        """The labels of the earlier steps that the check refers to."""
        return self.uses

    def words(self) -> str:
        """The kind of check with the lemmas and steps that it uses."""
        used = [*(f"step “{label}”" for label in self.uses), *(lemma.name for lemma in self.lemmas)]
        return self.kind + (f" using {', '.join(used)}" if used else "")

    def remainder(self, expression: Expression, context: Context, rules: Definitions | None = None) -> Expression:
        """The normal form after definitions and lemmas: literally 0 if and only if the expression is proved zero."""
        rules = context.rules(self.uses, self.where) if rules is None else rules
        return normal_form(apply(self.lemmas, substitute(sp.sympify(expression), rules), context.assumptions))

    def require_zero(
        self, expression: Expression, context: Context, what: str, rules: Definitions | None = None
    ) -> None:
        left = self.remainder(expression, context, rules)
        if left != 0:
            raise Failure(f"{what} does not vanish", left)


def spot_check(equation: Equation, context: Context, rules: Definitions) -> int:
    """Evaluate both sides at sampled points, as a second opinion on normal form and lemmas; how many had values.

    Raises `Failure` where they differ, and where none has a value: assumptions that nothing satisfies prove anything.
    """
    sides = [tuple(substitute(side, rules) for side in pair) for pair in equation.pairs()]
    known = context.assumptions.covering(side for pair in sides for side in pair)
    tried = 0
    for point in known.points(SPOT_POINTS, seed=1):
        for lhs, rhs in sides:
            try:
                values = evaluate(lhs, point), evaluate(rhs, point)
            except EvaluationError:
                continue
            if not agree(*values):
                raise Failure(f"the sides differ at {shown(point)}", f"{values[0]} − {values[1]}")
            tried += 1
    if not tried:
        raise Failure("the sides have no value at a sampled point that satisfies the assumptions")
    return tried


def shown(point: Point) -> str:
    return ", ".join(f"{symbol} = {value}" for symbol, value in point.items() if isinstance(symbol, sp.Symbol))


@dataclass(frozen=True, kw_only=True)
class Identity(Check):
    """lhs − rhs becomes literally 0 by definitions, lemmas and cancellation over atoms."""

    kind = "identity"

    def prove(self, equation: Equation, context: Context) -> str:
        rules = context.rules(self.uses, self.where)
        for residual in equation.residuals():
            self.require_zero(residual, context, "lhs − rhs", rules)
        return f"residual 0, and equal at {spot_check(equation, context, rules)} sampled points"


@dataclass(frozen=True, kw_only=True)
class Induction(Check):
    """Induction on an integer from `start`.

    Where lhs is a sequence at n (several, for a Tuple), `recurrence` names the earlier steps f(n+1) = …, `initial`
    gives f(start), and the hypothesis replaces f(n) by the right-hand side. Otherwise the step proves
    residual(n+1) = multiplier·residual(n). Sums and products are peeled at n. Then both sides are evaluated at
    n = start … start + 4, a sequence by running its recurrence.
    """

    variable: sp.Symbol
    start: int = 0
    recurrence: tuple[str, ...] = ()
    initial: Definitions = field(default_factory=dict)
    multiplier: Expression = 1

    kind = "induction"

    def needs(self) -> tuple[str, ...]:
        return (*self.recurrence, *self.uses)

    def words(self) -> str:
        used = [*(f"step “{label}”" for label in self.needs()), *(x.name for x in self.lemmas)]
        return f"induction on {self.variable} from {self.start}" + (f" using {', '.join(used)}" if used else "")

    def prove(self, equation: Equation, context: Context) -> str:
        rules = context.rules(self.uses, self.where)
        peeled = Induction(**{**vars(self), "lemmas": (peel_last(self.variable), *self.lemmas)})
        for residual in equation.residuals():
            base = residual.subs(self.variable, self.start)
            peeled.require_zero(base, context, f"the base at {self.variable} = {self.start}", {**rules, **self.initial})
        for residual in equation.residuals():
            self.step(peeled, equation, residual, context, rules)
        return f"base and step proved, {self.brute_force(equation, context, rules)}"

    def sequences(self, equation: Equation) -> dict[Expression, Expression]:
        """The hypothesis f(n) → rhs for each left-hand side that is a sequence at n."""
        n = self.variable
        return {lhs: rhs for lhs, rhs in equation.pairs() if isinstance(lhs, AppliedUndef) and lhs.args == (n,)}

    def recurrences(self, context: Context) -> dict[Expression, Expression]:
        return {lhs: rhs for label in self.recurrence for lhs, rhs in context.equation(label).pairs()}

    def step(
        self, peeled: Induction, equation: Equation, residual: Expression, context: Context, rules: Definitions
    ) -> None:
        n, hypothesis = self.variable, self.sequences(equation)
        following = substitute(residual.subs(n, n + 1), self.recurrences(context))
        following = following.xreplace(hypothesis) if hypothesis else following - self.multiplier * residual
        peeled.require_zero(following, context, f"the step from {n} to {n} + 1", rules)

    def brute_force(self, equation: Equation, context: Context, rules: Definitions) -> str:
        n = self.variable
        sides = [tuple(substitute(side, rules) for side in pair) for pair in equation.pairs()]
        recurrences = {lhs: substitute(rhs, rules) for lhs, rhs in self.recurrences(context).items()}
        occurring = [*(x for pair in sides for x in pair), *recurrences.values(), *self.initial.values()]
        points = list(context.assumptions.covering(occurring).points(SPOT_POINTS, seed=2))
        if not points:
            raise Failure("no sampled point satisfies the assumptions")
        for point in points:
            running = self.running(point, recurrences)
            for k in BRUTE_FORCE_STEPS:
                for lhs, rhs in sides:
                    self.compare(lhs, rhs, {**running, n: self.start + k})
        return f"and equal at {n} = {self.start} … {self.start + BRUTE_FORCE_STEPS[-1]} by brute force"

    def compare(self, lhs: Expression, rhs: Expression, point: Point) -> None:
        try:
            values = evaluate(lhs, point), evaluate(rhs, point)
        except EvaluationError as error:
            raise Failure(f"brute force: {error}") from None
        if not agree(*values):
            raise Failure(f"brute force differs at {self.variable} = {point[self.variable]}", values[0] - values[1])

    def running(self, point: Point, recurrences: Mapping[Expression, Expression]) -> dict[Any, Any]:
        """The point with each sequence replaced by a function that runs its recurrence from the initial value."""
        running = dict(point)
        for call, rhs in recurrences.items():
            if call in self.initial or not isinstance(call, AppliedUndef):
                continue
            first = next((v for k, v in self.initial.items() if k.func == call.func), None)
            if first is None:
                raise Failure(f"initial has no value for {call.func}({self.start})")
            running[call.func] = self.sequence(rhs, first, running)
        return running

    def sequence(self, rhs: Expression, first: Expression, point: Point) -> Callable[[int], Number]:
        known: dict[int, Number] = {}

        def value(k: int) -> Number:
            if k not in known:
                known[k] = evaluate(first, point) if k == self.start else evaluate(rhs, {**point, self.variable: k - 1})
            return known[k]

        return value


@dataclass(frozen=True, kw_only=True)
class Antidifference(Check):
    """Σ_{i=m}^{n} f = F(n+1) − F(m), for a certificate F with F(i+1) − F(i) = f(i); lhs is the sum itself."""

    certificate: Expression

    kind = "telescoping sum"

    def prove(self, equation: Equation, context: Context) -> str:
        total, rhs = next(equation.pairs())
        if not isinstance(total, sp.Sum) or len(total.limits) != 1 or len(list(equation.pairs())) != 1:
            raise Failure(f"lhs must be one sum over one index, got {total}")
        index, low, high = total.limits[0]
        if not nonnegative(sp.expand(high - low + 1), ()):
            raise Failure(f"the sum may run backwards: {high} − {low} + 1 is not known to be ≥ 0")
        at = sp.sympify(self.certificate)
        self.require_zero(at.subs(index, index + 1) - at - total.function, context, "F(i+1) − F(i) − f(i)")
        self.require_zero(at.subs(index, high + 1) - at.subs(index, low) - rhs, context, "F(n+1) − F(m) − rhs")
        rules = context.rules(self.uses, self.where)
        tried = spot_check(equation, context, rules)
        return f"telescopes with F({index}) = {self.certificate}, and equal at {tried} sampled points"


@dataclass(frozen=True, kw_only=True)
class Antiderivative(Check):
    """∫_p^q f = F(q) − F(p), for a certificate F with F' = f; lhs is the integral itself."""

    certificate: Expression

    kind = "integral"

    def prove(self, equation: Equation, context: Context) -> str:
        integral, rhs = next(equation.pairs())
        if not isinstance(integral, sp.Integral) or len(integral.limits) != 1 or len(integral.limits[0]) != 3:
            raise Failure(f"lhs must be one definite integral over one variable, got {integral}")
        variable, low, high = integral.limits[0]
        at = sp.sympify(self.certificate)
        self.require_zero(sp.diff(at, variable) - integral.function, context, "F' − f")
        self.require_zero(at.subs(variable, high) - at.subs(variable, low) - rhs, context, "F(q) − F(p) − rhs")
        rules = context.rules(self.uses, self.where)
        tried = spot_check(equation, context, rules)  # nothing else here would notice a pole between the ends
        return f"F({variable}) = {self.certificate}, and equal at {tried} sampled points"
