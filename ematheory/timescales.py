"""Timescales: the EMA coefficients of any schedule, and what a recipe's decay means in steps, epochs and samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import xarray as xr

from .derivations import derive
from .recipes import Recipe
from .records import NON_NEGATIVE, Grid, Interval, as_number_array, check_values, check_whole, grid
from .running_products import joined, one_minus, ones, running_product, scaled_product
from .schedules import Schedule
from .typing import FloatArray

# A number, or one per point of the recipe's sweep axes.
Number: TypeAlias = float | xr.DataArray

# Runs of up to this many steps are summed step by step, longer ones take the continuous limit on a grid of this size.
DISCRETE_STEPS, CONTINUOUS_CELLS = 2**21, 2**18


def ema_coefficients(lr: Any, weight_decay: Any) -> tuple[float, FloatArray]:
    """The share of the initial weight and of each q_t in AdamW's last weight, w_T = initial·w_0 + Σ coefficients·q.

    With α_t = η_t λ_t the decay per step and q_t = −u_t/λ_t, coefficient i is α_i Π_{j>i}(1 − α_j) and `initial` is
    Π(1 − α_j) (arXiv 2405.13698; THEORY.md E2); together they sum to 1. The products are taken in double-double, so
    each number is right to about 2 ulp however long the run, 0 or a denormal where it is too small for a float64.

    Parameters
    ----------
    lr, weight_decay : η_t and λ_t (per-LR decay, as torch.optim.AdamW), shape (T,); one of them may be a number.

    Raises
    ------
    ValueError : negative or not finite, shapes that differ, or α_t ≥ 1, where no average is left to speak of.
    TypeError : not numbers.

    Example
    -------
    >>> initial, coefficients = ema_coefficients([0.5, 0.5, 0.25], 1.0)
    >>> initial, coefficients
    (0.1875, array([0.1875, 0.375 , 0.25  ]))
    """
    rates, decays = checked_rates(lr, weight_decay)
    alpha = scaled_product(rates, decays)
    kept = one_minus(alpha)
    refuse_large_decay(rates * decays, kept.high <= 0)
    after = joined(ones(1), running_product(kept[::-1]))
    coefficients = (alpha * after[:-1][::-1]).rounded()
    return float(after[-1:].rounded()[0]), coefficients


def checked_rates(lr: Any, weight_decay: Any) -> tuple[FloatArray, FloatArray]:
    """η_t and λ_t as two arrays of shape (T,)."""
    arrays = {"lr": as_number_array("lr", lr), "weight_decay": as_number_array("weight_decay", weight_decay)}
    for name, array in arrays.items():
        if array.ndim > 1:
            raise ValueError(f"{name} must be a number or an array of shape (T,), got shape {array.shape}")
        check_values(name, array, NON_NEGATIVE)
    rates, decays = arrays.values()
    if not rates.ndim and not decays.ndim:
        raise ValueError("give lr or weight_decay as an array of T values, one per step; got two numbers")
    if rates.ndim and decays.ndim and rates.shape != decays.shape:
        raise ValueError(f"lr and weight_decay must have one length, got {len(rates)} and {len(decays)} steps")
    if not max(rates.size * rates.ndim, decays.size * decays.ndim):
        raise ValueError("lr and weight_decay need at least one step, got none")
    first, second = np.broadcast_arrays(rates, decays)
    return first, second


def refuse_large_decay(alpha: FloatArray, too_large: Any) -> None:
    if too_large.any():
        step = int(np.argmax(too_large))
        raise ValueError(
            f"lr·weight_decay must be below 1 at every step for the weights to be an average, got {alpha[step]} at "
            f"step {step + 1}"
        )


@dataclass(frozen=True)
class Horizon:
    """One reading of a timescale. Every number is a float, or a DataArray over the recipe's sweep axes.

    steps : the timescale τ in steps.
    epochs : τ in passes over the data set, τ·batch_size/dataset_size.
    samples : τ in the recipe's unit (tokens or samples), τ·batch_size.
    run_fraction : τ as a share of the run, τ/T.
    half_life_steps : how many of the last steps hold half of the last weight; over the schedule infinite when more
        than half of the initial weight is left.
    effective_sample_size : (Σc)²/Σc² of the updates' coefficients c, without the initial weight: how many updates the
        last weight averages.
    initial_weight_left : the share of the initial weight in the last, Π(1 − α_t).
    """

    steps: Number
    epochs: Number
    samples: Number
    run_fraction: Number
    half_life_steps: Number
    effective_sample_size: Number
    initial_weight_left: Number

    def rows(self, unit: str) -> list[tuple[str, Number]]:
        """Each number with its name and unit in words, for printing."""
        return [
            ("timescale, steps", self.steps),
            ("timescale, epochs", self.epochs),
            (f"timescale, {unit}", self.samples),
            ("timescale, share of the run", self.run_fraction),
            ("half-life, steps", self.half_life_steps),
            ("effective sample size, updates", self.effective_sample_size),
            ("initial weight left, share", self.initial_weight_left),
        ]


@dataclass(frozen=True)
class Timescale:
    """What a recipe's decay averages over: `peak`, at the peak rate throughout, and `schedule`, over its own schedule.

    unit : of `samples`, the recipe's.
    run_steps : T, the steps of the run.
    """

    peak: Horizon
    schedule: Horizon
    unit: str
    run_steps: Number

    def __str__(self) -> str:
        lines = [f"{'':32}{'at the peak':>14}{'over the schedule':>20}"]
        for (name, peak), (_, over) in zip(self.peak.rows(self.unit), self.schedule.rows(self.unit), strict=True):
            lines.append(f"{name:32}{shown(peak):>14}{shown(over):>20}")
        return "\n".join(lines)


def shown(value: Number) -> str:
    if isinstance(value, xr.DataArray):
        return ", ".join(map(number_text, value.values.ravel()))
    return number_text(value)


def number_text(value: float) -> str:
    return f"{value:,.1f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def timescale(recipe: Recipe) -> Timescale:
    """The timescale of a recipe at its peak rate and over its schedule; call it as `recipe.timescale()`.

    At the peak, τ = 1/(ηλ) steps, and the constant-rate closed forms (THEORY.md E3) for a run of T steps.
    Over the schedule, τ = T/Σ α_t, the timescale at the mean rate, so that initial_weight_left ≈ e^{−1/run_fraction};
    the other numbers come from the coefficients c_t of a run of T steps (rounded to whole steps), as `ema_coefficients`
    gives them but to nine digits only, or, beyond 2²¹ steps, from their continuous limit (E5), whose relative error is
    O(α). Without decay every
    time is infinite, nothing of the initial weight is lost, and the effective sample size is its limit (Ση)²/Ση².

    Raises
    ------
    ValueError : lr·weight_decay ≥ 1, where no average is left to speak of; a warm-up longer than the run.
    """
    over = grid(recipe)
    lr, decay, batch, data, epochs = (
        over.flat(getattr(recipe, name)) for name in ("lr", "weight_decay", "batch_size", "dataset_size", "epochs")
    )
    alpha, per_epoch = lr * decay, data / batch
    steps = epochs * per_epoch
    refuse_large_rate(lr, decay)
    at_peak = constant_rate(lr, decay, steps)
    scheduled = [over_schedule(recipe.schedule, a, t) for a, t in zip(alpha, steps, strict=True)]
    return Timescale(
        horizon(at_peak, per_epoch, batch, steps, over),
        horizon(Kernel(*map(np.array, zip(*scheduled, strict=True))), per_epoch, batch, steps, over),
        recipe.unit,
        folded(steps, over),
    )


def kernel_shares(recipe: Recipe, bins: int = 60) -> tuple[float, FloatArray]:
    """The share of the initial weight in the last, and that of the updates of each of `bins` equal parts of the run.

    They sum to 1. Runs of up to 2²¹ steps are summed step by step (a part is the steps k with (k − ½)/T in it), longer
    ones take the continuous limit (E5).

    Raises
    ------
    ValueError : lr·weight_decay ≥ 1, no decay at all, a warm-up longer than the run.
    TypeError : a recipe with sweep axes, `bins` that is no whole number.

    Example
    -------
    >>> initial, shares = kernel_shares(Recipe(lr=0.5, weight_decay=1.0, batch_size=1, dataset_size=2), bins=2)
    >>> initial, shares
    (0.25, array([0.25, 0.5 ]))
    """
    check_whole("bins", bins, Interval(1))
    lr, decay = recipe.lr, recipe.weight_decay
    if not (isinstance(lr, float) and isinstance(decay, float) and isinstance(recipe.steps, float)):
        raise TypeError("a kernel is drawn for one recipe, not for one with sweep axes; take a point of it")
    refuse_large_rate(np.array([lr]), np.array([decay]))
    if decay == 0:
        raise ValueError("without weight decay the weights are a sum of updates, not an average: there is no kernel")
    whole = max(1, round(recipe.steps))
    edges = np.arange(bins + 1) / bins
    if whole > DISCRETE_STEPS:
        remaining = lr * decay * whole * recipe.schedule.over(whole).integral(edges)
        kept = np.exp(-remaining)
        return float(kept[0]), np.diff(kept)
    initial, coefficients = ema_coefficients(lr * recipe.schedule.multipliers(whole), decay)
    place = np.minimum(((np.arange(whole) + 0.5) / whole * bins).astype(int), bins - 1)
    return initial, np.bincount(place, coefficients, minlength=bins).astype(np.float64)


def refuse_large_rate(lr: FloatArray, decay: FloatArray) -> None:
    wrong = np.flatnonzero(lr * decay >= 1)
    if len(wrong):
        i = wrong[0]
        raise ValueError(
            f"lr·weight_decay must be below 1 for the weights to be an average, got {lr[i]:g}·{decay[i]:g} = "
            f"{lr[i] * decay[i]:g}; was weight_decay meant as independent decay, which is not multiplied by lr?"
        )


class Kernel(NamedTuple):
    """What the coefficients alone decide: τ in steps, the half-life, the sample size and the initial weight left."""

    steps: Any
    half_life_steps: Any
    effective_sample_size: Any
    initial_weight_left: Any


def horizon(kernel: Kernel, per_epoch: FloatArray, batch: FloatArray, run: FloatArray, over: Grid) -> Horizon:
    tau, *others = kernel
    numbers = (tau, tau / per_epoch, tau * batch, tau / run, *others)
    return Horizon(*(folded(values, over) for values in numbers))


def folded(values: FloatArray, over: Grid) -> Number:
    """One value per point in the shape of the sweep axes; a float without any."""
    if not over.dims:
        return float(values[0])
    return xr.DataArray(values.reshape(over.shape), dims=over.dims, coords=dict(over.coords))


def constant_rate(lr: FloatArray, decay: FloatArray, steps: FloatArray) -> Kernel:
    """The kernel of runs at a constant rate, from the closed forms that the derivation `constant-rate` proves."""
    tau, half_life, size, left = np.full_like(lr, inf), np.full_like(lr, inf), steps.copy(), np.ones_like(lr)
    some = np.flatnonzero(lr * decay > 0)
    closed = derive("constant-rate")
    given = {"lr": lr[some], "weight_decay": decay[some]}
    tau[some] = 1 / (given["lr"] * given["weight_decay"])
    half_life[some] = closed.function("half_life_steps")(**given)
    size[some] = closed.function("effective_sample_size")(**given, steps=steps[some])
    left[some] = closed.function("initial_weight_left")(**given, steps=steps[some])
    return Kernel(tau, half_life, size, left)


def over_schedule(schedule: Schedule, alpha: float, steps: float) -> Kernel:
    """The kernel of a run under a schedule, with α the decay per step at the peak."""
    whole = max(1, round(steps))
    if whole > DISCRETE_STEPS:
        return continuous_kernel(schedule.over(whole), alpha, whole)
    return discrete_kernel(schedule.multipliers(whole), alpha)


def discrete_kernel(multipliers: FloatArray, alpha: float) -> Kernel:
    if alpha == 0:
        return Kernel(inf, inf, sample_size(multipliers), 1.0)
    # From the last step back. A sum of logarithms, unlike a running product, keeps nine digits over 2²¹ steps.
    decays = alpha * multipliers[::-1]
    forgotten = np.append(0.0, np.cumsum(-np.log1p(-decays)))
    half_life = float(np.interp(log(2), forgotten, np.arange(len(forgotten)))) if forgotten[-1] >= log(2) else inf
    size = sample_size(decays * np.exp(-forgotten[:-1]))
    return Kernel(1 / (alpha * float(multipliers.mean())), half_life, size, exp(-forgotten[-1]))


def sample_size(coefficients: FloatArray) -> float:
    """(Σc)²/Σc², scaled so that no square underflows."""
    scaled = coefficients / coefficients.max()
    return float(scaled.sum() ** 2 / (scaled @ scaled))


def continuous_kernel(schedule: Schedule, alpha: float, steps: int) -> Kernel:
    """The limit of many steps: c_t → e^{−αT·S(x)}·αs(x), with S the schedule's integral.

    The mass of a cell of the run is exact, a difference of e^{−αT·S} at its ends; within a cell, narrow towards the
    end of the run where the kernel may be, the density counts as constant.
    """
    geometric, uniform = np.geomspace(0.1 / steps, 1, CONTINUOUS_CELLS // 2), np.linspace(0, 1, CONTINUOUS_CELLS // 2)
    to_end = np.unique(np.concatenate([geometric, uniform]))
    remaining = alpha * steps * np.maximum.accumulate(schedule.integral(1 - to_end))
    mean = float(schedule.integral(np.float64(0.0)))
    if alpha == 0:
        mass = np.diff(np.maximum.accumulate(schedule.integral(1 - to_end)))
    else:
        mass = -np.exp(-remaining[:-1]) * np.expm1(-np.diff(remaining))
    size = steps * mass.sum() ** 2 / (mass @ (mass / np.diff(to_end)))
    half_life = steps * float(np.interp(log(2), remaining, to_end)) if remaining[-1] >= log(2) else inf
    return Kernel(1 / (alpha * mean) if alpha else inf, half_life, float(size), exp(-alpha * steps * mean))
