"""Writes csrc/core/generated.h: ``python -m ematheory.simulation.engine_tracing PATH``."""

from __future__ import annotations

import sys
from typing import Any

from .. import optimizers, problems
from . import coupled_tracing
from .tracing import FOOTER, HEADER, main, optimizer_struct, problem_struct, section, variants


def generated() -> str:
    """The text of csrc/core/generated.h: the separable records of each kind, then those that couple coordinates."""
    kinds: dict[str, tuple[Any, Any, Any]] = {
        "optimizers": (optimizers, optimizer_struct, coupled_tracing.optimizer_struct),
        "problems": (problems, problem_struct, coupled_tracing.problem_struct),
    }
    parts = [HEADER.format(origin="ematheory/optimizers/ and ematheory/problems/"), PASS]
    for namespace, (module, separable, coupled) in kinds.items():
        own = {name: separable(name, record) for name, record in variants(module.RECORDS)}
        others = {name: coupled(name, record) for name, record in variants(module.COUPLED)}
        parts += [section(namespace, own), "", section(namespace, others, "coupled_"), ""]
    return "\n".join([*parts, FOOTER])


PASS = """\
// Chooses the terms of one pass over a vector's coordinates.
template <int NUMBER>
struct Pass {};
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], generated, "ematheory.simulation.engine_tracing"))
