"""Weights, gradients and loops for the tests of the tracker."""

import torch


def parameter(*shape, dtype=torch.float64, seed=0, scale=1.0):
    return torch.nn.Parameter(scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype))


def steps(optimizer, count, gradient=torch.zeros_like, schedule=None):
    """Steps on gradients that are made from each weight."""
    for _ in range(count):
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = gradient(weight)
        optimizer.step()
        if schedule is not None:
            schedule.step()


def white(seed=1):
    source = torch.Generator().manual_seed(seed)
    return lambda weight: torch.randn(weight.shape, generator=source, dtype=weight.dtype)


def signs(seed=1):
    """White gradients of one size, for which √v̂ is that size from the first step on, as theory has it."""
    source = torch.Generator().manual_seed(seed)
    return lambda weight: torch.randint(2, weight.shape, generator=source, dtype=weight.dtype) * 2 - 1


def falling(optimizer, count):
    """Up over ten steps and down to zero, beginning with a rate of 0."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1.0, k / 10) * (1 - k / count))
