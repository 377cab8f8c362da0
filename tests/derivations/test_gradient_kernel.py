"""The kernel on gradients: hand-computed cases, its own branch at a = β₁, moments, peak, and bias correction."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

from ematheory.derivations import derive, gradient_kernel
from ematheory.derivations import symbols as x
from ematheory.derivations.assumptions import Assumptions, between, positive
from ematheory.derivations.bias_correction import bias_corrected_coefficients
from ematheory.derivations.checks import Context, Identity
from ematheory.derivations.equations import Equation
from ematheory.derivations.evaluation import agree, evaluate
from ematheory.derivations.frozen_preconditioner import forget, rate, response
from ematheory.derivations.orders import EitherOrder
from ematheory.optimizers import AdamW
from ematheory.optimizers.optimizer import SymbolicTime

KERNEL = derive("gradient-kernel")
PAIRS = ((0.1, 0.05), (0.01, 0.3), (0.2, 0.2), (0.003, 0.1))


def point(decay, memory):
    return {x.eta: Fraction(1, 50), rate: Fraction(decay), forget: Fraction(memory)}


@pytest.mark.parametrize(
    ("decay", "memory", "lag", "value"),
    [(0.5, 0.5, 0, 0.25), (0.5, 0.5, 2, 3 / 16), (0.5, 0.75, 1, 0.375 * 0.75), (0.5, 0.75, 2, 0.375 * 0.4375)],
)
def test_kernel_by_hand(decay, memory, lag, value):
    """(1−a)(1−β₁) Σ_{i≤s} a^{s−i}β₁^i, here with a = 1/2 and β₁ = 1/2 or 1/4."""
    kernel = KERNEL.function("kernel")
    assert kernel(decay_per_step=decay, one_minus_beta1=memory, lag=lag) == pytest.approx(value, rel=1e-15)
    assert kernel(decay_per_step=memory, one_minus_beta1=decay, lag=lag) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(("decay", "memory"), PAIRS)
def test_kernel_and_moments_against_a_run(decay, memory):
    run = np.array([float(c) for c in response(point(decay, memory), 40)])
    kernel = KERNEL.function("kernel")(decay_per_step=decay, one_minus_beta1=memory, lag=np.arange(40))
    assert kernel == pytest.approx(run, rel=1e-13)
    long = KERNEL.function("kernel")(decay_per_step=decay, one_minus_beta1=memory, lag=np.arange(20_000))
    lags = np.arange(20_000)
    assert long.sum() == pytest.approx(1, rel=1e-12)
    mean = KERNEL.function("mean_lag")(decay_per_step=decay, one_minus_beta1=memory)
    assert (lags * long).sum() == pytest.approx(mean, rel=1e-12)
    variance = KERNEL.function("variance")(decay_per_step=decay, one_minus_beta1=memory)
    assert ((lags - mean) ** 2 * long).sum() == pytest.approx(variance, rel=1e-12)
    samples = KERNEL.function("effective_sample_size")(decay_per_step=decay, one_minus_beta1=memory)
    assert 1 / (long**2).sum() == pytest.approx(samples, rel=1e-12)
    peak = KERNEL.function("peak")(decay_per_step=decay, one_minus_beta1=memory)
    assert abs(long.argmax() - peak) < 1


@pytest.mark.parametrize("decay", [1e-12, 1e-6, 0.1, 0.5])
@pytest.mark.parametrize("lag", [0, 3, 10**5, 10**9])
def test_the_branch_at_equal_rates(decay, lag):
    """k_s = (1−a)²(s+1)a^s and the peak −1/ln a − 1, without a warning, and continuous with their neighbours."""
    kernel, peak = KERNEL.function("kernel"), KERNEL.function("peak")
    with mpmath.workdps(50):
        exact = mpmath.mpf(decay) ** 2 * (lag + 1) * (1 - mpmath.mpf(decay)) ** lag
        highest = -1 / mpmath.log1p(-mpmath.mpf(decay)) - 1
    with np.errstate(all="raise", under="ignore"):
        for apart in (1.0, 1 + 1e-15):
            # κ of a^s is s·ηλ/a
            near = max(1.0, lag * decay) * 1e-14
            found = kernel(decay_per_step=decay, one_minus_beta1=decay * apart, lag=lag)
            assert found == pytest.approx(float(exact), rel=near, abs=1e-290)
            found = peak(decay_per_step=decay, one_minus_beta1=decay * apart)
            assert found == pytest.approx(float(highest), rel=1e-13)


@pytest.mark.parametrize("result", ["kernel", "peak"])
@pytest.mark.parametrize(("decay", "memory"), [(0.05, 0.05), (1e-9, 1e-9 * (1 + 1e-12)), (1e-12, 1e-6), (0.5, 1e-6)])
def test_the_formula_contract_where_rates_meet(result, decay, memory):
    function = KERNEL.function(result)
    for lag in (0.0, 1e4, 1e9) if result == "kernel" else (None,):
        values = {"decay_per_step": decay, "one_minus_beta1": memory} | ({} if lag is None else {"lag": lag})
        assert function.excess(**values) <= 1


@pytest.mark.parametrize("label", ["kernel", "peak"])
def test_a_wrong_branch_is_noticed(label):
    """The random points of the general mutants never meet a = β₁."""
    number = [step.label for step in KERNEL.steps].index(label)
    lhs, rhs = next(KERNEL.steps[number].equation.pairs())
    (limit, condition), rest = rhs.args
    for wrong in (limit + 1, -limit, 2 * limit):
        broken = KERNEL.with_step(number, Equation(lhs, sp.Piecewise((wrong, condition), rest)))
        assert not broken.check_step(number)


@pytest.mark.parametrize("memory", [1.0, 0.5, 0.1, 0.02])
def test_bias_corrected_coefficients_are_what_pulses_leave(memory):
    steps, decay = 25, 0.0625
    found = bias_corrected_coefficients(decay_per_step=decay, one_minus_beta1=memory, steps=steps)
    pulses = [float(response(point(decay, memory), steps, at=j, time=SymbolicTime)[-1]) for j in range(1, steps + 1)]
    assert found == pytest.approx(np.array(pulses), rel=1e-14)
    assert found.sum() + (1 - decay) ** steps == pytest.approx(1, rel=1e-14)


def test_bias_corrected_coefficients_are_those_of_unaltered_adamw():
    """With ε far above √v̂ AdamW's preconditioner is constant by itself: nothing is replaced in this run."""
    eps, decay, memory, steps = mpmath.mpf(10) ** 40, Fraction(1, 8), Fraction(1, 4), 12
    record = AdamW(lr=1.0, weight_decay=0.1).substituted(beta1=1 - memory, beta2=Fraction(1, 2), eps=eps)
    found = bias_corrected_coefficients(decay_per_step=0.125, one_minus_beta1=0.25, steps=steps)
    for number in range(1, steps + 1):
        states = x.run(record, 0, steps, lambda k, _: int(k == number), lambda k: Fraction(1, 2), lambda k: 2 * decay)  # noqa: B023
        assert float(-2 * states[-1].weight * eps / 8) == pytest.approx(found[number - 1], rel=1e-14)


