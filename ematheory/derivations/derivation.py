"""A derivation: numbered equations, each with a reason and a check that runs, and results compared with brute force."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import mpmath

from ..records import check_choice
from .assumptions import Assumptions
from .checks import Check, Context, Identity, Outcome
from .equations import Definitions, Equation, Expression, as_equation, substitute
from .evaluation import DIGITS, EvaluationError, Number, Point, agree, evaluate
from .numeric import NumericFunction

BRUTE_FORCE_POINTS = 5


@dataclass(frozen=True)
class Step:
    """An equation, why it holds, and the check that decides whether it does. Other steps refer to it by `label`.

    `shown` is the left-hand side as a reader should see it where SymPy has evaluated it on construction: a form such as
    `sp.Subs` whose `doit()` is the left-hand side, which the verification checks too.
    """

    label: str
    equation: Equation
    reason: str
    check: Check
    shown: Expression | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "equation", as_equation(self.equation))

    @property
    def displayed(self) -> Equation:
        """The equation with its left-hand side as shown."""
        return self.equation if self.shown is None else Equation(self.shown, self.equation.rhs)

    def run(self, context: Context) -> Outcome:
        """The check's outcome; a form shown that is not the left-hand side fails as well."""
        outcome = self.check.run(self.equation, context)
        if not outcome or self.shown is None:
            return outcome
        evaluated = Equation(self.shown.doit(), self.equation.lhs)
        same = Identity(where=self.check.where).run(evaluated, context)
        return outcome if same else replace(same, detail=f"the form shown is not the left-hand side: {same.detail}")


@dataclass(frozen=True)
class Brute:
    """What a brute-force run gives: the claimed quantity, and values that the result's atoms take in that run."""

    value: Number
    bindings: Point = field(default_factory=dict)


@dataclass(frozen=True)
class StepOutcome:
    """One line of a verification."""

    label: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class ResultOutcome:
    """A result against brute force: how many points agreed, and what went wrong (nothing, when empty)."""

    name: str
    points: int
    problem: str
    seconds: float

    def __bool__(self) -> bool:
        return self.points > 0 and not self.problem


@dataclass(frozen=True)
class Verification:
    """What `Derivation.verify` found; true only when every step and every result passed."""

    name: str
    steps: tuple[StepOutcome, ...]
    results: tuple[ResultOutcome, ...]

    def __bool__(self) -> bool:
        return all(step.outcome for step in self.steps) and all(self.results)

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps) + sum(result.seconds for result in self.results)

    def problems(self) -> list[str]:
        """One line for each step or result that failed: which, why and the residual."""
        failed = [
            f"step {n} ({line.label}): {line.outcome.detail}; residual {line.outcome.residual}"
            for n, line in enumerate(self.steps, 1)
            if not line.outcome
        ]
        return failed + [f"result {line.name}: {line.problem}" for line in self.results if not line]

    def __str__(self) -> str:
        points = sum(line.points for line in self.results)
        head = f"{self.name}: {len(self.steps)} steps, {len(self.results)} results at {points} brute-force points"
        return "\n".join([f"{head}: {'verified' if self else 'NOT verified'}", *self.problems()])


