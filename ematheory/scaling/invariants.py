"""What a scaling rule may keep: monomials in the hyperparameters, the batch, the data and the shape of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..derivations.exponents import Powers
from ..power_laws import POWER_LINES
from ..records import check_choice

# What the solver may change, and the letter of each. For SGD the momentum μ stands in β₁'s place.
UNKNOWNS: Mapping[str, str] = {
    "lr": "η", "weight_decay": "λ", "one_minus_beta1": "(1−β₁)", "one_minus_beta2": "(1−β₂)", "eps": "ε",
    "one_minus_ema": "(1−ρ)", "init_std": "σ_init",
}  # fmt: skip
# What the user changes. D = N·E, the data of the whole run, is no axis of its own.
AXES: Mapping[str, str] = {
    "batch_size": "B", "dataset_size": "N", "epochs": "E", "width": "m", "depth": "L", "parameters": "P",
}  # fmt: skip
LATEX: Mapping[str, str] = {
    "lr": r"\eta", "weight_decay": r"\lambda", "one_minus_beta1": r"(1-\beta_1)", "one_minus_beta2": r"(1-\beta_2)",
    "eps": r"\epsilon", "one_minus_ema": r"(1-\rho)", "init_std": r"\sigma_{\mathrm{init}}", "batch_size": "B",
    "dataset_size": "N", "epochs": "E", "width": "m", "depth": "L", "parameters": "P",
}  # fmt: skip


@dataclass(frozen=True)
class Invariant:
    """A monomial that a rule keeps constant.

    powers : the exponent of each hyperparameter and axis in it.
    meaning : what it is, in words with its unit.
    source : where it comes from.
    finite : what keeping it means exactly, for a finite factor κ of the number of samples per step: ``"decay"``: 1 − ηλ
        becomes (1 − ηλ)^κ; ``"beta1"``, ``"beta2"``, ``"ema"``: β becomes β^κ; "" where the monomial itself is kept.
    """

    name: str
    powers: Powers
    meaning: str
    source: str
    finite: str = ""

    @property
    def formula(self) -> str:
        """The monomial in letters."""
        return monomial(self.powers)


SUPERSCRIPT = str.maketrans("0123456789-/.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᐟ·")


def monomial(powers: Powers) -> str:
    """``η¹ᐟ²·B⁻¹`` for {"lr": 1/2, "batch_size": −1}."""
    letters = {**UNKNOWNS, **AXES}
    factors = [
        letters[name] + ("" if power == 1 else shown(power).translate(SUPERSCRIPT))
        for name, power in powers.items()
        if power
    ]
    return "·".join(factors) or "1"


def shown(power: Fraction) -> str:
    """``1/2``, and ``0.527`` for what was fitted."""
    return str(power) if power.denominator < 10 else f"{float(power):g}"


def invariant(name: str, meaning: str, source: str, finite: str = "", **powers: float | Fraction) -> Invariant:
    """An invariant from keyword exponents; `data` stands for D = N·E."""
    data = Fraction(powers.pop("data", 0))
    exact = {key: Fraction(value) for key, value in powers.items()}
    if data:
        exact |= {axis: exact.get(axis, Fraction(0)) + data for axis in ("dataset_size", "epochs")}
    return Invariant(name, exact, meaning, source, finite)


def power_law_timescale(exponent: Fraction) -> Invariant:
    """B/(ηλD) over TPP^exponent, TPP = D/P."""
    return invariant(
        "power_law_timescale", f"B/(ηλD) over the power law TPP^{float(exponent):g}, TPP = D/P".replace("^-", "^−"),
        "arXiv 2505.13738, read in a secondary source", "decay",
        lr=-1, weight_decay=-1, batch_size=1, data=-1 - exponent, parameters=exponent,
    )  # fmt: skip


HALF = Fraction(1, 2)
NOISE = "derivation scaling-adam-noise"
ADAM = f"Malladi et al., arXiv 2205.10287, noise-dominated gradients; {NOISE}"
SIGNAL = "derivation scaling-adam-signal"
SGD = "derivation scaling-sgd; with momentum, scaling-momentum"
MU_P = "Yang et al., arXiv 2203.03466; derivation width-decay"

INVARIANTS: Mapping[str, Invariant] = {
    each.name: each
    for each in (
        invariant("lr", "the learning rate η itself", "definition", lr=1),
        invariant("weight_decay", "the weight decay λ itself", "definition", weight_decay=1),
        invariant("beta1", "β₁ itself", "definition", one_minus_beta1=1),
        invariant("beta2", "β₂ itself", "definition", one_minus_beta2=1),
        invariant("eps", "ε itself", "definition", eps=1),
        invariant("init_std", "σ_init, the standard deviation of the initial weights", "definition", init_std=1),
        invariant(
            "timescale_steps", "the timescale 1/(ηλ), steps", "Wang & Aitchison, arXiv 2405.13698", "decay",
            lr=-1, weight_decay=-1,
        ),
        invariant(
            "timescale_samples", "the timescale B/(ηλ), samples or tokens", "arXiv 2405.13698", "decay",
            lr=-1, weight_decay=-1, batch_size=1,
        ),
        invariant(
            "timescale_epochs", "the timescale B/(ηλN), epochs", "arXiv 2405.13698", "decay",
            lr=-1, weight_decay=-1, batch_size=1, dataset_size=-1,
        ),
        invariant(
            "run_fraction", "the timescale B/(ηλD), share of the run", "Bergsma et al., arXiv 2505.13738", "decay",
            lr=-1, weight_decay=-1, batch_size=1, data=-1,
        ),
        invariant(
            "normalised_decay", "ηλ√(D/B), Loshchilov & Hutter's normalised decay",
            "arXiv 1711.05101; derivation normalised-decay",
            lr=1, weight_decay=1, batch_size=-HALF, data=HALF,
        ),
        power_law_timescale(Fraction(str(POWER_LINES.exponent))),
        invariant("adam_drift", "Adam's drift per sample, η√B/B", ADAM, lr=1, batch_size=-HALF),
        invariant("adam_diffusion", "Adam's diffusion per sample, η²/B", ADAM, lr=2, batch_size=-1),
        invariant("adam_signal_drift", "Adam's drift per sample where gradients are signal, η/B", SIGNAL,
                  lr=1, batch_size=-1),
        invariant("adam_l2_decay", "the decay per sample of Adam with L2, ηλ√B/B", NOISE,
                  lr=1, weight_decay=1, batch_size=-HALF),
        invariant("sgd_drift", "SGD's drift per sample, η/((1−μ)B)", SGD, lr=1, one_minus_beta1=-1, batch_size=-1),
        invariant("sgd_diffusion", "SGD's diffusion per sample, (η/((1−μ)B))²", SGD,
                  lr=2, one_minus_beta1=-2, batch_size=-2),
        invariant("sgd_l2_decay", "the decay per sample of SGD with L2, ηλ/((1−μ)B)", SGD,
                  lr=1, weight_decay=1, one_minus_beta1=-1, batch_size=-1),
        invariant("momentum_memory", "the memory of β₁, B/(1−β₁) samples", ADAM, "beta1",
                  one_minus_beta1=-1, batch_size=1),
        invariant("second_moment_memory", "the memory of β₂, B/(1−β₂) samples", ADAM, "beta2",
                  one_minus_beta2=-1, batch_size=1),
        invariant("ema_memory", "the memory of the model's EMA, B/(1−ρ) samples",
                  "Busbridge et al., arXiv 2307.13813; derivation scaling-model-ema", "ema",
                  one_minus_ema=-1, batch_size=1),
        invariant("epsilon_share", "ε beside √v where gradients are noise, ε√B", ADAM, eps=1, batch_size=HALF),
        invariant("epsilon_width", "ε beside √v at any width, ε·m", "Dey et al., arXiv 2505.01618", eps=1, width=1),
        invariant("epsilon_depth", "ε beside √v at any width and depth, ε·m·L", "arXiv 2505.01618, from memory",
                  eps=1, width=1, depth=1),
        invariant("rotation", "the rotation per step at equilibrium, √(ηλ) at given β₁",
                  "Kosson et al., arXiv 2305.17212", lr=HALF, weight_decay=HALF),
        invariant("equilibrium_norm", "the weights' norm at equilibrium, √(η/λ)", "arXiv 2305.17212",
                  lr=HALF, weight_decay=-HALF),
        invariant("relative_update", "the first updates beside the initial weights, η/σ_init", "arXiv 2405.13698, §E9",
                  lr=1, init_std=-1),
        invariant("feature_learning", "the change of a hidden layer's output by an update, η·m", MU_P, lr=1, width=1),
        invariant("init_variance", "the variance of a hidden layer's output at the start, σ_init·√m", MU_P,
                  init_std=1, width=HALF),
        invariant("sublayer_gain", "the gain of a sub-layer at equilibrium, √(η/λ)·m^¾",
                  "Fan et al., arXiv 2510.15262; derivation width-decay",
                  lr=HALF, weight_decay=-HALF, width=Fraction(3, 4)),
    )
}  # fmt: skip


def find(name: str) -> Invariant:
    """The invariant called `name`. Raises `ValueError` listing the known ones."""
    check_choice("invariant", name, INVARIANTS)
    return INVARIANTS[name]
