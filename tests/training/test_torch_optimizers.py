"""Records to torch.optim and back: groups, plans, and the update read from torch's state."""

import numpy as np
import pytest
import torch

import ematheory as em
from ematheory.optimizers.optimizer import SymbolicTime
from ematheory.training.optimizers import at_points, build, plan, read_update, set_step


def parameters():
    return [torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3), torch.ones(2, dtype=torch.float64)]


def test_records_become_the_torch_optimizers_they_describe():
    adamw = build(em.AdamW(lr=1e-3, weight_decay=0.2, betas=(0.8, 0.95), eps=1e-6), parameters())
    assert type(adamw) is torch.optim.AdamW
    group = adamw.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["betas"], group["eps"]) == (1e-3, 0.2, (0.8, 0.95), 1e-6)
    assert type(build(em.Adam(lr=1e-3), parameters())) is torch.optim.Adam
    sgd = build(em.SGD(lr=1e-3, momentum=0.9, nesterov=True), parameters())
    assert type(sgd) is torch.optim.SGD
    assert (sgd.param_groups[0]["momentum"], sgd.param_groups[0]["nesterov"]) == (0.9, True)
    assert sgd.param_groups[0]["dampening"] == 0


@pytest.mark.parametrize("decay", ["per_lr", "independent", "corrected"])
def test_the_plan_gives_torch_the_decay_per_step_of_the_record(decay):
    record, steps = em.AdamW(lr=1e-2, weight_decay=0.3, decay=decay), 20
    schedule, decay_schedule = em.Cosine(final=0.1, warmup=0.25), em.Linear(final=0.5)
    run = plan(record, steps, schedule, decay_schedule)
    multipliers = schedule.multipliers(steps)
    time = SymbolicTime(
        np.arange(1, steps + 1), 1e-2 * multipliers, 0.3 * decay_schedule.multipliers(steps), multipliers
    )
    np.testing.assert_allclose(run.lr * run.weight_decay, record.decay_per_step(time), rtol=1e-15)
    np.testing.assert_array_equal(run.lr, 1e-2 * multipliers)


def test_points_follow_the_grid_in_order():
    record = em.AdamW(lr=[1e-3, 1e-2], beta2=[0.9, 0.99, 0.999])
    points = at_points(record, em.records.grid(record))
    assert [(point.lr, point.betas) for point in points[:4]] == [
        (1e-3, (0.9, 0.9)), (1e-3, (0.9, 0.99)), (1e-3, (0.9, 0.999)), (1e-2, (0.9, 0.9)),
    ]  # fmt: skip


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize(
    "record",
    [
        em.AdamW(lr=1e-2, weight_decay=0.0),
        em.Adam(lr=1e-2, weight_decay=0.1),
        em.SGD(lr=1e-2, momentum=0.9, weight_decay=0.1),
        em.SGD(lr=1e-2, momentum=0.9, weight_decay=0.1, nesterov=True),
        em.SGD(lr=1e-2, weight_decay=0.1),
    ],
    ids=repr,
)
def test_the_update_read_from_the_state_is_the_step_torch_took(record, foreach):
    weights, run = parameters(), plan(record, 5, em.Linear())
    optimizer = build(record, weights, foreach)
    source = torch.Generator().manual_seed(0)
    for k in range(1, 6):
        before = torch.cat([weight.flatten() for weight in weights])
        for weight in weights:
            weight.grad = torch.randn(weight.shape, dtype=torch.float64, generator=source)
        gradients = [weight.grad + record.weight_decay * weight for weight in weights]
        set_step(optimizer, run, k)
        optimizer.step()
        after = torch.cat([weight.flatten() for weight in weights])
        u = read_update(record, optimizer, weights, gradients)
        torch.testing.assert_close(after, before - run.lr[k - 1] * u, rtol=1e-13, atol=1e-14)


def test_an_update_that_is_not_in_the_state_must_be_given():
    record = em.SGD(lr=1e-2)
    with pytest.raises(ValueError, match="give gradients"):
        read_update(record, build(record, parameters()), parameters())
