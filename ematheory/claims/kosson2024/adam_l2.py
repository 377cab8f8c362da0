"""C07: Adam with L2 on scale-invariant weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from ...optimizers import Adam
from ...problems import ScaleInvariant
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Fails, Figure, Order
from ..paired import over_vectors
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import derived, engine, sampled
from ..verdict import critical_value

LR, DECAY, SIZE, FORGET2 = 0.2, 0.01, 1024, 1 / 256
SPREADS, BETAS = (4.0, 16.0, 64.0), (0.0, 0.5)  # σ̃, over which the rotation changes by a factor of 2.5
# From nine tenths of the norm, where v is larger by 1/0.81; that is forgotten as e^{−t/256}.
START, STEPS, SEED = 0.9, 1600, 7
REPLICAS = {"smoke": 32, "quick": 128, "full": 512}
# In torch, the means of each vector over these steps, at the first of which a little more of the start is left.
TORCH_SIZE, VECTORS = 256, {"smoke": 16, "quick": 96, "full": 512}
RESTED = range(STEPS - 100, STEPS + 1, 10)
# Relative. The published laws are off by 1 to 3 %, AdamW's by far more.
RESOLUTION = 0.02
# What v's fluctuations change, with coefficients of at most 1 (claim C40), what is left of the start in √v, and that
# norms of C coordinates are not those of many.
ALLOWANCE = FORGET2 + (START**-2 - 1) / 2 * np.exp(-STEPS * FORGET2) + 2 / SIZE


def published_norm(spread: xr.DataArray, size: int = SIZE) -> xr.DataArray:
    """(ηCσ̃/(2λ))^{1/3}."""
    return (LR * size * spread / (2 * DECAY)) ** (1 / 3)


@cache
def derived_square() -> Callable[..., Any]:
    """The derived w·w at rest as a function of η, ‖g‖², √v̂, ηλ/√v̂ and 1 − β₁."""
    import sympy as sp

    from ...derivations import derive
    from ...derivations.frozen_preconditioner import forget
    from ...derivations.scale_invariant_adam import eta, share, size
    from ...derivations.scale_invariant_adam import norm as unit
    from ...derivations.scale_invariant_momentum import noise

    square = derive("scale-invariant-adam-l2").step("second moments").equation.rhs[0].subs(unit, 1)
    found: Callable[..., Any] = sp.lambdify((eta, noise, size, share, forget), square)
    return found


def at_rest(spread: float, beta1: float, decay: float = DECAY, coordinates: int = SIZE) -> tuple[float, float]:
    """‖w‖ and the rotation by the derived w·w and 1 − cos for a held √v̂, with λw's share in it, λ²‖w‖²/C.

    By iteration, each step of which is less than half of the one before.
    """
    norm = (LR * coordinates * spread / (2 * decay)) ** (1 / 3)
    for _ in range(60):
        root = np.sqrt((spread / norm) ** 2 + decay**2 * norm**2 / coordinates)
        rate = LR * decay / root
        square = derived_square()(LR, coordinates * (spread / norm) ** 2, root, rate, 1 - beta1)
        norm *= (square / norm**2) ** (1 / 3)
    versine = derived("scale-invariant-adam-l2", "versine", decay_per_step=rate, one_minus_beta1=1 - beta1)
    return float(norm), float(np.arccos(1 - versine.item()))


def limits() -> list[Order]:
    """The derived forms' distances from the published laws, by ηλ‖w‖/σ̃."""
    sizes = [DECAY / 8**k for k in range(5)]
    beta1, spread = BETAS[-1], SPREADS[0]
    found = np.array([at_rest(spread, beta1, decay) for decay in sizes])
    norms = np.array([(LR * SIZE * spread / (2 * decay)) ** (1 / 3) for decay in sizes])
    rates = LR * np.array(sizes) * norms / spread
    laws = {"norm": norms, "rotation": np.sqrt(2 * rates * (1 - beta1) / (1 + beta1))}
    return [
        Order(f"{name} over the published, by ηλ‖w‖/σ̃", rates, abs(each / law - 1), 1.0)
        for (name, law), each in zip(laws.items(), found.T, strict=True)
    ]


