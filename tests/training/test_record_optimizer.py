"""A record's own update as a torch optimizer: against torch.optim, and against the NumPy reference."""

import numpy as np
import pytest
import torch

import ematheory as em
from ematheory import schedules
from ematheory.optimizers import COUPLED, RECORDS
from ematheory.simulation import arrays
from ematheory.simulation.clock import Clock
from ematheory.training import RecordOptimizer
from ematheory.training.optimizers import at_one_point, build, plan, set_step, torch_has

STEPS, WEIGHTS = 20, 37
FIELDS = {"weight_decay": 0.3, "lr": 0.02}
SCHEDULE = em.Cosine(final=0.1, warmup=0.3)
VARIANTS = [
    record.substituted(**{name: value for name, value in FIELDS.items() if type(record) is not em.Amos})
    for kind in (*RECORDS, *COUPLED)
    for record in kind.variants().values()
] + [
    em.AdamC(**FIELDS), em.AdamW(decay="independent", **FIELDS), em.NAdam(decay="independent", **FIELDS),
    em.NAdam(decay="corrected", **FIELDS),
]  # fmt: skip
# What torch.optim has not: trained by the record's own update.
LACKING = [
    em.AdamW(bias_correction=False, **FIELDS), em.AdamW(eps=0.1, eps_placement="inside", **FIELDS),
    em.AdamW(eps=0.1, eps_placement="uncorrected", **FIELDS), em.AdamW(decay_order="after", **FIELDS),
    em.AdamW(decay_order="after", decay="corrected", **FIELDS),
    em.AdamC(eps_placement="inside", **FIELDS), em.AdamW(decay="cautious", **FIELDS),
    em.NAdam(decay="cautious", **FIELDS), em.SGD(decay="per_lr", **FIELDS), em.SGD(decay="independent", **FIELDS),
    em.SGD(decay="corrected", momentum=0.5, **FIELDS), em.SGD(decay="cautious", momentum=0.5, **FIELDS),
    *(kind(decay=decay, **FIELDS)
      for kind in (em.Lion, em.SignSGD, em.AdEMAMix) for decay in ("independent", "corrected", "cautious")),
    em.ScheduleFreeAdamW(decay="independent", **FIELDS),
]  # fmt: skip


def gradients():
    return np.random.default_rng(3).normal(size=(STEPS, WEIGHTS))


def initial_weight():
    return np.random.default_rng(4).normal(size=WEIGHTS)


def pulled(weight, noise):
    """A gradient that depends on where it is taken, so that a wrong point shows."""
    return noise + 0.3 * weight


def by_record(record):
    """The weights after each step, by the record's coefficients and update in NumPy."""
    block, _ = Clock(record, 1, STEPS, SCHEDULE).block(0, STEPS)
    state, weights = record.initial(np, initial_weight()), []
    for step, noise in enumerate(gradients()):
        c = record.Coefficients(*block[0, step])
        state = record.update(arrays, state, pulled(record.point(arrays, state, c), noise), c)
        weights.append(state.weight)
    return np.array(weights)


def by_torch(record, make):
    weight, run = torch.nn.Parameter(torch.tensor(initial_weight())), plan(record, STEPS, SCHEDULE)
    optimizer, weights = make([weight]), []
    for step, noise in enumerate(gradients()):
        set_step(optimizer, run, step + 1)
        if isinstance(optimizer, RecordOptimizer):
            optimizer.move_to_point()
        weight.grad = pulled(weight.detach(), torch.tensor(noise))
        optimizer.step()
        weights.append(weight.detach().numpy().copy())
    return np.array(weights)


# Of these two the plan has torch.optim's λ; the test after this one compares them.
OWN_DECAY = [
    record for record in VARIANTS if getattr(record, "decay", "") not in ("independent", "corrected")
] + LACKING  # fmt: skip


@pytest.mark.parametrize("record", OWN_DECAY, ids=repr)
def test_on_tensors_the_update_does_what_it_does_on_arrays(record):
    ours, theirs = by_torch(record, lambda weights: RecordOptimizer(weights, record)), by_record(record)
    assert np.abs(ours - theirs).max() <= 1e-13 * np.abs(theirs).max()
    assert np.abs(theirs[-1] - theirs[0]).max() > 1e-3


