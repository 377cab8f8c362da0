"""C14: the batch rules of each optimizer, and what λ has to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD, Adam, AdamW
from ...problems import NoisyQuadratic
from ...schedules import Constant
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Fails, Figure, Finding, Order, Sampled
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import engine
from ..verdict import critical_value
from . import batch_of_networks

DERIVATIONS = ("scaling-sgd", "scaling-momentum", "scaling-adam-noise", "scaling-adam-signal")
# The batch grows by this; what is compared is after the same samples, at these shares of a run of `DRIFT`/η steps.
KAPPA, DRIFT, SHARES = 4, 2.0, (3 / 8, 1 / 2, 3 / 4, 1.0)
# At first v̂ averages few gradients, however near β₂ is to 1: without a warm-up that costs η log(1/η).
SCHEDULE = Constant(warmup=0.25)
# η of the base run: where it is simulated, and where the distance of the two runs is followed as it goes to 0.
SIZE, SMALL = 1 / 256, tuple(2.0**-k for k in range(5, 10))
SEED, REPLICAS = 14, {"smoke": 32_768, "quick": 262_144, "full": 2**20}
# In torch, where the first tier takes every third rule: of SGD, of AdamW on noise, and of AdamW on signal.
TORCH_EVERY = {"smoke": 3, "quick": 1, "full": 1}
COPIES = {"smoke": 24_576, "quick": 131_072, "full": 524_288}
# Relative. λ left alone at 4 times the batch changes AdamW's mean by more.
RESOLUTION = 0.07


class Rule(NamedTuple):
    """Where the exponents were derived, the optimizer with their hyperparameters, and the regime.

    base : each hyperparameter's value at a size η, by its letter in the derivation.
    """

    derivation: str
    step: str
    optimizer: Callable[..., Any]
    base: Callable[[float], dict[str, float]]
    signal: bool = False

    def powers(self) -> dict[str, float]:
        """The derived exponents in the batch size."""
        from ...derivations import derive

        solved = derive(self.derivation).step(self.step).equation
        return {
            unknown.name.removeprefix("x_"): float(power) for unknown, power in zip(solved.lhs, solved.rhs, strict=True)
        }

    def at(self, size: float, kappa: float, powers: Mapping[str, float]) -> Any:
        """The optimizer for `kappa` times the batch."""
        return self.optimizer(**{letter: value * kappa ** powers[letter] for letter, value in self.base(size).items()})

    def problem(self, size: float, batch: float) -> NoisyQuadratic:
        """Where gradients are noise, or signal, up to a share of order η: on the scale of the weights' own noise."""
        if self.signal:
            return NoisyQuadratic(curvature=1.0, noise=size, init=3.0, batch_size=batch)
        return NoisyQuadratic(curvature=1.0, noise=1.0, optimum=size**0.5, init=2 * size**0.5, batch_size=batch)


def sgd(eta: float, **lam: float) -> SGD:
    return SGD(lr=eta, weight_decay=lam["lambda"])


def momentum(decay: str) -> Callable[..., SGD]:
    return lambda eta, phi, **lam: SGD(lr=eta, momentum=1 - phi, weight_decay=lam["lambda"], decay=decay)


def adam(kind: type[Adam | AdamW], **decay: Any) -> Callable[..., Any]:
    def made(eta: float, c_1: float, c_2: float, epsilon: float, **lam: float) -> Any:
        return kind(lr=eta, weight_decay=lam["lambda"], beta1=1 - c_1, beta2=1 - c_2, eps=epsilon, **decay)

    return made


def of_momentum(size: float, power: int) -> dict[str, float]:
    """A drift of `size` and a buffer that forgets in a quarter of the run; λ(1−μ)^power is ½."""
    return {"eta": 2 * size**2, "phi": 2 * size, "lambda": 0.5 / (2 * size) ** power}


def of_adam(size: float, decay: float = 0.5) -> dict[str, float]:
    return {"eta": size, "c_1": 2 * size, "c_2": 2 * size, "epsilon": 0.5, "lambda": decay}


