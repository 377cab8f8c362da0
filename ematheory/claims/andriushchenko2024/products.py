"""C23: SGD with decay on a network of digits, by the product ηλ: its noise, its average, and where it tests best."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...typing import FloatArray
from ..claim import Claim, Level
from ..devices import chosen_device
from ..evidence import Below, Curve, Evidence, Figure, Finding, Sampled
from ..seeds import chosen_seeds
from ..valleys import bootstrapped, slope, vertex

if TYPE_CHECKING:
    from ...training.crosschecks.averages import AveragesCheck

# So few units that the network does not fit the training images without noise.
WIDTH, BATCH, STEPS = 16, 16, 1500
# Seeds 2300 to 2315 told how many it takes.
FIRST_SEED = 2320
LRS: FloatArray = np.array([0.05, 0.2, 0.8])
# ηλ, from where decay does next to nothing within the run to where noise hinders training.
RATES: FloatArray = np.array([1e-4, 2.5e-4, 6e-4, 1.5e-3, 4e-3, 1e-2])
# Norms that are at rest after a third of the run (1/(4ηλ)), in training that works; and where the noise is not small.
AT_REST, NOISY = slice(2, 5), slice(3, 5)
HORIZON, FINE_TUNED, FINE_TUNING, IMAGES = 200, 300, 0.1, 32
# The first 48 left the best λ undecided: the valley over ηλ is so flat that some draws of them show none.
SEEDS = {"quick": 16, "full": 192}
# Half of the way between a contour of ηλ and one of λ.
RESOLUTION = 0.5
# An iterate's distance to the mean of its snapshots at which contours of equal noise are followed.
LEVEL = 0.05
# Two models, and the distance that theirs is to be below.
NEARER = {
    "average to fine-tuned, over iterate to fine-tuned": (("average", "fine_tuned"), ("iterate", "fine_tuned")),
    "average to snapshots, over iterate to snapshots": (("average", "snapshots"), ("iterate", "snapshots")),
    "fine-tuned to snapshots, over iterate to snapshots": (("fine_tuned", "snapshots"), ("iterate", "snapshots")),
}


def measured(tier: str) -> AveragesCheck:
    """Every η and ηλ with every seed; points in the order of η, then ηλ."""
    from ...training import tasks
    from ...training.crosschecks.averages import averages

    lr, rate = xr.DataArray(LRS, dims="lr"), xr.DataArray(RATES, dims="rate")
    seeds = chosen_seeds(FIRST_SEED, SEEDS[tier])
    return averages(
        tasks.digits_mlp(width=WIDTH, scale_invariant=True), SGD(lr=lr, weight_decay=rate / lr), steps=STEPS,
        averaged=HORIZON, every=HORIZON // 10, fine_tuned=FINE_TUNED, fine_tuning=FINE_TUNING, batch_size=BATCH,
        seeds=seeds, images=IMAGES, device=chosen_device(),
    )  # fmt: skip


def by_point(values: FloatArray) -> FloatArray:
    """From shape (points, seeds) to (seeds, lrs, rates), so that seeds can be drawn."""
    return values.reshape(len(LRS), len(RATES), -1).transpose(2, 0, 1)


def trained(tier: str) -> Evidence:
    """Contours of the best test loss and of equal noise; distances between models; the Jacobian's fall with ηλ."""
    check = measured(tier)
    loss, noise = (
        by_point(np.log(values)) for values in (check.loss("average"), check.distance("iterate", "snapshots"))
    )
    findings = (
        contour("slope in log η of the log of the best λ for the average", loss, vertices),
        contour("slope in log η of the log of the λ of equal noise", noise, crossings),
        *(nearer(what, check, *pairs) for what, pairs in NEARER.items()),
        jacobian_falls(by_point(np.log(check.jacobian_norms))),
    )
    return Evidence(findings, tuple(chosen_seeds(FIRST_SEED, len(loss))), (drawn(loss),))


def vertices(mean: FloatArray) -> list[float]:
    """log ηλ of the least loss at each η."""
    return [vertex(np.log(RATES), row) for row in mean]