@pytest.fixture
def wide_scalars():
    """torch keeps NAdam's product of momenta in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("record", [record for record in VARIANTS if torch_has(record)], ids=repr)
def test_torch_s_own_optimizer_does_what_the_record_says(record, wide_scalars):
    theirs = by_torch(record, lambda weights: build(record, weights))
    assert np.abs(by_record(record) - theirs).max() <= 1e-12 * np.abs(theirs).max()


def test_what_torch_has_trains_with_torch_s_own():
    assert isinstance(build(em.NAdam(lr=1e-3), [torch.ones(1)]), torch.optim.NAdam)
    assert isinstance(build(em.RMSprop(lr=1e-3), [torch.ones(1)]), torch.optim.RMSprop)
    assert isinstance(build(em.NAdam(lr=1e-3, decay="corrected"), [torch.ones(1)]), torch.optim.NAdam)


@pytest.mark.parametrize("record", LACKING, ids=repr)
def test_what_torch_lacks_never_trains_with_torch_s_own(record):
    assert not torch_has(record)
    assert isinstance(build(record, [torch.ones(1)]), RecordOptimizer)
    with pytest.raises(ValueError, match="trains by its record's own update"):
        build(record, [torch.ones(1)], foreach=False)


def test_a_users_own_record_steps_by_its_own_update():
    class Half(em.SGD):
        def update(self, xp, state, gradient, c):
            return super().update(xp, state, gradient / 2, c)

    optimizer = build(at_one_point(Half(lr=0.1)), [weight := torch.ones(1)])
    weight.grad = torch.ones(1)
    optimizer.step()
    assert float(weight) == pytest.approx(1 - 0.05)


def test_a_torch_scheduler_sets_the_multiplier():
    record = em.Lion(lr=0.1, weight_decay=0.5)
    weight = torch.nn.Parameter(torch.tensor(initial_weight()))
    optimizer = RecordOptimizer([weight], record)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, STEPS)
    for noise in gradients():
        weight.grad = pulled(weight.detach(), torch.tensor(noise))
        optimizer.step()
        scheduler.step()
    state = record.initial(np, initial_weight())
    block, _ = Clock(record, 1, STEPS, schedules.Linear(final=0.1).multipliers(STEPS)).block(0, STEPS)
    for c, noise in zip(block[0], gradients(), strict=True):
        state = record.update(arrays, state, pulled(state.weight, noise), record.Coefficients(*c))
    np.testing.assert_allclose(weight.detach().numpy(), state.weight, rtol=1e-12)


def test_the_state_is_saved_and_loaded_to_the_same_bits():
    def stepped(optimizer, weight, noises):
        for noise in noises:
            optimizer.move_to_point()
            weight.grad = pulled(weight.detach(), torch.tensor(noise))
            optimizer.step()
        return weight.detach().clone()

    record = em.ScheduleFreeAdamW(lr=0.1, weight_decay=0.3)
    weight = torch.nn.Parameter(torch.tensor(initial_weight()))
    optimizer = RecordOptimizer([weight], record)
    middle, saved = stepped(optimizer, weight, gradients()[:10]), optimizer.state_dict()
    twin = torch.nn.Parameter(middle)
    other = RecordOptimizer([twin], record)
    other.load_state_dict(saved)
    assert torch.equal(stepped(other, twin, gradients()[10:]), stepped(optimizer, weight, gradients()[10:]))


def test_a_closure_is_evaluated_where_the_gradient_is_wanted():
    weight = torch.nn.Parameter(torch.tensor(initial_weight()))
    record = em.ScheduleFreeSGD(lr=0.1)
    optimizer = RecordOptimizer([weight], record)
    for noise in gradients():

        def loss(noise=noise):
            optimizer.zero_grad()
            value = (0.15 * weight * weight + weight * torch.tensor(noise)).sum()
            value.backward()
            return value

        optimizer.step(loss)
    block, _ = Clock(record, 1, STEPS).block(0, STEPS)
    state = record.initial(np, initial_weight())
    for c, noise in zip(block[0], gradients(), strict=True):
        c = record.Coefficients(*c)
        state = record.update(arrays, state, pulled(record.point(arrays, state, c), noise), c)
    np.testing.assert_allclose(weight.detach().numpy(), state.weight, rtol=1e-12)


def test_wrong_use_is_told():
    weight = torch.ones(2)
    with pytest.raises(ValueError, match="sweep axes in lr"):
        RecordOptimizer([weight], em.Lion(lr=[0.1, 0.2]))
    optimizer = RecordOptimizer([weight], em.ScheduleFreeSGD(lr=0.1))
    weight.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="move_to_point"):
        optimizer.step()
    optimizer = RecordOptimizer([weight], em.Lion(lr=0.1))
    weight.grad = torch.ones(2).to_sparse()
    with pytest.raises(RuntimeError, match="sparse gradients"):
        optimizer.step()