RULES: Mapping[str, Rule] = {
    "SGD": Rule("scaling-sgd", "exponents", sgd, lambda size: {"eta": size, "lambda": 0.5}),
    "SGD with momentum, L2": Rule(
        "scaling-momentum", "L2: exponents", momentum("l2"), lambda size: of_momentum(size, 0)
    ),
    "SGD with momentum, per LR": Rule(
        "scaling-momentum", "per LR: exponents", momentum("per_lr"), lambda size: of_momentum(size, 1)
    ),
    "AdamW on noise, per LR": Rule("scaling-adam-noise", "per LR: exponents", adam(AdamW), of_adam),
    "AdamW on noise, independent": Rule(
        "scaling-adam-noise", "independent: exponents", adam(AdamW, decay="independent"),
        lambda size: of_adam(size, size / 2),
    ),
    "Adam on noise, L2": Rule("scaling-adam-noise", "L2: exponents", adam(Adam), of_adam),
    "AdamW on signal": Rule("scaling-adam-signal", "exponents", adam(AdamW), of_adam, signal=True),
}  # fmt: skip


def record(size: float, kappa: int) -> list[int]:
    return [round(share * DRIFT / size / kappa) for share in SHARES]


def pair(run: Callable[..., xr.Dataset], rule: Rule, size: float, powers: Mapping[str, float]) -> list[xr.Dataset]:
    """The base run and that at `KAPPA` times the batch, at the same numbers of samples."""
    names = ("weight_mean",) if rule.signal else ("weight_mean", "weight_variance")
    return [
        run(
            rule.problem(size, float(kappa)), rule.at(size, kappa, powers), steps=record(size, kappa)[-1],
            record=record(size, kappa), observables=names, schedule=SCHEDULE,
        ).isel(coordinate=0)
        for kappa in (1, KAPPA)
    ]  # fmt: skip


def apart(runs: list[xr.Dataset], name: str) -> FloatArray:
    """How far the second run's moments are from the first's at each record, relative to them."""
    base, scaled = (run[name].values for run in runs)
    return np.asarray(scaled / base - 1)


def simulated(tier: str) -> Evidence:
    """Each rule's moments at 4 times the batch against the base run's; √κ with λ left alone must miss its mean.

    What β₂ has to do shows on signal alone, as white noise of one size gives the same v with any.
    """
    import ematheory as em

    run = partial(em.simulate, replicas=REPLICAS[tier], seed=chosen_seed(SEED))
    findings: list[Finding] = []
    isa = ""
    for label, rule in RULES.items():
        runs = pair(run, rule, SIZE, rule.powers())
        isa = engine(runs[0])
        findings += judged(label, rule, runs, REPLICAS[tier])
    rule = RULES["AdamW on noise, per LR"]
    alone = pair(run, rule, SIZE, {**rule.powers(), "lambda": 0.0})
    return Evidence((*findings, control(alone, REPLICAS[tier])), (chosen_seed(SEED),), isa=isa)


def judged(label: str, rule: Rule, runs: list[xr.Dataset], n: int) -> list[Finding]:
    """What was simulated at one size, and how exact moments come together as η → 0."""
    import ematheory as em

    exact = {size: pair(em.predict, rule, size, rule.powers()) for size in SMALL}
    found: list[Finding] = []
    for name in moments(runs):
        distances = [float(np.sqrt(np.mean(apart(each, name) ** 2))) for each in exact.values()]
        found += [
            together(label, rule, runs, n, name, exact[SMALL[0]]),
            Order(f"{label}: {name}, distance from the base run's, by η", SMALL, distances, 1.0),
        ]
    return found


def moments(runs: list[xr.Dataset]) -> list[str]:
    return [each for each in ("weight_mean", "weight_variance") if each in runs[0]]


def together(label: str, rule: Rule, runs: list[xr.Dataset], n: int, name: str, coarse: list[xr.Dataset]) -> Sampled:
    """A moment at 4 times the batch over the base run's.

    The rule holds to first order. What it leaves out is twice what the claimed order makes of the exact moments'
    distance at a size 8 times as large, `coarse`, and with Adam what a running v does to both runs by its fluctuations
    (C40).
    """
    left = 2 * np.abs(apart(coarse, name)).max() * SIZE / SMALL[0]
    left += 0.0 if rule.signal or "c_2" not in rule.powers() else fluctuations(rule)
    off = apart(runs, name)
    errors = np.hypot(*((each[f"{name}_sem"] / each[name]).values for each in runs)) * (1 + off)
    return Sampled(f"{label}: {name} over the base run's, less 1", off, 0.0, errors, n, RESOLUTION, left)


def fluctuations(rule: Rule) -> float:
    """By how much the derived factors of drift and noise, to first order in 1 − β₂, differ between the two batches."""
    from ...derivations import derive

    powers, base = rule.powers(), rule.base(SIZE)
    closure = derive("moment-closure")
    changes = []
    for factor in ("drift_factor", "noise_factor"):
        one, other = (
            float(closure.function(factor)(one_minus_beta1=base["c_1"] * k ** powers["c_1"],
                                           one_minus_beta2=base["c_2"] * k ** powers["c_2"]))
            for k in (1, KAPPA)
        )  # fmt: skip
        changes.append(abs(other / one - 1))
    return sum(changes)