def test_bias_correction_at_long_memory_and_late_gradients():
    found = bias_corrected_coefficients(decay_per_step=1e-3, one_minus_beta1=1e-6, steps=3000)
    assert found.sum() + 0.999**3000 == pytest.approx(1, rel=1e-12)
    exact = response({**point(1e-3, 1e-6)}, 3000, at=2000, time=SymbolicTime)[-1]
    assert found[1999] == pytest.approx(float(exact), rel=1e-13)
    late = bias_corrected_coefficients(decay_per_step=0.01, one_minus_beta1=0.1, steps=2000)
    kernel = KERNEL.function("kernel")(decay_per_step=0.01, one_minus_beta1=0.1, lag=np.arange(1500))
    assert late[::-1][:1500] == pytest.approx(kernel, rel=1e-12)


def test_the_first_step_is_fully_corrected():
    assert bias_corrected_coefficients(decay_per_step=0.3, one_minus_beta1=0.1, steps=1) == pytest.approx([0.3])


@pytest.mark.parametrize(
    "wrong", [{"decay_per_step": 1.0}, {"decay_per_step": 0.0}, {"one_minus_beta1": 1.5}, {"steps": 0}]
)
def test_wrong_rates_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        bias_corrected_coefficients(**{"decay_per_step": 0.1, "one_minus_beta1": 0.1, "steps": 5} | wrong)


def test_the_log_of_a_quotient_of_logs():
    p, q, c = sp.symbols("p q c", positive=True)
    given = Assumptions((between(p, 0, 1), between(q, 0, 1), positive(c)))
    expression = sp.log(sp.log(1 - p) / sp.log(q))
    found = gradient_kernel.LOG_LOG.rewrite(expression, given)
    assert found == sp.log(-sp.log(1 - p)) - sp.log(-sp.log(q))
    for sample in given.points(3):
        assert agree(evaluate(found, sample), evaluate(expression, sample))
    for unjustified in (sp.log(sp.log(c) / sp.log(q)), sp.log(sp.log(p)), sp.log(c / p)):
        assert gradient_kernel.LOG_LOG.rewrite(unjustified, given) == unjustified


def test_either_order_needs_both():
    p, q = sp.symbols("p q", real=True)
    check = EitherOrder(inner=Identity(uses=("before",)), pair=(p, q))
    context = Context(equations={"before": Equation(sp.Symbol("z"), p + q)})
    assert check.needs() == ("before",)
    assert check.run(Equation(sp.Symbol("z"), sp.Min(p, q) + sp.Max(p, q)), context)
    assert check.run(Equation((p - q) ** 2, (sp.Max(p, q) - sp.Min(p, q)) ** 2), context)
    for wrong in (Equation(p, sp.Min(p, q)), Equation(q, sp.Min(p, q)), Equation(p - q, sp.Max(p, q) - sp.Min(p, q))):
        outcome = check.run(wrong, context)
        assert not outcome
        assert "≤" in outcome.detail


def test_the_peak_without_momentum_is_refused_and_the_kernel_is_not():
    with pytest.raises(ValueError, match=r"peak has no value at .*one_minus_beta1 = 1; it needs .*one_minus_beta1 < 1"):
        derive("gradient-kernel").function("peak")(decay_per_step=0.1, one_minus_beta1=1.0)
    plain = derive("gradient-kernel").function("kernel")(decay_per_step=0.1, one_minus_beta1=1.0, lag=3.0)
    assert plain == pytest.approx(0.1 * 0.9**3, rel=1e-15)
