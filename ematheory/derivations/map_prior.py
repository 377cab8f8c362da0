"""Weight decay as a Gaussian prior (Q12): which decay keeps the prior as the data grow, and what AdamW's means."""

from __future__ import annotations

import mpmath
import sympy as sp

from . import symbols as x
from .adamw_quadratic import curvature, spread
from .adamw_quadratic import root as held
from .adamw_quadratic import run_of as adamw_run
from .assumptions import Assumptions, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget
from .limits import Limit, Solve

eta, lam, theta = x.eta, x.lam, x.theta
h = sp.Symbol("h", positive=True)
size, prior, batch, root = sp.symbols("N alpha B s", positive=True)
weight, decay = sp.Symbol("w", real=True), sp.Symbol("lambda", positive=True)
# Minus the log-posterior of N samples of mean loss ½h(w − θ*)² under the prior N(0, 1/α), up to a constant.
energy = size * h * (weight - theta) ** 2 / 2 + prior * weight**2 / 2
mode = size * h * theta / (size * h + prior)


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "mode",
            Equation(weight, mode),
            "where the posterior of N samples is highest: the zero of its slope",
            Solve(conditions=(Equation(sp.diff(energy, weight), 0),)),
        ),
        Step(
            "ridge",
            Equation(decay, prior / size),
            "SGD with L2 comes to hθ*/(h + λ) (derivation sgd-quadratic); that is the mode if and only if λ = α/N",
            Solve(conditions=(Equation(h * theta * (size * h + prior), size * h * theta * (h + decay)),)),
        ),
        Step(
            "mean loss",
            Equation(energy / size, h * (weight - theta) ** 2 / 2 + decay * weight**2 / 2),
            "with that λ the energy over N is the mean loss with L2, at any weight and not only at the mode",
            Identity(uses=("ridge",)),
        ),
        Step(
            "timescale in epochs",
            Equation(batch / (eta * decay * size), batch / (eta * prior)),
            "so a fixed prior is a fixed timescale in epochs B/(ηλN), whatever N",
            Identity(uses=("ridge",)),
        ),
        Step(
            "washing out",
            Equation(mode, theta),
            "as N grows the prior washes out of the solution, while the timescale in epochs stays",
            Limit(variable=size),
        ),
        Step(
            "adamw's prior",
            Equation(prior, size * lam * root),
            "AdamW comes to hθ*/(h + λ√v) (derivation adamw-quadratic): its decay is the prior α = Nλ√v, which depends "
            "on the gradients' size and so on the batch",
            Solve(conditions=(Equation(h * theta * (size * h + prior), size * h * theta * (h + lam * root)),)),
        ),
    )


def highest(point: Point) -> Number:
    """The mode by root finding on the energy itself."""
    n, a, c, target = (as_real(point[s]) for s in (size, prior, h, theta))

    def value(w: Number) -> Number:
        return n * c * (w - target) ** 2 / 2 + a * w**2 / 2

    # The slope of a parabola is exact by central differences.
    return mpmath.findroot(lambda w: value(w + 1) - value(w - 1), (target, target / 2))


def prior_of_adamw(point: Point) -> Number:
    """The α whose mode is where AdamW itself comes to rest at √v = s."""
    given = {curvature: point[h], forget: as_real(1) / 2, spread: 0, held: point[root], lam: point[lam]}
    given[eta] = as_real(1) / (2 * (as_real(point[h]) / as_real(point[root]) + as_real(point[lam])))
    target = as_real(1)
    settled = adamw_run(given, target, target, as_real(0))[-1]
    return as_real(point[size]) * as_real(point[h]) * (target - settled) / settled


def map_prior() -> Derivation:
    """Q12: weight decay read as a prior."""
    return Derivation(
        name="map-prior",
        title="A fixed timescale in epochs is a fixed Gaussian prior",
        statement=(
            "SGD with L2 at the mean loss's scale finds the mode under the prior N(0, 1/α) if and only if λ = α/N: a "
            "prior that stays as the data grow means λ ∝ 1/N, so that B/(ηλN) stays, though the prior washes out of "
            "the solution. AdamW's prior is Nλ√v."
        ),
        assumptions=Assumptions(
            (
                positive(h), positive(size), positive(prior), positive(batch), positive(root), positive(eta),
                positive(lam), positive(theta), real(weight),
            )
        ),
        steps=steps(),
        results={"mode": "mode", "adamw_prior": "adamw's prior"},
        brute_force={"mode": highest, "adamw_prior": prior_of_adamw},
        source="THEORY.md, Q12; the question is that of Wang & Aitchison, arXiv 2405.13698",
        arguments={
            h: "curvature", theta: "optimum", size: "dataset_size", prior: "prior_precision", lam: "weight_decay",
            root: "root_mean_square",
        },
        corrects=(
            "that weight decay, being a prior, must matter less in epochs as data grow: its effect on the solution "
            "does, its timescale in epochs does not"
        ),
    )  # fmt: skip


DERIVATIONS = {"map-prior": map_prior}