def control(runs: list[xr.Dataset], n: int) -> Fails:
    """The mean at the end of the run, with the square root rule but λ as it was."""
    base, scaled = (run.isel(step=-1) for run in runs)
    error = np.hypot(base.weight_mean_sem, scaled.weight_mean_sem)
    off = float(abs(scaled.weight_mean - base.weight_mean) / error)
    return Fails("AdamW on noise, λ left alone: mean weight", off, critical_value(1, n - 1), n, "in standard errors")


def trained(tier: str) -> Evidence:
    """The rules in torch.optim, on the same quadratic with noise of its own; per-LR decay of SGD by multiplication."""
    import ematheory as em

    n = COPIES[tier]
    run = partial(in_torch, copies=n)
    findings: list[Finding] = []
    curves = []
    for label, rule in list(RULES.items())[:: TORCH_EVERY[tier]]:
        runs, coarse = pair(run, rule, SIZE, rule.powers()), pair(em.predict, rule, SMALL[0], rule.powers())
        findings += [together(f"torch.optim, {label}", rule, runs, n, name, coarse) for name in moments(runs)]
        base, scaled = (each.weight_mean for each in runs)
        curves.append(Curve(label, SHARES, base.values, scaled.values))
    rule = RULES["AdamW on noise, per LR"]
    alone = control(pair(run, rule, SIZE, {**rule.powers(), "lambda": 0.0}), n)
    figure = Figure(
        "torch.optim at 4 times the batch; predicted: as at the base's", "share of the run", "mean weight",
        tuple(curves), log_y=True,
    )  # fmt: skip
    return Evidence((*findings, alone), (chosen_seed(SEED),), (figure,))


def in_torch(
    problem: NoisyQuadratic, optimizer: Any, *, steps: int, record: list[int], observables: Any, schedule: Any,
    copies: int,
) -> xr.Dataset:  # fmt: skip
    """As `simulate`, of one coordinate: its mean and variance over copies, with standard errors."""
    from ...training import crosschecks

    weights = crosschecks.quadratic_run(
        problem, optimizer, steps=steps, record=record, schedule=schedule, copies=copies, seed=chosen_seed(SEED)
    )
    centred = weights - weights.mean(axis=1, keepdims=True)
    variance = (centred**2).sum(axis=1) / (copies - 1)
    values = {
        "weight_mean": weights.mean(axis=1),
        "weight_mean_sem": np.sqrt(variance / copies),
        "weight_variance": variance,
        "weight_variance_sem": np.sqrt(((centred**4).mean(axis=1) - variance**2) / copies),
    }
    kept = {name: value for name, value in values.items() if name.removesuffix("_sem") in observables}
    return xr.Dataset({name: (("step", "coordinate"), value[:, None]) for name, value in kept.items()})


CLAIM = Claim(
    id="C14",
    paper="malladi2022",
    statement=(
        "To keep drift, diffusion, memory and decay per sample at a batch B: SGD η ∝ B and λ as it is; SGD with "
        "momentum 1−μ ∝ B and η ∝ B², with λ as it is for L2 and λ ∝ 1/B per LR; Adam(W) on noise η ∝ √B, 1−β ∝ B, "
        "ε ∝ 1/√B, with λ ∝ √B per LR, λ_ind ∝ B independent of it and λ as it is for L2; Adam(W) on signal η ∝ B, "
        "1−β ∝ B, with λ and ε as they are. On a network with noisy gradients AdamW's rule on noise at 4 "
        "times the batch comes at least twice as near to the test loss as with λ left alone."
    ),
    source="Malladi et al., arXiv 2205.10287, for Adam's η, β and ε; decay and the other optimizers: THEORY.md §5",
    assumptions=(
        "white noise of variance S/B", "√v held at its mean square (β₂ near 1)", "small ηλ, 1−β and 1−μ for the powers",
        "networks: digits with two in five classes wrong",
    ),
    kinds=("asymptotic", "empirical"),
    levels={
        "symbolic": Level(proof(*DERIVATIONS)),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch", "sklearn")),
        "networks": Level(batch_of_networks.trained, tiers=("quick", "full"), needs=("torch", "sklearn")),
    },
)  # fmt: skip
