"""The EMA identity holds for every convention that allows it, is refused with the reason where it does not, and is the
code's: its numbers are those of a run."""

import numpy as np
import pytest
import sympy as sp

from ematheory.derivations import derive, symbols
from ematheory.derivations.ema import decay_factor, ema_identity, require_ema_rate
from ematheory.derivations.normal_form import normal_form
from ematheory.optimizers import SGD, Adam, AdamC, AdamP, AdamW, Lion, NAdam, RMSprop, SignSGD

ALLOWED = {
    "adamw per_lr": AdamW(lr=1.0, weight_decay=0.1),
    "adamw independent": AdamW(lr=1.0, weight_decay=0.1, decay="independent"),
    "adamw corrected": AdamW(lr=1.0, weight_decay=0.1, decay="corrected"),
    "adamw decay after": AdamW(lr=1.0, weight_decay=0.1, decay_order="after"),
    "adamw eps inside": AdamW(lr=1.0, weight_decay=0.1, eps_placement="inside"),
    "adamw eps uncorrected": AdamW(lr=1.0, weight_decay=0.1, eps_placement="uncorrected"),
    "adamw uncorrected": AdamW(lr=1.0, weight_decay=0.1, bias_correction=False),
    "sgd independent": SGD(lr=1.0, momentum=0.9, weight_decay=0.1, decay="independent"),
    "lion corrected": Lion(lr=1.0, weight_decay=0.1, decay="corrected"),
    "sgd per_lr": SGD(lr=1.0, momentum=0.9, weight_decay=0.1, decay="per_lr"),
    "sgd per_lr nesterov": SGD(lr=1.0, momentum=0.9, weight_decay=0.1, decay="per_lr", nesterov=True),
    "sgd per_lr without momentum": SGD(lr=1.0, weight_decay=0.1, decay="per_lr"),
    "adamc": AdamC(lr=1.0, weight_decay=0.1),
    "lion": Lion(lr=1.0, weight_decay=0.1),
    "signsgd": SignSGD(lr=1.0, weight_decay=0.1),
    "signum": SignSGD(lr=1.0, momentum=0.9, weight_decay=0.1),
    "sgd l2 without momentum": SGD(lr=1.0, weight_decay=0.1),
}
REFUSED = {
    r"Adam with L2.*no constant multiplies the weight.*√v̂.*depends on g, m, v, w": Adam(lr=1.0, weight_decay=0.1),
    r"cautious.*switched on and off.*per_lr": AdamW(lr=1.0, weight_decay=0.1, decay="cautious"),
    r"Lion with cautious.*switched on and off": Lion(lr=1.0, weight_decay=0.1, decay="cautious"),
    r"SGD with L2.*momentum buffer.*double EMA": SGD(lr=1.0, momentum=0.9, weight_decay=0.1),
    r"AdamW.*weight_decay > 0": AdamW(lr=1.0, weight_decay=0.0),
    r"Adam .*weight_decay > 0": Adam(lr=1.0),
    r"no update direction is written down for AdamP": AdamP(lr=1.0, weight_decay=0.1),
    r"no update direction is written down for NAdam": NAdam(lr=1.0, weight_decay=0.1),
    r"NAdam with cautious.*switched on and off": NAdam(lr=1.0, weight_decay=0.1, decay="cautious"),
    r"RMSprop with L2.*no constant multiplies the weight": RMSprop(lr=1.0, weight_decay=0.1),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_the_identity_holds(case):
    report = ema_identity(ALLOWED[case]).verify(points=3)
    assert report, str(report)


@pytest.mark.parametrize("case", [case for case in ALLOWED if "l2" not in case])
def test_the_decay_read_off_the_update_is_the_records_own(case):
    stated = symbols.with_symbols(ALLOWED[case]).decay_per_step(symbols.clock())
    assert normal_form(decay_factor(ALLOWED[case]) - stated) == 0


def test_decay_after_the_step_shrinks_what_is_averaged():
    before, after = (ema_identity(AdamW(lr=1.0, weight_decay=0.1, decay_order=each)) for each in ("before", "after"))
    t = symbols.t
    kept = 1 - symbols.eta_t(t) * symbols.lam_t(t)
    ratio = after.definitions[symbols.q_t(t)] / before.definitions[symbols.q_t(t)]
    assert sp.cancel(ratio - kept) == 0
    assert "(1 − α_t) u_t" in after.statement


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_average_is_refused_with_the_reason(reason):
    with pytest.raises(ValueError, match=reason):
        ema_identity(REFUSED[reason])


def test_derive_takes_an_optimizer_for_the_identity_alone():
    assert derive("adamw-ema", SGD(lr=1.0, momentum=0.9, weight_decay=0.1, decay="per_lr")).name == "sgd-ema"
    with pytest.raises(ValueError, match=r"Adam with L2 is no EMA"):
        derive("adamw-ema", Adam(lr=1.0, weight_decay=0.1))
    with pytest.raises(ValueError, match=r"optimizer is for .*'adamw-ema'.*'theorem-1'"):
        derive("theorem-1", AdamW(lr=1.0))


def test_nothing_in_the_identity_depends_on_the_records_numbers():
    one, two = (ema_identity(AdamW(lr=lr, weight_decay=0.3)) for lr in (0.5, [1e-3, 1e-2]))
    assert [step.equation for step in one.steps] == [step.equation for step in two.steps]


@pytest.mark.parametrize("rate", [1.0, 1.5, -0.1, 0.0, np.nan, [0.1, 2.0]])
def test_rates_that_make_no_average_are_refused(rate):
    with pytest.raises(ValueError, match=r"needs 0 < lr·weight_decay < 1, got"):
        require_ema_rate(rate)


def test_the_first_refused_rate_is_named():
    with pytest.raises(ValueError, match=r"0 < eta < 1, got 2.*smaller lr"):
        require_ema_rate(np.array([0.1, 2.0, 3.0]), name="eta")
    require_ema_rate(np.array([1e-12, 0.5]))


def test_constant_rate_against_textbook_forms():
    a = 1 - 0.05 * 0.2
    rates = {"lr": 0.05, "weight_decay": 0.2}
    value = derive("constant-rate").function
    assert value("time_constant_steps")(**rates) == pytest.approx(-1 / np.log(a), rel=1e-12)
    assert value("half_life_steps")(**rates) == pytest.approx(np.log(2) / -np.log(a), rel=1e-12)
    assert value("centre_of_mass_steps")(**rates) == pytest.approx(a / (1 - a), rel=1e-12)
    assert value("window_steps")(**rates, fraction=0.9) == pytest.approx(np.log(0.1) / np.log(a), rel=1e-12)
    assert value("initial_weight_left")(**rates, steps=300) == pytest.approx(a**300, rel=1e-12)


@pytest.mark.parametrize("with_initial", [False, True])
def test_effective_sample_size_is_that_of_the_coefficients(with_initial):
    a, steps = 1 - 0.05 * 0.2, 250
    c = (1 - a) * a ** np.arange(steps)
    c = np.append(c, a**steps) if with_initial else c
    name = "effective_sample_size" + "_with_initial" * with_initial
    found = derive("constant-rate").function(name)(lr=0.05, weight_decay=0.2, steps=steps)
    assert found == pytest.approx(c.sum() ** 2 / (c**2).sum(), rel=1e-12)


def test_sequences_are_written_with_indices():
    latex = derive("adamw-ema").latex()
    assert r"\prod_{j=i + 1}^{t} \left(1 - \alpha_{j}\right)" in latex
    assert "checked" in derive("adamw-ema").text()
    assert sp.Symbol("w_0") not in derive("constant-rate").result.rhs.free_symbols
