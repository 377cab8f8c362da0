"""Derivations as LaTeX, Markdown and plain text: numbered steps, each with its equation, its reason and its check."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter

from .equations import Equation, Expression

if TYPE_CHECKING:
    from .derivation import Derivation

WIDTH = 100


class PaperPrinter(LatexPrinter):  # type: ignore[misc]
    """LaTeX with sequences as the papers write them: η_t for eta(t), P_{i,t} for P(i, t)."""

    def _print_Function(self, expr: Expression, exp: Any = None) -> str:
        if not isinstance(expr, AppliedUndef):
            return str(super()._print_Function(expr, exp))
        indices = ", ".join(map(self._print, expr.args))
        name = self._print(sp.Symbol(expr.func.__name__))
        call = f"{name}_{{{indices}}}" if "_" not in name else f"{{{name}}}_{{{indices}}}"
        return call if exp is None else f"{{{call}}}^{{{exp}}}"


def in_latex(expression: Expression) -> str:
    return str(PaperPrinter({"fold_short_frac": False}).doprint(expression))


def equation_latex(equation: Equation, join: str = "=") -> str:
    return r" \\ ".join(f"{in_latex(lhs)} {join} {in_latex(rhs)}" for lhs, rhs in equation.pairs())


def latex(derivation: Derivation) -> str:
    lines = [
        rf"{equation_latex(step.displayed, '&=')} \tag{{{number}}}".replace(r" \\ ", rf" \notag \\{chr(10)}")
        for number, step in enumerate(derivation.steps, 1)
    ]
    return "\\begin{align}\n" + " \\\\\n".join(lines) + "\n\\end{align}"


def markdown(derivation: Derivation) -> str:
    found = derivation.verification
    parts = [f"## {derivation.title}", derivation.statement]
    parts.append("Assumptions: " + "; ".join(derivation.assumptions.words()) + ".")
    if derivation.definitions:
        parts.append(
            "where " + ", ".join(f"${in_latex(k)} = {in_latex(v)}$" for k, v in derivation.definitions.items())
        )
    for number, (step, line) in enumerate(zip(derivation.steps, found.steps, strict=True), 1):
        equation = equation_latex(step.displayed).replace(r" \\ ", r",\quad ")
        parts.append(
            f"**{number}. {step.label}.** {step.reason}\n\n$$ {equation} $$\n\n"
            f"*{verdict(line.outcome)}*: {step.check.words()}"
        )
    parts += [f"Results: {results(derivation)}", f"Source: {derivation.source}"]
    if derivation.corrects:
        parts.append(f"Corrects: {derivation.corrects}")
    return "\n\n".join(parts)


def text(derivation: Derivation) -> str:
    found = derivation.verification
    lines = [derivation.title, "", *textwrap.wrap(derivation.statement, WIDTH), "", "Assumptions:"]
    lines += [f"  {words}" for words in derivation.assumptions.words()]
    if derivation.definitions:
        lines += ["where"]
        lines += [block(Equation(key, value)) for key, value in derivation.definitions.items()]
    for number, (step, line) in enumerate(zip(derivation.steps, found.steps, strict=True), 1):
        lines += ["", *textwrap.wrap(f"{number}. {step.label}: {step.reason}", WIDTH, subsequent_indent="   ")]
        lines += [block(step.displayed), f"   {verdict(line.outcome)}: {step.check.words()}"]
        if not line.outcome:
            lines.append(f"   {line.outcome.detail}; residual {line.outcome.residual}")
    lines += ["", f"Results: {results(derivation)}", f"Source: {derivation.source}"]
    if derivation.corrects:
        lines.append(f"Corrects: {derivation.corrects}")
    return "\n".join([*lines, "", str(found)])


def results(derivation: Derivation) -> str:
    numbers = {step.label: number for number, step in enumerate(derivation.steps, 1)}
    return ", ".join(f"{name} ({numbers[label]})" for name, label in derivation.results.items())


def verdict(outcome: object) -> str:
    return "checked" if outcome else "FAILED"


def block(equation: Equation) -> str:
    shown = "\n".join(
        sp.pretty(sp.Eq(lhs, rhs, evaluate=False), use_unicode=True, wrap_line=False) for lhs, rhs in equation.pairs()
    )
    return textwrap.indent(shown, "      ")
