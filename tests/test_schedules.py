"""Schedules: S' = −s and S(1) = 0 numerically, warm-up, torch's sampling, errors, and the promise about bits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import ematheory as em
from ematheory.schedules import SCHEDULES, Schedule, multipliers, named

SHAPES: dict[str, Schedule] = {
    "constant": em.Constant(),
    "linear": em.Linear(),
    "linear to 0.1": em.Linear(final=0.1),
    "cosine": em.Cosine(),
    "cosine to 0.1": em.Cosine(final=0.1),
    "wsd": em.WSD(decay=0.3),
    "wsd sqrt": em.WSD(decay=0.3, shape="sqrt"),
    "wsd all decay": em.WSD(decay=1.0),
    "inverse sqrt": em.InverseSqrt(flat=0.05),
    "exponential": em.Exponential(rate=3.0),
    "harmonic": em.Harmonic(timescale=0.2),
}
WARMED = {f"{name}, warm-up": shape.substituted(warmup=0.1) for name, shape in SHAPES.items()}
ALL = {**SHAPES, **WARMED}

# Where a shape has a kink, the integral is taken over the pieces.
KINKS = [0.0, 0.05, 0.1, 0.145, 0.3, 0.5, 0.7, 0.73, 1.0]


def value(schedule: Schedule, x: Any) -> Any:
    """s(x) in mpmath, by the same formula."""
    return schedule.at(x, Mpmath)


class Mpmath:
    """The namespace of one mpmath number."""

    pi, sqrt, exp, log, sin, cos = mpmath.pi, mpmath.sqrt, mpmath.exp, mpmath.log, mpmath.sin, mpmath.cos
    expm1, log1p = mpmath.expm1, mpmath.log1p

    @staticmethod
    def where(condition: bool, x: Any, y: Any) -> Any:
        return x if condition else y


@pytest.mark.parametrize("name", ALL)
def test_the_integral_is_the_integral(name: str) -> None:
    """S(x) = ∫_x^1 s by quadrature at 30 digits, which is S' = −s and S(1) = 0 in one."""
    schedule = ALL[name]
    with mpmath.workdps(30):
        for x in (0.0, 0.03, 0.1, 0.4, 0.71, 0.9, 1.0):
            ends = [mpmath.mpf(x), *(mpmath.mpf(kink) for kink in KINKS if kink > x)]
            exact = mpmath.quad(lambda t: value(schedule, t), ends) if x < 1 else 0
            assert abs(schedule.integral(mpmath.mpf(x), Mpmath) - exact) < 1e-12
            assert abs(float(schedule.integral(np.float64(x))) - exact) < 1e-14


@pytest.mark.parametrize("schedule", [em.Exponential(rate=1e-9), em.Harmonic(timescale=1e9)], ids=repr)
@pytest.mark.parametrize("x", [0.0, 0.3, 0.999])
def test_the_integral_keeps_its_digits_for_a_schedule_that_hardly_falls(schedule: Any, x: float) -> None:
    with mpmath.workdps(50):
        exact = float(schedule.integral(mpmath.mpf(x), Mpmath))
    assert float(schedule.integral(np.float64(x))) == pytest.approx(exact, rel=1e-15)


@pytest.mark.parametrize("name", ALL)
def test_the_shape_in_float64_is_the_shape(name: str) -> None:
    schedule = ALL[name]
    points = np.random.default_rng(0).uniform(0, 1, 200)
    with mpmath.workdps(30):
        exact = [float(value(schedule, mpmath.mpf(x))) for x in points.tolist()]
    np.testing.assert_allclose(schedule.at(points), exact, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("name", ALL)
def test_the_largest_multiplier_is_one(name: str) -> None:
    x = np.linspace(0, 1, 10_001)
    s = ALL[name].at(x)
    assert s.max() == pytest.approx(1.0, abs=1e-12)
    # The end itself is never sampled, and may round to −1 ulp.
    assert s[:-1].min() >= 0
    assert s[-1] > -1e-15


@pytest.mark.parametrize("name", ALL)
def test_update_k_uses_the_shape_at_k_minus_1_over_the_steps(name: str) -> None:
    schedule = ALL[name]
    s = schedule.multipliers(40)
    assert s.shape == (40,)
    np.testing.assert_array_equal(s, schedule.at(np.arange(40) / 40) * np.ones(40))


@pytest.mark.parametrize("name", SHAPES)
def test_warm_up_rises_linearly_and_the_shape_runs_over_the_rest(name: str) -> None:
    shape, warmed = SHAPES[name], WARMED[f"{name}, warm-up"]
    np.testing.assert_allclose(warmed.at(np.array([0.0, 0.05, 0.099])), [0.0, 0.5, 0.99], rtol=1e-12)
    rest = np.linspace(0, 1, 50)
    np.testing.assert_allclose(warmed.at(0.1 + 0.9 * rest), shape.at(rest), rtol=1e-12, atol=1e-14)
    whole = 0.05 + 0.9 * float(shape.integral(np.float64(0.0)))
    assert float(warmed.integral(np.float64(0.0))) == pytest.approx(whole, rel=1e-14)


@pytest.mark.parametrize("name", SHAPES)
def test_warm_up_steps_get_k_over_n(name: str) -> None:
    schedule = SHAPES[name].substituted(warmup_steps=4)
    s = schedule.multipliers(20)
    np.testing.assert_array_equal(s[:4], [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(s[4:], SHAPES[name].multipliers(16))


def test_torch_s_schedulers_agree() -> None:
    torch = pytest.importorskip("torch")
    pairs = [
        (em.Cosine(), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=50)),
        (em.Linear(final=0.1), lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.1, total_iters=50)),
        (em.Exponential(rate=50.0), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, gamma=np.exp(-1.0))),
    ]
    for schedule, make in pairs:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler, rates = make(optimizer), []
        for _ in range(50):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        np.testing.assert_allclose(schedule.multipliers(50), rates, rtol=1e-10, atol=1e-14)