@dataclass(frozen=True, eq=False)
class Derivation:
    """A chain of checked equations from an optimizer's own update to results.

    Parameters
    ----------
    name, title, statement, source : the registry's name, a heading, what is claimed in words, where it is stated.
    assumptions : the domains of the symbols and sequences, and relations among them.
    steps : in order; a check may use the steps before its own.
    results : name of each result → label of the step whose right-hand side it is. The first is `result`.
    brute_force : name of each result → function of a sampled point (symbols and sequences with exact values) that
        computes the claimed quantity by running, and returns a number or a `Brute`.
    definitions : what atoms stand for, applied in every check: symbols, or functions f(i, t) of distinct symbols.
    arguments : symbols of the results → whole words, the keywords of `.function()`.
    corrects : what in the source or in common use this derivation contradicts, if anything.

    Raises
    ------
    ValueError : two steps with one label, a check that uses a step that is not before it, no result, or one that is
        not a step or has no brute force.
    """

    name: str
    title: str
    statement: str
    assumptions: Assumptions
    steps: tuple[Step, ...]
    results: Mapping[str, str]
    brute_force: Mapping[str, Callable[[Point], Number | Brute]]
    source: str
    definitions: Definitions = field(default_factory=dict)
    arguments: Mapping[Any, str] = field(default_factory=dict)
    corrects: str | None = None

    def __post_init__(self) -> None:
        before: list[str] = []
        for step in self.steps:
            if step.label in before:
                raise ValueError(f"{self.name}: two steps are called {step.label!r}")
            for used in step.check.needs():
                if used not in before:
                    raise ValueError(f"{self.name}: step {step.label!r} uses {used!r}, which is not before it")
            before.append(step.label)
        if not self.results:
            raise ValueError(f"{self.name}: give at least one result, or nothing would meet brute force")
        for name, label in self.results.items():
            check_choice(f"the step of result {name!r}", label, before)
            if name not in self.brute_force:
                raise ValueError(f"{self.name}: result {name!r} has no brute force")

    @property
    def result(self) -> Equation:
        """The first result's equation."""
        return self.result_equation(next(iter(self.results)))

    def result_equation(self, name: str) -> Equation:
        """The equation that states a result. Raises `ValueError` listing the known names."""
        check_choice("result", name, self.results)
        return self.step(self.results[name]).equation

    def step(self, label: str) -> Step:
        check_choice("step", label, [step.label for step in self.steps])
        return next(step for step in self.steps if step.label == label)

    def with_step(self, number: int, equation: Equation | Expression) -> Derivation:
        """A copy whose step `number` (from 0) has another equation, for tests that break it on purpose."""
        steps = list(self.steps)
        steps[number] = replace(steps[number], equation=as_equation(equation))
        return replace(self, steps=tuple(steps))

    def check_step(self, number: int) -> Outcome:
        """Run the check of step `number` (from 0) alone."""
        step = self.steps[number]
        earlier = {before.label: before.equation for before in self.steps[:number]}
        return step.run(Context(self.known(), self.definitions, earlier))

    def known(self) -> Assumptions:
        """The assumptions with domains for every symbol and sequence that occurs."""
        sides = [side for step in self.steps for pair in step.equation.pairs() for side in pair]
        return self.assumptions.covering([*sides, *self.definitions.values()])

    def check_result(self, name: str, points: int = BRUTE_FORCE_POINTS, seed: int = 0) -> ResultOutcome:
        """Evaluate a result at sampled points against its brute force."""
        start, tried, problem = time.perf_counter(), 0, ""
        claimed = substitute(self.result_equation(name).rhs, self.definitions)
        for point in self.known().points(points, seed):
            problem = self.disagreement(claimed, self.brute_force[name], point)
            if problem:
                break
            tried += 1
        if not tried and not problem:
            problem = "vacuous: no sampled point satisfies the assumptions"
        return ResultOutcome(name, tried, problem, time.perf_counter() - start)

    def disagreement(self, claimed: Expression, run: Callable[[Point], Number | Brute], point: Point) -> str:
        """Why the claim differs from brute force at the point; empty when they agree."""
        with mpmath.workdps(DIGITS):
            found = run(point)
        brute = found if isinstance(found, Brute) else Brute(found)
        try:
            value = evaluate(claimed, {**point, **brute.bindings})
        except EvaluationError as error:
            return f"no value at {shown(point)}: {error}"
        if agree(value, brute.value):
            return ""
        return f"{mpmath.nstr(value, 15)} against {mpmath.nstr(brute.value, 15)} by brute force at {shown(point)}"

    def verify(self, points: int = BRUTE_FORCE_POINTS, seed: int = 0) -> Verification:
        """Run every step's check and compare every result with brute force at `points` sampled points.

        The answer is true only when all passed; `str()` of it names each failing step with its residual. A result
        whose assumptions no sampled point satisfies is vacuous, and fails.
        """
        lines = []
        for number, step in enumerate(self.steps):
            start = time.perf_counter()
            lines.append(StepOutcome(step.label, self.check_step(number), time.perf_counter() - start))
        return Verification(self.name, tuple(lines), tuple(self.check_result(n, points, seed) for n in self.results))

    @cached_property
    def verification(self) -> Verification:
        """`verify()` with its defaults, run once."""
        return self.verify()

    def function(self, name: str | None = None) -> NumericFunction:
        """The numeric form of a result (the first by default), made when first called; arguments by keyword.

        Raises `ValueError` for an unknown result and for one that contains more than the declared arguments.
        """
        name = next(iter(self.results)) if name is None else name
        known = self.__dict__.setdefault("_functions", {})
        if name not in known:
            form = self.numeric_form(name)
            assumed = self.assumptions.covering([form]).concerning(set(form.free_symbols))
            known[name] = NumericFunction(f"{self.name}.{name}", form, dict(self.arguments), assumed)
        return known[name]  # type: ignore[no-any-return]

    def numeric_form(self, name: str) -> Expression:
        return substitute(self.result_equation(name).rhs, self.definitions)

    def functions(self) -> Iterator[str]:
        """The names of the results that have a numeric form."""
        for name in self.results:
            if NumericFunction.possible(self.numeric_form(name), self.arguments):
                yield name

    def oracle(self, name: str | None = None, *, plain: bool = False, **values: float) -> Any:
        """The result's value to 60 digits at exactly these float64 inputs, as an mpmath number.

        `plain` evaluates the left-hand side of the result's step instead of its numerically stable right-hand side.
        """
        name = next(iter(self.results)) if name is None else name
        side = self.result_equation(name).lhs if plain else self.result_equation(name).rhs
        form = NumericFunction(f"{self.name}.{name}", substitute(side, self.definitions), dict(self.arguments))
        return form.oracle(**values)

    def allows(self, values: Mapping[str, float]) -> bool:
        """Whether numbers, by their words, satisfy the domains and relations that concern them alone."""
        symbols = {word: symbol for symbol, word in self.arguments.items()}
        return self.assumptions.allow({symbols[word]: value for word, value in values.items()})

    def latex(self) -> str:
        """The numbered equations as a LaTeX align environment."""
        from .rendering import latex

        return latex(self)

    def markdown(self) -> str:
        """Statement, assumptions, numbered steps with reasons and outcomes, and source, for notebooks and pages."""
        from .rendering import markdown

        return markdown(self)

    def text(self) -> str:
        """The same for a terminal; each step says “checked” only when its check has just passed."""
        from .rendering import text

        return text(self)

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_latex_(self) -> str:
        return self.latex()

    def __repr__(self) -> str:
        return f"Derivation({self.name!r}, {len(self.steps)} steps)"


def shown(point: Point) -> str:
    """The point's symbols with their values; sequences are left out."""
    return ", ".join(f"{symbol} = {value}" for symbol, value in point.items() if not callable(value))
