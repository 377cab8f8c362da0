"""Weights as averages of updates or gradients: each level is refuted when the average is another."""

from __future__ import annotations

import importlib
from itertools import product

import numpy as np
import pytest
from breaking import by, small, verdict

import ematheory as em
from ematheory.claims import Evidence
from ematheory.claims.li2019 import exponential
from ematheory.claims.loshchilov2019 import momentum as momentum_l2
from ematheory.claims.wang2025 import average, gradients, horizon, invariance, kernels


def test_average_numeric(monkeypatch):
    small(monkeypatch, average, STEPS=10, PRODUCTS=50)
    assert verdict(average.numeric("smoke")) == "confirmed"
    right = average.followed
    monkeypatch.setattr(average, "followed", lambda *given: (right(*given)[0], [u * 1.0001 for u in right(*given)[1]]))
    assert verdict(average.numeric("smoke")) == "refuted"


def test_average_coefficients(monkeypatch):
    timescales = importlib.import_module("ematheory.timescales")
    right = timescales.ema_coefficients
    monkeypatch.setattr(
        timescales, "ema_coefficients", lambda lr, decay: (right(lr, decay)[0], right(lr, decay)[1] * (1 + 1e-12))
    )
    assert verdict(Evidence((average.coefficients_agree(average.SCHEDULES[1], 50),))) == "refuted"


def test_average_trained(monkeypatch):
    small(monkeypatch, average, EPOCHS=1, WIDTH=8, EXAMPLES=32)
    found = average.trained("smoke")
    assert verdict(found) == "confirmed"
    named = " ".join(finding.what for finding in found.findings)
    for network, dtype in product(("MLP", "ResNet", "ViT", "GPT"), ("float64", "float32")):
        assert f"{network}, {dtype}" in named
    monkeypatch.setattr(average, "AdamW", average.Adam)
    assert verdict(average.trained("smoke")) == "refuted"


def test_double_average_numeric(monkeypatch):
    right = gradients.corrected_kernel
    monkeypatch.setattr(gradients, "corrected_kernel", lambda a, b, n: right(a, b, n) * (1 + 1e-12))
    assert verdict(Evidence((gradients.pulses(0.9, "smoke"),))) == "refuted"


def uncorrected(alpha, beta1, steps):
    """The double average without bias correction."""
    lags = np.arange(steps)
    return alpha * (1 - beta1) * np.convolve((1 - alpha) ** lags, beta1**lags)[:steps][::-1]


def scaled(alpha, beta1, steps, right=gradients.corrected_kernel):
    return 1.03 * right(alpha, beta1, steps)


@pytest.mark.parametrize("wrong", [uncorrected, scaled])
def test_double_average_simulated(monkeypatch, wrong):
    monkeypatch.setattr(gradients, "RECORD", (0, 1, 5, 50))
    monkeypatch.setattr(gradients, "corrected_kernel", wrong)
    assert verdict(gradients.simulated("smoke")) == "refuted"


def test_invariance_trained(monkeypatch):
    small(monkeypatch, invariance, EPOCHS=1, WIDTH=8)
    assert verdict(invariance.trained("smoke")) == "confirmed"
    monkeypatch.setattr(invariance, "SCALES", (3.0,))
    assert verdict(invariance.trained("smoke")) == "refuted"


def test_invariance_simulated(monkeypatch):
    """Twins part by a rounding where c is no power of two, and by far more where λ is not divided by c."""
    assert verdict(invariance.simulated("smoke")) == "confirmed"
    with monkeypatch.context() as patch:
        patch.setattr(invariance, "SCALES", (3.0,))
        assert verdict(invariance.simulated("smoke")) == "refuted"
    with monkeypatch.context() as patch:
        right = invariance.derived
        patch.setattr(invariance, "derived", lambda *names, **given: (1 + 1e-9) * right(*names, **given))
        assert verdict(invariance.simulated("smoke")) == "refuted"
    monkeypatch.setattr(
        invariance,
        "rescaled",
        lambda scale, rescale_eps=True: em.AdamW(
            lr=0.01 * scale, weight_decay=0.5, betas=(0.9, 0.99), eps=0.02 / scale if rescale_eps else 0.02
        ),
    )
    assert verdict(invariance.simulated("smoke")) == "refuted"


