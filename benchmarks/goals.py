"""What the benchmark is to show, and whether it does."""

from __future__ import annotations

from typing import Any

ENGINE = "ematheory engine"
# The rate at few cells counts as full from this share of the rate at 10⁴ coordinates, on one thread.
FULL = 0.9


def ratio(rates: dict[str, float], ours: str, *beginnings: str) -> float:
    """Our rate over the fastest of those whose names begin so; NaN where none ran."""
    others = [rate for name, rate in rates.items() if name.startswith(beginnings)]
    return rates.get(ours, float("nan")) / max(others, default=float("nan"))


def at_equal_size(rates: dict[str, float]) -> float:
    here = {name: rate for name, rate in rates.items() if name.endswith("512 replicas")}
    return ratio(here, f"{ENGINE}, 512 replicas", "JAX")


def goals(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Each goal: in words, what was measured, what is wanted, and whether that is met."""
    rates = {name: one["rate"] for name, one in found["contenders"].items()}
    jax_and_torch = tuple(name for name in rates if name.startswith(("JAX scan", "torch")))
    few = {
        axis: min(row.values()) / found["few_cells"]["coordinates"]["10000"] for axis, row in found["few_cells"].items()
    }
    rows = [
        ("the faster of JAX and torch, times (aim 9)", ratio(rates, ENGINE, *jax_and_torch), 7),
        ("NumPy in place, times", ratio(rates, ENGINE, "NumPy"), 20),
        ("Numba with its own generator, times", ratio(rates, ENGINE, "Numba"), 20),
        ("JAX at an equal 10⁴ × 512, times", at_equal_size(rates), 10),
        ("JAX with AVX2 forced, times, both on AVX2", ratio(rates, f"{ENGINE}, AVX2", "JAX AVX2"), 3),
        ("JAX in float64, times", ratio(rates, f"{ENGINE}, float64", "JAX float64"), 12),
        ("share of 1/(1/update + 1/noise)", found["limits"]["share"], 0.85),
        ("all threads against one, times", found["threads"]["gain"], 1.8),
        *((f"rate from 64 cells on along {axis}, share of the full", share, FULL) for axis, share in few.items()),
        *((f"{name}, share of the separable rate", share, 0.6) for name, share in found["coupled"]["shares"].items()),
    ]
    judged = [
        {"goal": goal, "measured": seen, "at_least": wanted, "is_met": seen >= wanted} for goal, seen, wanted in rows
    ]
    most = [
        ("a least call, seconds", found["least_call"], 0.005),
        *((f"Ctrl-C on the {backend} backend, seconds", spent, 0.5) for backend, spent in found["interrupt"].items()),
    ]
    return [
        *judged,
        *({"goal": goal, "measured": seen, "at_most": limit, "is_met": seen <= limit} for goal, seen, limit in most),
    ]