def simulated(tier: str) -> Evidence:
    """Norm and rotation over a sixteenfold range of the gradients' scale, from half the norm, v running."""
    import ematheory as em

    spread = xr.DataArray(list(SPREADS), dims="spread")
    problem = ScaleInvariant(size=SIZE, noise=spread**2, init=START * published_norm(spread) / SIZE**0.5)
    optimizer = Adam(lr=LR, weight_decay=DECAY, beta1=list(BETAS), beta2=1 - FORGET2, eps=0.0)
    measured = em.simulate(
        problem, optimizer, steps=STEPS, record=[STEPS], observables=("weight_norm", "rotation"),
        replicas=REPLICAS[tier], seed=chosen_seed(SEED),
    ).isel(step=0)  # fmt: skip
    values = np.array([[at_rest(each, beta1) for beta1 in BETAS] for each in SPREADS])
    expected = xr.DataArray(values, dims=("spread", "beta1", "what"), coords={"beta1": measured.beta1})
    findings = tuple(
        sampled(
            f"{name} of Adam with L2", measured, name, exact, resolution=RESOLUTION * exact, allowance=ALLOWANCE * exact
        )
        for name, exact in (("weight_norm", expected.isel(what=0)), ("rotation", expected.isel(what=1)))
    )
    return Evidence((*findings, *limits()), (chosen_seed(SEED),), isa=engine(measured))


def trained(tier: str) -> Evidence:
    """torch.optim.Adam with its L2 fed noise at right angles to its weights, at the ends of the range of σ̃."""
    from ...training import crosschecks

    beta1, spreads = BETAS[-1], (SPREADS[0], SPREADS[-1])
    law = np.array([at_rest(spread, beta1, coordinates=TORCH_SIZE) for spread in spreads])
    walks = [
        crosschecks.tangential_walk(
            "adam", np.full(STEPS, LR), np.full(STEPS, DECAY), vectors=VECTORS[tier], size=TORCH_SIZE, record=RESTED,
            spread=spread, seed=chosen_seed(SEED), betas=(beta1, 1 - FORGET2), eps=0.0,
            start=START * float(published_norm(xr.DataArray(spread), TORCH_SIZE)),
        )
        for spread in spreads
    ]  # fmt: skip
    norm, rotation = (np.stack([getattr(walk, what).mean(axis=0) for walk in walks]) for what in ("norm", "rotation"))
    allowed = FORGET2 + (START**-2 - 1) / 2 * np.exp(-RESTED[0] * FORGET2) + 2 / TORCH_SIZE
    findings = [
        over_vectors(
            f"torch.optim.Adam with L2: {what}", seen, exact, resolution=RESOLUTION * exact, allowance=allowed * exact
        )
        for what, seen, exact in (("norm", norm, law[:, 0]), ("rotation", rotation, law[:, 1]))
    ]
    fall = -np.log(rotation[1] / rotation[0])
    error = fall.std(ddof=1) / len(fall) ** 0.5
    unlike = Fails(
        "torch.optim.Adam with L2: a rotation that does not depend on σ̃, as AdamW's", float(fall.mean() / error),
        critical_value(1, len(fall) - 1), len(fall), "in standard errors",
    )  # fmt: skip
    errors = rotation.std(-1, ddof=1) / VECTORS[tier] ** 0.5
    curve = Curve("β₁ = 0.5", spreads, law[:, 1], rotation.mean(-1), errors)
    figure = Figure(
        "Rotation of torch.optim.Adam with L2, at rest", "σ̃", "radians per step", (curve,), log_x=True, log_y=True
    )
    return Evidence((*findings, unlike), (chosen_seed(SEED),), (figure,))


CLAIM = Claim(
    id="C07",
    paper="kosson2024",
    statement=(
        "On scale-invariant weights Adam with L2 comes to ‖w‖³ = ηCσ̃/(2λ) and turns by √(2ηλ(‖w‖/σ̃)(1−β₁)/(1+β₁)) a "
        "step, which goes as σ̃^{−1/3}: unlike AdamW's, the rotation depends on the gradients' scale."
    ),
    source="Kosson et al., arXiv 2305.17212, on Adam with L2; THEORY.md §4",
    assumptions=(
        "a gradient at right angles to the weights that falls as 1/‖w‖",
        "its mean is 0, its root mean square σ̃ at unit norm constant, many coordinates",
        "β₂ → 1, so that √v̂ = σ̃/‖w‖, and ηλ‖w‖/σ̃ → 0",
    ),
    kinds=("asymptotic",),
    levels={
        "symbolic": Level(proof("scale-invariant-adam-l2")),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch",)),
    },
)
