"""AdamW on a noisy quadratic of 10⁴ coordinates with a cosine schedule: this engine beside JAX, torch, Numba and NumPy.

Goals (goals.py): 7 times the faster of JAX and torch, 20 times NumPy in place and Numba, 10 times JAX at an equal
10⁴ × 512, 3 times JAX where both have AVX2 only, 12 times JAX in float64; 85 % of 1/(1/update + 1/noise); 1.8 times one
thread on two; the full rate from 64 cells on along any axis; 60 % of it on coupled vectors; 5 ms for the least call,
half a second for Ctrl-C.

Every contender is measured at each of its thread counts, wait policies and sizes, then at its best in turns with the
others; the table shows medians. Rates are particle-steps per second: one coordinate of one replica, one update. It
takes under ten minutes, refuses to start where other processes are busy (``--force`` measures all the same), prints a
table, and writes DATE-noisy-quadratic.json, .md and .png to ``--out``; where that is results/, the README's table too.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import figure
import interrupt
import limits
import machine
import shapes
import table
from goals import goals
from race import available, race

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"


def timed(what: str, measure: Callable[[], Any]) -> Any:
    start = time.monotonic()
    found = measure()
    print(f"{what}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return found


def measured(names: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    return {
        "limits": timed("limits", limits.measure),
        "threads": timed("threads", shapes.threads),
        "few_cells": timed("few cells", shapes.few_cells),
        "coupled": timed("coupled vectors", shapes.coupled),
        "linear_cost": timed("linear cost", shapes.linear_cost),
        "interrupt": timed("Ctrl-C", interrupt.measure),
        "least_call": timed("least call", shapes.least_call),
        "contenders": timed("contenders", lambda: race(names, rounds, seconds)),
    }


def write(found: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{found['date'][:10]}-noisy-quadratic"
    stem.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(table.page(found), encoding="utf-8")
    figure.draw(found, stem.with_suffix(".png"))
    print(f"written: {stem}.json, .md, .png", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder for the record (default: results)")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each contender (default 7)")
    parser.add_argument("--seconds", type=float, default=0.4, help="of each measurement (default 0.4)")
    parser.add_argument("--only", nargs="*", default=[""], help="contenders whose names begin so")
    parser.add_argument("--force", action="store_true", help="measure although other processes are busy")
    given = parser.parse_args()
    busy = machine.refuse_if_busy(given.force)
    names = [name for name in available() if name.startswith(("ematheory engine", *given.only))]
    found = measured(names, given.rounds, given.seconds)
    about = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *sys.argv]),
        **machine.about(),
        "busy_before": busy,
        "busy_after": machine.busy_share(),
    }
    found = {**about, "goals": goals(found), **found}
    print(table.page(found))
    write(found, given.out)
    if given.out == RESULTS:
        README.write_text(table.in_readme(README.read_text("utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
