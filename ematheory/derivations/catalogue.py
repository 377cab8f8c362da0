"""The catalogue of derivations as a page: name, statement, assumptions, results, source, and what each corrects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import derive, names
from .rendering import equation_latex

if TYPE_CHECKING:
    from .derivation import Derivation

HEAD = """\
# Derivations

Every derivation that `ematheory derive NAME` prints with its steps, each checked by machine when it is printed.
Made by `ematheory derive --catalogue > papers/derivations.md`; a test checks that it is current.
"""


def catalogue() -> str:
    """The page as Markdown; nothing is verified for it."""
    chosen = [derive(name) for name in names()]
    rows = "\n".join(f"| [{d.name}](#{d.name}) | {d.title} | {'yes' if d.corrects else ''} |" for d in chosen)
    table = f"| name | title | corrects something |\n| --- | --- | --- |\n{rows}"
    return "\n\n".join([HEAD.rstrip(), table, *map(entry, chosen)]) + "\n"


def entry(derivation: Derivation) -> str:
    results = [
        f"* `{name}`: $ {equation_latex(derivation.result_equation(name))} $".replace(r" \\ ", r",\; ")
        for name in derivation.results
    ]
    parts = [
        f"## {derivation.name}",
        f"**{derivation.title}.** {derivation.statement}",
        "Assumptions: " + "; ".join(derivation.assumptions.words()) + ".",
        "Results:\n\n" + "\n".join(results),
        f"Source: {derivation.source}.",
    ]
    if derivation.corrects:
        parts.append(f"Corrects: {derivation.corrects}.")
    return "\n\n".join(parts)
