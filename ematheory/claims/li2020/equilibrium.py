"""C06: the fourth power of the norm and the rotation of SGD on scale-invariant weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...problems import ScaleInvariant
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Figure, Finding, Order, Sampled
from ..paired import over_vectors
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import derived, engine, sampled
from . import rotation_of_networks

DERIVATIONS = ("scale-invariant-sgd", "scale-invariant-momentum-l2", "scale-invariant-momentum-per-lr")


class Kind(NamedTuple):
    """SGD with a momentum and a decay, the derivation of its equilibrium, and the power of 1/(1−μ) in ‖w‖⁴."""

    momentum: float
    decay: str
    derivation: str
    power: int

    def rates(self, forgotten: Sequence[float]) -> list[float]:
        """ηλ at which so much is forgotten a step: L2 acts 1/(1−μ) times."""
        return [each * (1 - self.momentum if self.decay == "l2" else 1.0) for each in forgotten]

    def exact(self, rate: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
        """Norm and rotation at ηλ = `rate`, derived for many coordinates."""
        given = {
            "lr": LR, "decay_per_step": rate, "gradient_square": SIZE - 1.0, "one_minus_momentum": 1 - self.momentum,
        }  # fmt: skip
        if not self.momentum:
            return derived(self.derivation, "weight_norm", **given), derived(self.derivation, "rotation", **given)
        norm = derived(self.derivation, "weight_norm_4", **given) ** 0.25
        return norm, xr.DataArray(np.arccos(1 - derived(self.derivation, "versine", **given)))

    def published(self, rate: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
        """(ηE‖g̃‖²/(2λ(1−μ)^power))^{1/4} and √(2ηλ(1−μ)^{power−1}/(1+μ)): the limits of small ηλ."""
        forget = 1 - self.momentum
        norm = (LR**2 * (SIZE - 1) / (2 * rate * forget**self.power)) ** 0.25
        return norm, xr.DataArray(np.sqrt(2 * rate * forget ** max(self.power - 1, 0) / (2 - forget)))


KINDS = (
    Kind(0.0, "l2", DERIVATIONS[0], 0),
    Kind(0.9, "l2", DERIVATIONS[1], 1),
    Kind(0.9, "per_lr", DERIVATIONS[2], 2),
)
LR, RATES = 0.1, (0.1, 0.03)  # η, and what is forgotten a step
# From 1.5 times the equilibrium's norm what is left of ‖w‖⁴ after 200 steps is e^{−4·0.03·200} of the start.
START, STEPS, SIZE, SEED = 1.5, 200, 1024, 6
# The way is followed from this weight, above rest, and compared with the law after this ηλt.
AWAY, ELAPSED, RECORD = 0.5, 0.3, (1, 2, 4, 8, 16, 32)
REPLICAS = {"smoke": 64, "quick": 256, "full": 1024}
# In torch, at rest the means of each vector over these steps; of the start e^{−4·0.03·140} is left.
VECTORS, RESTED = {"smoke": 16, "quick": 96, "full": 512}, range(140, STEPS + 1, 10)
# Relative. Norms of the two decays differ by a factor of 1.8, rotations by 3; ‖g̃‖² of d coordinates varies by 2/d.
RESOLUTION = 0.02
# ηλ, by which the limits are approached.
SMALL = tuple(0.1 / 2**k for k in range(5))


def at_rest(kind: Kind, tier: str) -> tuple[list[Finding], str]:
    """Norm and rotation against the derived ones at finite ηλ, and how these come to the published ones."""
    import ematheory as em

    rates = kind.rates(RATES)
    along = xr.DataArray(rates, dims="weight_decay")
    start = START * kind.published(along)[0] / SIZE**0.5
    optimizer = SGD(
        lr=LR, momentum=kind.momentum, weight_decay=xr.DataArray(np.array(rates) / LR, dims="weight_decay"),
        decay=kind.decay,
    )  # fmt: skip
    measured = em.simulate(
        ScaleInvariant(size=SIZE, init=start), optimizer, steps=STEPS, record=[STEPS],
        observables=("weight_norm", "rotation"), replicas=REPLICAS[tier], seed=chosen_seed(SEED),
    ).isel(step=0)  # fmt: skip
    name = f"μ = {kind.momentum:g}, {kind.decay}"
    findings: list[Finding] = [
        sampled(
            f"{observable}, {name}", measured, observable, exact, resolution=RESOLUTION * exact,
            allowance=2 / SIZE * exact,
        )
        for observable, exact in zip(("weight_norm", "rotation"), kind.exact(along), strict=True)
    ]  # fmt: skip
    return [*findings, *limits(kind, name)], engine(measured)


def limits(kind: Kind, name: str) -> list[Order]:
    """The derived forms' distances from the published ones, by ηλ."""
    rates = xr.DataArray(kind.rates(SMALL), dims="rate")
    return [
        Order(f"{what} over the published, {name}, by ηλ", SMALL, abs(exact / law - 1).values, 1.0)
        for what, exact, law in zip(("norm", "rotation"), kind.exact(rates), kind.published(rates), strict=True)
    ]


