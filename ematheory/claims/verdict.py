"""From evidence to a verdict: each kind of comparison has one rule, and none can be tuned to pass.

Statistical comparisons use intervals at `CONFIDENCE` for a whole level, Šidák-corrected for the number of comparisons
in it. The largest residual is reported with the bound that it was held against.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from ..typing import FloatArray
from .evidence import Below, Bounded, Evidence, Exact, Fails, Finding, Order, Proved, Sampled, Share

# Probability that no comparison of a level is refuted by chance when the claim holds.
CONFIDENCE = 0.999
# Orders in use are multiples of one half, so an interval has to be narrower than a quarter either way to name one.
ORDER_RESOLUTION = 0.25
# What decides when several comparisons are made: the first of these that any of them came to.
PRECEDENCE = ("refuted", "vacuous", "inconclusive", "confirmed")


@dataclass(frozen=True)
class Outcome:
    """One comparison, judged: `residual` was held against `bound`.

    interval, confidence, test : where it is statistical the interval, its level for all comparisons of a claim's level
        together, and what gave it: ``"t(11), 4 comparisons"`` is Student's t with 11 degrees of freedom, two-sided,
        Šidák-corrected for 4 comparisons.
    """

    what: str
    rule: str
    verdict: str
    residual: float
    bound: float
    n: int
    says: str
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    test: str | None = None

    @property
    def strain(self) -> float:
        """How close the comparison came to its bound, from 0; above 1 it is beyond."""
        ratio = (self.bound, self.residual) if self.rule == "control" else (self.residual, self.bound)
        return ratio[0] / ratio[1] if ratio[1] else math.inf if ratio[0] else 0.0


def judge(evidence: Evidence) -> tuple[str, tuple[Outcome, ...]]:
    """The verdict on a level and the outcome of each comparison; without comparisons it is vacuous."""
    statistical = [finding for finding in evidence.findings if is_statistical(finding)]
    comparisons = sum(np.size(each.measured) if isinstance(each, Sampled | Below) else 1 for each in statistical)
    outcomes = tuple(outcome(finding, comparisons) for finding in evidence.findings)
    seen = {each.verdict for each in outcomes} or {"vacuous"}
    return next(verdict for verdict in PRECEDENCE if verdict in seen), outcomes


def is_statistical(finding: Finding) -> bool:
    return isinstance(finding, Sampled | Below | Share) or (
        isinstance(finding, Order) and finding.standard_errors is not None
    )


def deciding(verdict: str, outcomes: Sequence[Outcome]) -> Outcome | None:
    """The outcome that the verdict rests on: of those that agree with it, the one that came closest to its bound.

    A control comes last: that another equation fails is not what confirms this one.
    """
    agreeing = [each for each in outcomes if each.verdict == verdict]
    return max(agreeing, key=lambda each: (each.rule != "control", each.strain), default=None)


@singledispatch
def outcome(finding: Finding, comparisons: int) -> Outcome:
    """Judge one comparison, one of `comparisons` statistical ones in its level."""
    raise TypeError(f"no rule judges a {type(finding).__name__}")


@outcome.register
def proved(finding: Proved, comparisons: int) -> Outcome:
    failed = len(finding.failed)
    verdict = "refuted" if failed else "confirmed" if finding.samples and finding.steps else "vacuous"
    says = "; ".join(finding.failed) or f"{finding.steps} steps checked, evaluated at {finding.samples} points"
    return Outcome(finding.what, "proof", verdict, failed, 0, finding.samples, says)


@outcome.register
def exact(finding: Exact, comparisons: int) -> Outcome:
    holds = finding.residual <= finding.bound
    verdict = "vacuous" if not finding.n else "confirmed" if holds else "refuted"
    return Outcome(finding.what, "exact", verdict, finding.residual, finding.bound, finding.n, finding.reason)


@outcome.register
def fails(finding: Fails, comparisons: int) -> Outcome:
    """A control that holds where it must not: either the claim says nothing or its check sees nothing."""
    broken = finding.residual > finding.bound
    verdict = "vacuous" if not finding.n else "confirmed" if broken else "refuted"
    return Outcome(finding.what, "control", verdict, finding.residual, finding.bound, finding.n, finding.reason)


@outcome.register
def bounded(finding: Bounded, comparisons: int) -> Outcome:
    values = np.ravel(np.asarray(finding.values, dtype=np.float64))
    if not values.size:
        return Outcome(finding.what, "bound", "vacuous", math.nan, finding.limit, 0, "nothing was measured")
    largest = float(values.max())
    limit = finding.limit + abs(finding.limit) * finding.rounding
    says = f"largest value {largest:.6g} against the limit {finding.limit:.6g}"
    return Outcome(
        finding.what, "bound", "confirmed" if largest <= limit else "refuted", largest, limit, values.size, says
    )


@outcome.register
def order(finding: Order, comparisons: int) -> Outcome:
    """The local slope at the smallest sizes, give or take what it may still drift and its sampling error.

    Confirmed when the whole interval is nearer to the claimed order than to the next half order, refuted when none is.
    """
    sizes, errors = (np.asarray(each, dtype=np.float64) for each in (finding.sizes, finding.errors))
    if sizes.size < 3 or not (errors > 0).all():
        says = f"an order needs three positive errors, got {errors.tolist()}"
        return Outcome(finding.what, "order", "vacuous", math.nan, ORDER_RESOLUTION, errors.size, says)
    fitted, half = fitted_order(finding, sizes, errors, comparisons)
    off = abs(fitted - finding.claimed)
    inside, outside = off + half <= ORDER_RESOLUTION, off - half > ORDER_RESOLUTION
    verdict = "confirmed" if inside else "refuted" if outside else "inconclusive"
    says = f"order {fitted:.4g} ± {half:.2g}, claimed {finding.claimed:g}"
    interval, n = (fitted - half, fitted + half), finding.n or errors.size
    given = (CONFIDENCE, name_of_test(comparisons, n)) if is_statistical(finding) else (None, None)
    return Outcome(finding.what, "order", verdict, off, ORDER_RESOLUTION, n, says, interval, *given)


def fitted_order(finding: Order, sizes: FloatArray, errors: FloatArray, comparisons: int) -> tuple[float, float]:
    """The last local slope and the half-width of its interval.

    A next term γ orders higher leaves a slope off by its last change over (ratio^γ − 1). Twice that leaves room for the
    terms after it.
    """
    slopes = np.diff(np.log(errors)) / np.diff(np.log(sizes))
    drift = 2 * abs(float(slopes[-1] - slopes[-2])) / (float(sizes[-2] / sizes[-1]) ** finding.gap - 1)
    if finding.standard_errors is None:
        return float(slopes[-1]), drift
    relative = np.asarray(finding.standard_errors, dtype=np.float64) / errors
    spread = math.hypot(relative[-2], relative[-1]) / math.log(sizes[-2] / sizes[-1])
    return float(slopes[-1]), drift + spread * critical_value(comparisons, finding.n - 1)


@outcome.register
def sampled(finding: Sampled, comparisons: int) -> Outcome:
    """Simultaneous intervals of measured − predicted: refuted by one that misses, undecided by one that goes too far.

    They confirm where each lies within what would matter (two one-sided tests; Schuirmann, J. Pharmacokinet. Biopharm.
    15, 1987), beyond what the prediction is known to leave out. A measurement that is NaN misses; one whose error is
    not known decides nothing.
    """
    measured, predicted, errors, resolution, allowance = finding.arrays()
    if finding.n < 2 or not measured.size:
        says = "an interval needs at least two replicas and one measurement"
        return Outcome(finding.what, "interval", "vacuous", math.nan, math.nan, finding.n, says)
    critical = critical_value(comparisons, finding.n - 1)
    difference = measured - predicted
    beyond = np.maximum(np.abs(difference) - allowance, 0.0)
    off = beyond + critical * errors
    z, reach = standardised(beyond, errors), standardised(off, resolution)
    # Without an error nothing is known of a measurement, which can refute nothing.
    known = np.isfinite(errors)
    worst, furthest = int(np.argmax(np.where(known, z, -1.0))), int(np.argmax(reach))
    is_missed = known[worst] and z[worst] > critical
    verdict = "refuted" if is_missed else "inconclusive" if reach[furthest] > 1 else "confirmed"
    says = (
        f"{measured.size} of {comparisons} comparisons; off by at most {off[furthest]:.3g} "
        f"where {resolution[furthest]:.3g} would matter"
    )
    half = critical * errors[worst] + allowance[worst]
    interval = (float(difference[worst] - half), float(difference[worst] + half))
    return Outcome(
        finding.what, "interval", verdict, float(z[worst]), critical, finding.n, says, interval, CONFIDENCE,
        name_of_test(comparisons, finding.n, finding.errors_by),
    )  # fmt: skip


@outcome.register
def below(finding: Below, comparisons: int) -> Outcome:
    """Simultaneous intervals below a limit: refuted by one that is wholly above, undecided by one that reaches it."""
    measured, errors = (
        np.ravel(np.asarray(each, dtype=np.float64)) for each in (finding.measured, finding.standard_errors)
    )
    if finding.n < 2 or not measured.size:
        says = "an interval needs at least two replicas and one measurement"
        return Outcome(finding.what, "below", "vacuous", math.nan, math.nan, finding.n, says)
    critical = critical_value(comparisons, finding.n - 1)
    above = standardised(np.maximum(measured - finding.limit, 0.0), errors)
    under = standardised(np.maximum(finding.limit - measured, 0.0), errors)
    known = np.isfinite(measured) & np.isfinite(errors)
    missed, held = np.isfinite(errors) & (above > critical), known & (under > critical)
    verdict = "refuted" if missed.any() else "confirmed" if held.all() else "inconclusive"
    worst = int(np.argmax(np.where(known, measured + critical * errors, np.inf)))
    half = critical * errors[worst]
    says = f"at most {measured[worst]:.6g} ± {half:.2g} against the limit {finding.limit:g}"
    interval = (float(measured[worst] - half), float(measured[worst] + half))
    upper = float(measured[worst] + half)
    return Outcome(
        finding.what, "below", verdict, upper, finding.limit, finding.n, says, interval, CONFIDENCE,
        name_of_test(comparisons, finding.n, finding.errors_by),
    )  # fmt: skip


@outcome.register
def share(finding: Share, comparisons: int) -> Outcome:
    """Clopper and Pearson's exact interval of a probability (Biometrika 26, 1934), as `below` its limit or not."""
    from scipy.stats import binomtest

    if not finding.n:
        return Outcome(finding.what, "share", "vacuous", math.nan, finding.limit, 0, "nothing was counted")
    sought = binomtest(finding.count, finding.n).proportion_ci(CONFIDENCE ** (1 / comparisons), method="exact")
    low, high = float(sought.low), float(sought.high)
    verdict = "refuted" if low > finding.limit else "confirmed" if high < finding.limit else "inconclusive"
    says = f"{finding.count} of {finding.n}, at most {high:.3g} of all against the limit {finding.limit:g}"
    return Outcome(
        finding.what, "share", verdict, high, finding.limit, finding.n, says, (low, high), CONFIDENCE,
        f"exact binomial, {counted(comparisons)}",
    )  # fmt: skip


def standardised(distance: FloatArray, errors: FloatArray) -> FloatArray:
    """distance/error, with 0/0 = 0 (a start that is the same in every replica) and NaN as infinite: never a pass."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(distance == 0, 0.0, distance / errors)
    return np.where(np.isfinite(z), z, np.inf)


def name_of_test(comparisons: int, n: int, errors_by: str = "") -> str:
    """What `critical_value` is of, in words."""
    return ", ".join(filter(None, (f"t({n - 1})", counted(comparisons), errors_by)))


def counted(comparisons: int) -> str:
    return f"{comparisons} comparison{'s' if comparisons > 1 else ''}"


def critical_value(comparisons: int, freedom: float) -> float:
    """Student's t that any of `comparisons` two-sided intervals exceeds with probability 1 − CONFIDENCE (Šidák)."""
    from scipy.special import ndtri, stdtrit

    each = -math.expm1(math.log(CONFIDENCE) / comparisons)
    return -float(ndtri(each / 2) if math.isinf(freedom) else stdtrit(freedom, each / 2))
