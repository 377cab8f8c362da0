"""C20: norms fall and gradients grow while the learning rate decays; AdamC's corrected decay removes that."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD, AdamC, AdamW
from ...problems import ScaleInvariant
from ...schedules import Harmonic
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Figure, Finding, Order, Sampled
from ..paired import over_vectors
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import curves, derived, engine, replicas, sampled
from . import late_gradients_of_networks

# ηλ at the peak, and how slowly η falls: by a share of SLOW·ηλ a step, always, so that 1/η grows evenly with time.
RATE, SLOW, HALVINGS = 0.01, 0.1, 3
LR, FORGET2, SIZE, SEED = 0.1, 1 / 32, 512, 20
REPLICAS = {"smoke": 32, "quick": 256, "full": 1024}
# In torch, where gradients are averaged over so many steps up to a halving.
TORCH_SIZE, AVERAGED = 128, 10
VECTORS, TORCH_HALVINGS = {"smoke": 32, "quick": 96, "full": 256}, {"smoke": 2, "quick": 3, "full": 3}
# In an exponent, of which the claimed ones are 1/4 apart at least, and relative elsewhere.
RESOLUTION = 0.1
# Factors of both RATE and SLOW, by which the power law is approached.
SMALL = tuple(4.0 / 2**k for k in range(5))


class Fall(NamedTuple):
    """A learning rate that halves `HALVINGS` times: the run's length, its schedule, and the steps of the halvings."""

    steps: int
    schedule: Harmonic
    record: list[int]

    def rates(self) -> FloatArray:
        """η of the updates that led to the records."""
        return np.asarray(LR * self.schedule.multipliers(self.steps)[np.array(self.record) - 1])


def fall(share: float, halvings: int = HALVINGS) -> Fall:
    """η = η_max/(1 + share·t), until it has halved so often."""
    record = [round((2**k - 1) / share) for k in range(1, halvings + 1)]
    return Fall(record[-1], Harmonic(timescale=1 / (share * record[-1])), record)


def norms(rates: FloatArray, decays: FloatArray) -> FloatArray:
    """‖w‖ after each step of SGD, ‖w‖² ← (1 − η_tλ_t)²‖w‖² + η_t²E‖g̃‖²/‖w‖², from rest at the peak."""
    squares = [at_peak() ** 2]
    for eta, shrink in zip(rates, rates * decays, strict=True):
        squares.append((1 - shrink) ** 2 * squares[-1] + eta**2 * (SIZE - 1) / squares[-1])
    return np.sqrt(squares)


def at_peak(size: int = SIZE) -> float:
    """SGD's derived norm at rest at the peak rate."""
    given = {"lr": LR, "decay_per_step": RATE, "gradient_square": size - 1.0}
    return float(derived("scale-invariant-sgd", "weight_norm", **given))


def rest_of_adamw(size: int = SIZE) -> float:
    """AdamW's derived norm at rest at the peak rate."""
    rest = derived("adamw-random-walk", "weight_rms", lr=LR, decay_per_step=RATE, one_minus_beta1=1.0)
    return float(float(rest) * size**0.5)


def simulated(tier: str) -> Evidence:
    """Norms and gradients of SGD and AdamW while η halves again and again, with λ as it is and corrected."""
    course = fall(SLOW * RATE)
    runs = {(name, cured): run(name, cured, course, tier) for name in ("sgd", "adamw") for cured in (False, True)}
    findings = [each for (name, cured), seen in runs.items() for each in exponents(name, cured, seen, course)]
    for cured in (False, True):
        findings += sgd(runs["sgd", cured], cured, course)
    joined = xr.concat([runs["sgd", False], runs["sgd", True]], "decay", combine_attrs="override")
    expected = xr.DataArray([mapped(cured, course) for cured in (False, True)], dims=("decay", "step"))
    drawn = curves(joined, "weight_norm", expected, "decay", ["λ", "λη_t/η_max"])
    figure = Figure("Norm of SGD's weights while η halves three times", "step", "‖w‖", drawn)
    return Evidence((*findings, power_law()), (chosen_seed(SEED),), (figure,), engine(runs["sgd", False]))


def run(name: str, cured: bool, course: Fall, tier: str) -> xr.Dataset:
    """One optimizer from its rest at the peak rate; ‖g‖ joins the observables, from what the engine measures."""
    import ematheory as em

    if name == "sgd":
        optimizer: Any = SGD(lr=LR, weight_decay=RATE / LR)
        start, observed = at_peak(), "update_ratio"
    else:
        optimizer = (AdamC if cured else AdamW)(
            lr=LR, weight_decay=RATE / LR, beta1=0.0, beta2=1 - FORGET2, eps=0.0
        )  # fmt: skip
        start, observed = rest_of_adamw(), "first_moment_mean_square"
    seen = em.simulate(
        ScaleInvariant(size=SIZE, init=start / SIZE**0.5), optimizer, steps=course.steps, schedule=course.schedule,
        decay_schedule=course.schedule if cured and name == "sgd" else None, record=course.record,
        observables=("weight_norm", observed), replicas=REPLICAS[tier], seed=chosen_seed(SEED),
    )  # fmt: skip
    return with_gradient(seen, cured, course)


