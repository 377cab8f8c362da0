"""Numeric functions made from results, their 60-digit oracle, and their error measured against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import scipy.special
import sympy as sp

from .argument_domains import ArgumentDomains, points
from .assumptions import Assumptions
from .equations import Expression
from .evaluation import DIGITS, as_real, evaluate
from .hyperbolic import shortfall_in_floats
from .sine import defect_in_floats

SMALLEST = 1e-290  # below this a function may give 0 or a denormal
LARGEST = 1e290  # beyond this it may give an infinity
PRECISION = 1e-12  # the largest relative error, times the condition number where that exceeds 1
# Functions that NumPy lacks, by their names in results.
SPECIAL = {
    "wrightomega": scipy.special.wrightomega,
    "gammainc": scipy.special.gammainc,
    "tanh_shortfall": shortfall_in_floats,
    "sine_defect": defect_in_floats,
}
NUDGE = Fraction(1, 10**15)  # relative change of an input that measures the condition number


def quotient(numerator: Expression, denominator: Expression, limit: Expression) -> Expression:
    """numerator/denominator, and `limit` where the denominator is 0, with no division by zero in either branch.

    A step with the check `Removable` proves such a form.
    """
    zero = sp.Eq(denominator, 0)
    safe = denominator + sp.Piecewise((1, zero), (0, True))  # a sum, which SymPy does not divide branch by branch
    return sp.Piecewise((limit, zero), (numerator / safe, True))


@dataclass(frozen=True)
class NumericFunction:
    """An expression as a NumPy function of keyword arguments, compiled on the first call.

    `arguments` maps symbols to the words that callers use; arrays broadcast. `assumptions` are those about its symbols
    alone. A constant is a function of no arguments.
    """

    name: str
    expression: Expression
    arguments: Mapping[Any, str] = field(default_factory=dict)
    assumptions: Assumptions = Assumptions()

    def __post_init__(self) -> None:
        if not self.possible(self.expression, self.arguments):
            left = ", ".join(sorted(map(str, self.expression.free_symbols - set(self.arguments))))
            why = f"the symbols {left}, which no argument gives" if left else "sums, sequences or several values"
            raise ValueError(f"{self.name} has no numeric form: {self.expression} contains {why}")

    @staticmethod
    def possible(expression: Expression, arguments: Mapping[Any, str]) -> bool:
        """Whether the expression is a formula in the arguments alone, or a constant."""
        opaque = (sp.Sum, sp.Product, sp.Integral, sp.Derivative, sp.Limit, sp.core.function.AppliedUndef)
        if isinstance(expression, sp.Tuple):  # not `has`: the branches of a Piecewise are tuples too
            return False
        return expression.free_symbols <= set(arguments) and not expression.has(*opaque)

    @cached_property
    def words(self) -> dict[str, Any]:
        """The keyword of each argument that the expression contains."""
        return {word: symbol for symbol, word in self.arguments.items() if symbol in self.expression.free_symbols}

    @cached_property
    def domains(self) -> ArgumentDomains:
        """Where the derivation holds, by the words that callers use."""
        names = {symbol: sp.Symbol(word, real=True) for word, symbol in self.words.items()}
        return ArgumentDomains(self.assumptions.renamed(names))

    @cached_property
    def compiled(self) -> Callable[..., Any]:
        return sp.lambdify(  # type: ignore[no-any-return]
            list(self.words.values()), self.expression, modules=[SPECIAL, "numpy"], cse=True
        )

    def check_words(self, values: Mapping[str, Any]) -> None:
        if set(values) != set(self.words):
            takes, given = (", ".join(words) or "nothing" for words in (self.words, values))
            raise TypeError(f"{self.name} takes {takes}, got {given}")

    def __call__(self, **values: Any) -> Any:
        """The value: a float for numbers, an array for arrays, which broadcast; NaN where NaN went in.

        Raises `TypeError` for other words, and `ValueError` outside the derivation's domain. The ends of an open domain
        are allowed where the value there is finite (decay 0, or no momentum); a number of steps need not be whole.
        """
        self.check_words(values)
        arrays = {word: np.asarray(values[word], dtype=np.float64) for word in self.words}
        self.domains.check(self.name, arrays)
        # An end of the domain, or a branch of a Piecewise not taken, may divide by 0: what is lost there is looked for.
        with np.errstate(under="ignore", invalid="ignore", divide="ignore"):
            found = np.asarray(self.compiled(*arrays.values()), dtype=np.float64)
        found = np.broadcast_to(found, np.broadcast_shapes(found.shape, *(a.shape for a in arrays.values())))
        if not np.all(np.isfinite(found)):
            self.check_lost(found, arrays)
        return float(found) if found.ndim == 0 else found

    def check_lost(self, found: Any, arrays: Mapping[str, Any]) -> None:
        """Raise `ValueError` at the first NaN that no NaN went into, and at the first infinity at a domain's end."""
        given = np.any([np.isnan(a) for a in np.broadcast_arrays(found, *arrays.values())[1:]], axis=0)
        lost = next(points(arrays, np.isnan(found) & ~given), None)
        if lost is None:
            at_end = self.domains.failing(arrays, limits=True, where=np.isinf(found))
            lost = None if at_end is None else at_end[1]
        if lost is not None:
            seen = ", ".join(f"{word} = {value:g}" for word, value in lost.items())
            needs = f"; it needs {self.domains}" if str(self.domains) else ""
            raise ValueError(f"{self.name} has no value at {seen}{needs}")

    def oracle(self, **values: Any) -> Any:
        """The value to 60 digits at exactly the given numbers."""
        self.check_words(values)
        return as_real(evaluate(self.expression, {symbol: values[word] for word, symbol in self.words.items()}))

    def condition(self, **values: float) -> Any:
        """κ = Σ |x ∂f/∂x|/|f| over the inputs, by 60-digit central differences."""
        with mpmath.workdps(DIGITS):
            total, value = mpmath.mpf(0), self.oracle(**values)
            for word, x in values.items():
                up, down = (self.oracle(**{**values, word: Fraction(x) * (1 + d)}) for d in (NUDGE, -NUDGE))
                total += abs((up - down) / (2 * as_real(NUDGE)))
            return total / abs(value) if value else mpmath.mpf(0)

    def relative_error(self, **values: float) -> tuple[float, float]:
        """(|f − oracle|/|oracle|, κ) at these inputs.

        (0, 0) where oracle and value are both below 1e-290, and where an infinity stands for an oracle beyond 1e290.
        """
        with mpmath.workdps(DIGITS):
            exact, found = self.oracle(**values), self(**values)
            if abs(exact) < SMALLEST and abs(found) < SMALLEST:
                return 0.0, 0.0
            if np.isinf(found) and abs(exact) > LARGEST and (found > 0) == (exact > 0):
                return 0.0, 0.0
            error = abs(mpmath.mpf(found) - exact) / abs(exact) if exact else mpmath.inf
            return float(error), float(self.condition(**values))

    def excess(self, **values: float) -> float:
        """The relative error as a share of what the Formula contract allows, 1e-12·max(1, κ): at most 1."""
        error, condition = self.relative_error(**values)
        return error / (PRECISION * max(1.0, condition))