def way(tier: str) -> list[Finding]:
    """Without momentum: the norm on its way against the one-step map, and that map's distance from e^{−4ηλt}."""
    import ematheory as em

    rate = RATES[0]
    measured = em.simulate(
        ScaleInvariant(size=SIZE, init=AWAY), SGD(lr=LR, weight_decay=rate / LR), steps=RECORD[-1],
        record=list(RECORD), replicas=REPLICAS[tier], seed=chosen_seed(SEED + 1),
    )  # fmt: skip
    exact = xr.DataArray(mapped(rate, RECORD[-1])[list(RECORD)], dims="step", coords={"step": measured.step})
    finding = sampled(
        "weight_norm on the way to rest", measured, "weight_norm", exact, resolution=RESOLUTION * exact,
        allowance=2 / SIZE * exact,
    )  # fmt: skip
    off = []
    for small in SMALL:
        steps = round(ELAPSED / small)
        given = {"lr": LR, "decay_per_step": small, "gradient_square": SIZE - 1.0, "elapsed_steps": float(steps)}
        law = derived("scale-invariant-sgd", "norm_over_time", **given, weight_norm=AWAY * SIZE**0.5).item()
        off.append(abs(mapped(small, steps)[-1] / law - 1))
    return [finding, Order("norm on its way over that by e^(−4ηλt), by ηλ", SMALL, off, 1.0)]


def mapped(rate: float, steps: int) -> FloatArray:
    """‖w‖ by the exact map of one step without momentum, ‖w‖² ← (1 − ηλ)²‖w‖² + η²E‖g̃‖²/‖w‖²."""
    squares = [SIZE * AWAY**2]
    for _ in range(steps):
        squares.append((1 - rate) ** 2 * squares[-1] + LR**2 * (SIZE - 1) / squares[-1])
    return np.sqrt(squares)


def simulated(tier: str) -> Evidence:
    """Each kind of SGD at rest, and the way there without momentum."""
    found = [at_rest(kind, tier) for kind in KINDS]
    return Evidence(
        (*(each for part, _ in found for each in part), *way(tier)),
        (chosen_seed(SEED), chosen_seed(SEED + 1)),
        isa=found[0][1],
    )


def trained(tier: str) -> Evidence:
    """torch.optim.SGD fed noise at right angles to its weights: at rest, and on the way there without momentum."""
    findings: list[Finding] = []
    curves = []
    for kind in KINDS:
        rates = kind.rates(RATES)
        walks = [rested(kind, rate, tier) for rate in rates]
        exact = kind.exact(xr.DataArray(rates, dims="rate"))
        name = f"torch.optim.SGD, μ = {kind.momentum:g}, {kind.decay}"
        for what, law in zip(("norm", "rotation"), exact, strict=True):
            seen = np.stack([getattr(walk, what).mean(axis=0) for walk in walks])
            findings.append(
                over_vectors(f"{name}: {what}", seen, law.values, resolution=RESOLUTION * law.values,
                             allowance=2 / SIZE * law.values)
            )  # fmt: skip
        curves.append(turned(name, rates, exact[1].values, np.stack([walk.rotation.mean(axis=0) for walk in walks])))
    figure = Figure("Rotation at rest, of torch.optim.SGD", "ηλ", "radians per step", tuple(curves), True, True)
    return Evidence((*findings, torch_way(tier)), (chosen_seed(SEED), chosen_seed(SEED + 1)), (figure,))


def rested(kind: Kind, rate: float, tier: str) -> Any:
    """As `at_rest`, with a manual multiplication where torch's SGD has no decay per LR."""
    from ...training import crosschecks

    start = START * float(kind.published(xr.DataArray(rate))[0])
    return crosschecks.tangential_walk(
        "sgd", np.full(STEPS, LR), np.full(STEPS, rate / LR), start=start, vectors=VECTORS[tier], size=SIZE,
        record=RESTED, decay="torch" if kind.decay == "l2" else "per_lr", momentum=kind.momentum,
        seed=chosen_seed(SEED),
    )  # fmt: skip


def turned(name: str, rates: Sequence[float], law: FloatArray, seen: FloatArray) -> Curve:
    return Curve(name, rates, law, seen.mean(-1), seen.std(-1, ddof=1) / seen.shape[-1] ** 0.5)


def torch_way(tier: str) -> Sampled:
    """The norm on its way to rest against the one-step map, as `way`."""
    from ...training import crosschecks

    rate, steps = RATES[0], RECORD[-1]
    walk = crosschecks.tangential_walk(
        "sgd", np.full(steps, LR), np.full(steps, rate / LR), start=AWAY * SIZE**0.5, vectors=VECTORS[tier], size=SIZE,
        record=RECORD, seed=chosen_seed(SEED + 1),
    )  # fmt: skip
    exact = mapped(rate, steps)[list(RECORD)]
    return over_vectors(
        "torch.optim.SGD: norm on the way to rest", walk.norm, exact, resolution=RESOLUTION * exact,
        allowance=2 / SIZE * exact,
    )  # fmt: skip


CLAIM = Claim(
    id="C06",
    paper="li2020",
    statement=(
        "On scale-invariant weights SGD with L2 comes to ‖w‖⁴ = ηE‖g̃‖²/(2λ(1−μ)) and turns by √(2ηλ/(1+μ)) a step; "
        "with per-LR decay to (1−μ)² in place of 1−μ and √(1−μ) times that rotation; without momentum ‖w‖⁴ relaxes as "
        "e^{−4ηλt}. On a scale-invariant network with L2 each layer comes within a tenth of that rotation, and of that "
        "norm for the gradients that it meets."
    ),
    source="Li et al., arXiv 2010.02916; Wan et al., arXiv 2006.08419; THEORY.md R3",
    assumptions=(
        "a gradient at right angles to the weights that falls as 1/‖w‖",
        "its mean is 0 and ‖g̃‖ constant, many coordinates",
        "ηλ → 0",
        "networks: digits with two in five classes wrong, that they cannot learn by heart",
    ),
    kinds=("asymptotic", "empirical"),
    levels={
        "symbolic": Level(proof(*DERIVATIONS)),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch", "sklearn")),
        "networks": Level(rotation_of_networks.trained, tiers=("quick", "full"), needs=("torch", "sklearn")),
    },
)