def with_gradient(seen: xr.Dataset, cured: bool, course: Fall) -> xr.Dataset:
    """‖g‖ and its standard error: of SGD from a step ηg at right angles to a decay ηλw, of AdamW from m = g."""
    if "update_ratio" in seen:
        rates = course.rates()
        decay = RATE / LR * (rates / LR if cured else 1.0)
        ratio = np.sqrt((seen.update_ratio / rates) ** 2 - decay**2)
        # ‖g‖ varies by far more between replicas than ‖w‖ does.
        error = seen.update_ratio / rates**2 * seen.update_ratio_sem / ratio * seen.weight_norm
        return seen.assign(gradient_norm=ratio * seen.weight_norm, gradient_norm_sem=error)
    square = SIZE * seen.first_moment_mean_square
    error = SIZE * seen.first_moment_mean_square_sem / (2 * np.sqrt(square))
    return seen.assign(gradient_norm=np.sqrt(square), gradient_norm_sem=error)


def exponents(name: str, cured: bool, seen: xr.Dataset, course: Fall) -> list[Finding]:
    """Powers of η between one halving and the next against the derived ones, or against 0 with corrected decay.

    They are limits: what is left out is of first order in ηλ, and with AdamW's running v in how far η falls while v
    forgets, with coefficients below 1.
    """
    apart = np.diff(np.log(course.rates()))
    allowance = RATE + (SLOW * RATE / FORGET2 if name == "adamw" else 0.0)
    found: list[Finding] = []
    for what, observable in (("norm", "weight_norm"), ("gradient", "gradient_norm")):
        values = seen[observable].values
        relative = seen[f"{observable}_sem"].values / values
        claimed = claimed_power(name, what, cured)
        label = f"{name}'s {what} as a power of η, decay {'λη_t/η_max' if cured else 'λ'}"
        found.append(
            Sampled(
                label, np.diff(np.log(values)) / apart, claimed, np.hypot(relative[1:], relative[:-1]) / abs(apart),
                replicas(seen), RESOLUTION, allowance,
            )
        )  # fmt: skip
    return found


def mapped(cured: bool, course: Fall) -> FloatArray:
    """SGD's ‖w‖ at the records by the exact map of one step."""
    multipliers = course.schedule.multipliers(course.steps)
    decays = RATE / LR * (multipliers if cured else np.ones(course.steps))
    return norms(LR * multipliers, decays)[course.record]


def sgd(seen: xr.Dataset, cured: bool, course: Fall) -> list[Finding]:
    """SGD's norm against the exact map, and ‖g‖/‖w‖ against the derived ratio, a limit in ηλ and in SLOW."""
    label = "λη_t/η_max" if cured else "λ"
    exact = xr.DataArray(mapped(cured, course), dims="step", coords={"step": seen.step})
    along = xr.DataArray(course.rates(), dims="step", coords={"step": seen.step})
    if cured:
        law = derived("slow-decay", "gradient_to_weight_corrected", weight_decay=RATE / LR, peak_lr=LR + 0 * along)
    else:
        law = derived("slow-decay", "gradient_to_weight", lr=along, weight_decay=RATE / LR)
    ratio = Sampled(
        f"‖g‖/‖w‖ of SGD, decay {label}", (seen.gradient_norm / seen.weight_norm).values, law.values,
        (seen.gradient_norm_sem / seen.weight_norm).values, replicas(seen), RESOLUTION * law.values,
        (RATE + SLOW + 2 / SIZE) * law.values,
    )  # fmt: skip
    norm = sampled(
        f"‖w‖ of SGD by the map of one step, decay {label}", seen, "weight_norm", exact,
        resolution=RESOLUTION * exact, allowance=2 / SIZE * exact,
    )  # fmt: skip
    return [norm, ratio]


def power_law() -> Order:
    """The map's ‖w‖ at the end over η^{1/4} from rest, by ηλ and by how slowly η falls, halved together."""
    off = []
    for factor in SMALL:
        course = fall(SLOW * RATE * factor**2)
        multipliers = course.schedule.multipliers(course.steps)
        end = norms(LR * multipliers, np.full(course.steps, factor * RATE / LR))[-1]
        last = course.rates()[-1]
        given = {"lr": last, "decay_per_step": factor * RATE * last / LR, "gradient_square": SIZE - 1.0}
        off.append(abs(end / float(derived("scale-invariant-sgd", "weight_norm", **given)) - 1))
    return Order("SGD's norm over that at rest, by ηλ and by d ln η/d(ηλt)", SMALL, off, 1.0)