def crossings(mean: FloatArray) -> list[float]:
    """log ηλ at which the log of the noise reaches LEVEL's at each η; NaN where it does not within the grid."""
    return [crossing(np.log(RATES), row, float(np.log(LEVEL))) for row in mean]


def crossing(logs: FloatArray, values: FloatArray, level: float) -> float:
    """Where the straight lines through the values first rise through the level."""
    rising = np.flatnonzero((values[:-1] < level) & (values[1:] >= level))
    if not rising.size:
        return np.nan
    i = int(rising[0])
    return float(logs[i] + (level - values[i]) / (values[i + 1] - values[i]) * (logs[i + 1] - logs[i]))


def contour(what: str, samples: FloatArray, places: Callable[[FloatArray], list[float]]) -> Sampled:
    """The slope of log λ = log ηλ − log η in log η, which is −1 along a contour of ηλ and 0 along one of λ."""
    logs = np.log(LRS)
    found, error = bootstrapped(samples, lambda mean: slope(logs, np.array(places(mean)) - logs))
    if not np.isfinite(error):
        # Where the grid does not show a place, in some draw or at all, nothing is known of the slope.
        found, error = np.nan_to_num(found), np.array(np.inf)
    return Sampled(what, found, -1.0, error, n=len(samples), resolution=RESOLUTION, errors_by="bootstrap")


def nearer(what: str, check: AveragesCheck, pair: tuple[str, str], than: tuple[str, str]) -> Finding:
    """The log of one total-variation distance over another, a mean over η and seeds, below 0 at each noisy ηλ."""
    one, other = (by_point(check.distance(*models))[:, :, NOISY] for models in (pair, than))
    ratios = np.log(one / other).mean(axis=1)
    return Below(f"log of the distance of {what}", *mean_and_error(ratios), 0.0, len(ratios))


def jacobian_falls(logs: FloatArray) -> Finding:
    """The change of log ‖J‖_F from each ηλ to the next, a mean over η, below 0 while norms are at rest."""
    changes = np.diff(logs.mean(axis=1)[:, AT_REST], axis=1)
    return Below("change of log ‖J‖ of the average from one ηλ to the next", *mean_and_error(changes), 0.0, len(logs))


def mean_and_error(samples: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Over the first axis: the mean and its standard error."""
    return samples.mean(axis=0), np.asarray(samples.std(axis=0, ddof=1) / len(samples) ** 0.5)


def drawn(logs: FloatArray) -> Figure:
    """The average's test loss over ηλ at every η: what is predicted is the curve of the middle one."""
    mean, error = (np.exp(each) if i == 0 else each for i, each in enumerate(mean_and_error(logs)))
    curves = tuple(
        Curve(f"η = {lr:g}", RATES, mean[len(LRS) // 2], mean[i], mean[i] * error[i]) for i, lr in enumerate(LRS)
    )
    title = f"Average of SGD's iterates on digits, {len(logs)} seeds; predicted: as at η = {LRS[len(LRS) // 2]:g}"
    return Figure(title, "ηλ", "test loss", curves, log_x=True, log_y=True)


CLAIM = Claim(
    id="C23",
    paper="andriushchenko2024",
    statement=(
        "SGD with L2 at a constant rate tests best along a contour of ηλ, which sets its noise; the exponential moving "
        "average of its iterates computes nearly what fine-tuning at a tiny rate and the ensemble of snapshots do (in "
        "total variation of the softmax outputs), and its Jacobian's norm falls with ηλ."
    ),
    source="D'Angelo et al., arXiv 2310.04415, on SGD at large learning rates; THEORY.md §9 A1, A3",
    assumptions=(
        "a scale-invariant perceptron on digits with 16 units a layer, batches of 16, 1500 steps without momentum",
        "nearly: nearer than the last iterate is, for ηλ of 0.0015 and 0.004",
        "the Jacobian by the directions of the weights' rows, while norms come to rest and training works",
    ),
    kinds=("empirical",),
    levels={"trained": Level(trained, tiers=("quick", "full"), needs=("torch", "sklearn"))},
)