def test_harmonic_is_the_sequence_that_averages_updates_uniformly() -> None:
    """η_j = η_{j−1}/(1 + λη_{j−1}) (E6), with τ = 1/(ηλT)."""
    eta, decay, steps = 0.1, 0.2, 30
    rates = [eta]
    for _ in range(steps - 1):
        rates.append(rates[-1] / (1 + decay * rates[-1]))
    schedule = em.Harmonic(timescale=1 / (eta * decay * steps))
    np.testing.assert_allclose(eta * schedule.multipliers(steps), rates, rtol=1e-13)


BAD = [
    (lambda: em.Cosine(final=1.1), r"final must be in \[0, 1\], got 1\.1"),
    (lambda: em.Linear(final=-0.1), r"final must be in \[0, 1\]"),
    (lambda: em.Cosine(warmup=1.0), r"warmup must be in \[0, 1\), got 1\.0"),
    (lambda: em.Cosine(warmup=np.nan), "warmup must be"),
    (lambda: em.Cosine(warmup=0.1, warmup_steps=3), r"give warmup=0\.1 or warmup_steps=3, not both"),
    (lambda: em.Cosine(warmup_steps=-1), "warmup_steps must be finite and >= 0"),
    (lambda: em.Cosine(warmup_steps=10).multipliers(10), "warmup_steps must be less than the run's 10 steps"),
    (lambda: em.Cosine(warmup_steps=10).at(0.5), "needs the warm-up as a share of the run"),
    (lambda: em.WSD(decay=0.0), r"decay must be in \(0, 1\]"),
    (lambda: em.WSD(shape="cubic"), "shape must be one of 'linear', 'sqrt', got 'cubic'"),
    (lambda: em.InverseSqrt(flat=0.0), r"flat must be in \(0, 1\]"),
    (lambda: em.Exponential(rate=0.0), "rate must be finite and > 0"),
    (lambda: em.Harmonic(timescale=-1.0), "timescale must be finite and > 0"),
    (lambda: em.Cosine(final=[0.1, 0.2]), "final of a schedule must be one number"),
    (lambda: named("cosin"), "schedule must be one of 'constant', 'linear', 'cosine'.*got 'cosin'"),
    (lambda: named("cosine", decay=0.1), "schedule 'cosine' has no 'decay'; it takes final, warmup, warmup_steps"),
    (lambda: multipliers([1.0, 0.5], 3), r"one multiplier per step, \(3,\), got \(2,\)"),
    (lambda: multipliers([1.0, -0.5], 2), r"schedule\[1\] must be finite and >= 0, got -0\.5"),
    (lambda: multipliers([1.0, np.nan], 2), r"schedule\[1\] must be finite and >= 0, got nan"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_a_bad_schedule_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_word_is_not_a_schedule() -> None:
    with pytest.raises(TypeError, match="schedule must be a schedule or an array of 3 multipliers, got 'cosine'"):
        multipliers("cosine", 3)  # type: ignore[arg-type]


def test_every_name_makes_its_schedule() -> None:
    for name, kind in SCHEDULES.items():
        assert type(named(name)) is kind
    assert named("wsd", decay=0.5, shape="sqrt") == em.WSD(decay=0.5, shape="sqrt")


@pytest.mark.parametrize("name", ALL)
def test_a_block_of_multipliers_is_a_slice_of_them_all(name: str) -> None:
    for schedule in (ALL[name], SHAPES[name.removesuffix(", warm-up")].substituted(warmup_steps=7)):
        np.testing.assert_array_equal(schedule.multipliers(40, 5, 23), schedule.multipliers(40)[5:23])


def test_multipliers_of_none_and_of_an_array() -> None:
    np.testing.assert_array_equal(multipliers(None, 3), [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(multipliers([1, 0.5, 0], 3), [1.0, 0.5, 0.0])


@pytest.mark.parametrize("shape", ["linear", "sqrt"])
def test_wsd_ends_at_zero_and_is_never_negative(shape: str) -> None:
    x = np.linspace(0.0, 1.0, 2001)
    for decay in np.linspace(0.01, 1.0, 100):
        values = em.WSD(decay=decay, shape=shape).at(x)
        assert values[-1] == 0.0
        assert (values >= 0).all()
        assert (values <= 1).all()
        assert (values[x < 1 - decay] == 1).all()


@pytest.mark.parametrize("steps", [2.5, True, "3", [1, 2]])
def test_warmup_steps_that_are_no_whole_number_are_a_type_error(steps: Any) -> None:
    with pytest.raises(TypeError, match="warmup_steps must be a whole number, got"):
        em.Cosine(warmup_steps=steps)


@pytest.mark.parametrize("schedule", ["cosine", em.Cosine])
def test_what_is_no_schedule_is_called_by_its_argument(schedule: Any) -> None:
    with pytest.raises(TypeError, match="decay_schedule must be a schedule or an array of 3 multipliers"):
        em.simulate(em.RandomWalk(), em.SGD(lr=0.1), steps=3, decay_schedule=schedule)
    with pytest.raises(TypeError, match="decay_schedule must be a schedule or an array of 3 multipliers"):
        em.predict(em.RandomWalk(), em.SGD(lr=0.1), steps=3, decay_schedule=schedule)