def trained(tier: str) -> Evidence:
    """torch.optim.SGD and AdamW while η halves again and again; λ_t is set in the param group before each step."""
    course = fall(SLOW * RATE, TORCH_HALVINGS[tier])
    findings: list[Finding] = []
    curves = []
    for name in ("sgd", "adamw"):
        for cured in (False, True):
            walk = walked_in_torch(name, cured, course, tier)
            findings += torch_exponents(name, cured, walk, course)
            label = f"{'SGD' if name == 'sgd' else 'AdamW'}, decay {'λη_t/η_max' if cured else 'λ'}"
            curves.append(fallen(label, name, cured, walk, course))
    figure = Figure(
        "Gradient norm while η halves, over that at its first halving", "η", "‖g‖ over the first", tuple(curves),
        log_x=True, log_y=True,
    )  # fmt: skip
    return Evidence(tuple(findings), (chosen_seed(SEED),), (figure,))


def walked_in_torch(name: str, cured: bool, course: Fall, tier: str) -> Any:
    """From rest at the peak rate, as `run` has it."""
    from ...training import crosschecks

    multipliers = course.schedule.multipliers(course.steps)
    decays = RATE / LR * (multipliers if cured else np.ones(course.steps))
    adam: dict[str, Any] = {} if name == "sgd" else {"betas": (0.0, 1 - FORGET2), "eps": 0.0}
    return crosschecks.tangential_walk(
        name, LR * multipliers, decays, start=(at_peak if name == "sgd" else rest_of_adamw)(TORCH_SIZE),
        vectors=VECTORS[tier], size=TORCH_SIZE, record=steps_up_to_halvings(course), seed=chosen_seed(SEED), **adam,
    )  # fmt: skip


def steps_up_to_halvings(course: Fall) -> list[int]:
    return [step - before for step in course.record for before in reversed(range(AVERAGED))]


def over_halvings(values: FloatArray) -> FloatArray:
    """The means over the steps up to each halving, shape (halvings, …)."""
    return np.asarray(values.reshape(-1, AVERAGED, *values.shape[1:]).mean(axis=1))


def torch_exponents(name: str, cured: bool, walk: Any, course: Fall) -> list[Finding]:
    """Each vector's powers of η from one halving to the next, against the same as `exponents` has."""
    apart = np.diff(np.log(torch_rates(course)))[:, None]
    allowance = RATE + (SLOW * RATE / FORGET2 if name == "adamw" else 0.0)
    return [
        over_vectors(
            f"torch.optim, {name}'s {what} as a power of η, decay {'λη_t/η_max' if cured else 'λ'}",
            np.diff(np.log(over_halvings(values)), axis=0) / apart, claimed_power(name, what, cured),
            resolution=RESOLUTION, allowance=allowance,
        )
        for what, values in (("norm", walk.norm), ("gradient", walk.gradient_norm))
    ]  # fmt: skip


def claimed_power(name: str, what: str, cured: bool) -> float:
    """The derived power of η, or 0 with corrected decay."""
    return 0.0 if cured else float(derived("slow-decay", f"{name}_{what}_exponent"))


def torch_rates(course: Fall) -> FloatArray:
    """η over the steps up to each halving."""
    steps = np.array(steps_up_to_halvings(course))
    return over_halvings(LR * course.schedule.multipliers(course.steps)[steps - 1])


def fallen(label: str, name: str, cured: bool, walk: Any, course: Fall) -> Curve:
    """‖g‖ over that at the first record."""
    norms, rates = over_halvings(walk.gradient_norm), torch_rates(course)
    seen = norms / norms.mean(-1)[0]
    law = (rates / rates[0]) ** claimed_power(name, "gradient", cured)
    return Curve(label, rates, law, seen.mean(-1), seen.std(-1, ddof=1) / seen.shape[-1] ** 0.5)


CLAIM = Claim(
    id="C20",
    paper="defazio2025",
    statement=(
        "On scale-invariant weights a slowly falling η makes ‖w‖ ∝ η^{1/4} and ‖g‖ ∝ η^{−1/4} with SGD, η^{1/2} and "
        "η^{−1/2} with AdamW; SGD's ‖g‖/‖w‖ is √(2λ/η). The decay λη_t/η_max keeps all of them. On a scale-invariant "
        "network whose gradients do not die out, AdamW's grow in every layer as η falls to 0; AdamC's, as a whole, do "
        "not, and grow by less than half as much, in logarithm, in each layer."
    ),
    source="Defazio, arXiv 2506.02285; THEORY.md R8",
    assumptions=(
        "scale-invariant weights, white gradients",
        "ηλ → 0",
        "η changes slowly against 1/(ηλ)",
        "networks: digits with two in five classes wrong, that they cannot learn by heart",
    ),
    kinds=("asymptotic", "empirical"),
    levels={
        "symbolic": Level(proof("scale-invariant-sgd", "slow-decay")),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch", "sklearn")),
        "networks": Level(late_gradients_of_networks.trained, tiers=("quick", "full"), needs=("torch", "sklearn")),
    },
)