@pytest.mark.parametrize("result", ["density", "initial_weight_left", "initial_weight_error"])
def test_kernels_orders(monkeypatch, result):
    def wrong(case, asked, right=kernels.Case.derived, **place):
        return right(case, asked, **place) * (1.01 if asked == result else 1.0)

    steps = [512 * 2**k for k in range(5)]
    assert verdict(Evidence(tuple(kernels.orders("cosine", kernels.CASES["cosine to 0.1"], steps)))) == "confirmed"
    monkeypatch.setattr(kernels.Case, "derived", wrong)
    assert verdict(Evidence(tuple(kernels.orders("cosine", kernels.CASES["cosine to 0.1"], steps)))) == "refuted"


def test_kernels_uniform(monkeypatch):
    monkeypatch.setattr(kernels, "Harmonic", lambda timescale: em.Harmonic(timescale=1.001 * timescale))
    assert verdict(Evidence((kernels.uniform(1000),))) == "refuted"


def test_kernels_trained(monkeypatch):
    small(monkeypatch, kernels, TORCH_STEPS=50)
    assert verdict(kernels.trained("smoke")) == "confirmed"
    module = importlib.import_module("ematheory.training.crosschecks.kernels")
    right = module.ema_coefficients
    monkeypatch.setattr(module, "ema_coefficients", lambda lr, decay: right(lr, decay * (1 + 1e-9)))
    assert verdict(kernels.trained("smoke")) == "refuted"


def nesterov(**given):
    """SGD in Nesterov's form: other rates from the same μ and λ."""
    return em.SGD(**given, nesterov=True)


def test_double_average_of_l2(monkeypatch):
    """Nesterov's form is another average, and a wave with another period is not the run's."""
    monkeypatch.setattr(momentum_l2, "SGD", nesterov)
    assert verdict(momentum_l2.simulated("smoke")) == "refuted"
    monkeypatch.undo()
    right = momentum_l2.wave
    monkeypatch.setattr(momentum_l2, "wave", lambda momentum, rate, steps: right(momentum, 1.05 * rate, steps))
    assert verdict(momentum_l2.simulated("smoke")) == "refuted"


@pytest.mark.parametrize("case", range(4))
def test_exponential_rates_trained(monkeypatch, case):
    """torch's weights tell rates that are off by 1e-9 in any of the four recipes."""
    assert verdict(exponential.trained("smoke")) == "confirmed"
    right = exponential.pairs

    def wrong(steps):
        cases = right(steps)
        name = list(cases)[case]
        followed = cases[name].followed
        return {name: cases[name]._replace(followed={**followed, "rates": (1 + 1e-9) * followed["rates"]})}

    monkeypatch.setattr(exponential, "pairs", wrong)
    assert verdict(exponential.trained("smoke")) == "refuted"


def test_sharp_directions_trained(monkeypatch):
    assert verdict(horizon.trained("smoke")) == "confirmed"
    monkeypatch.setattr(horizon, "slow_rate", by(1 + 1e-5, horizon.slow_rate))
    assert verdict(horizon.trained("smoke")) == "refuted"
    monkeypatch.setattr(horizon, "V_HELD", 1.0)
    monkeypatch.setattr(horizon, "slow_rate", by(1.1, horizon.slow_rate))
    assert verdict(horizon.trained("smoke")) == "refuted"


@pytest.mark.parametrize("form", ["averages", "wave"])
def test_momentum_l2_trained(monkeypatch, form):
    """torch's weights tell a rate that is off by 1e-9."""
    assert verdict(momentum_l2.trained("smoke")) == "confirmed"
    right = getattr(momentum_l2, form)
    monkeypatch.setattr(
        momentum_l2, form, lambda momentum, rate, steps: right(momentum, (1 + 1e-9) * rate, steps)
    )  # fmt: skip
    assert verdict(momentum_l2.trained("smoke")) == "refuted"
