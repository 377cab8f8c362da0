"""How long a step of each small task's network takes: forward, backward and torch's AdamW on one thread.

python benchmarks/networks.py [STEPS]

The goals are 10 ms for the networks on digits (64 images) and 50 ms for the char GPT (32 windows of 32 characters).
Each number is the median step in milliseconds.
"""

from __future__ import annotations

import os
import statistics
import sys
import time

import torch

from ematheory import tasks
from ematheory.training.determinism import deterministic
from ematheory.training.tasks import Task

TASKS: dict[str, tuple[Task, int]] = {
    "digits_mlp": (tasks.digits_mlp(), 64),
    "digits_resnet": (tasks.digits_resnet(), 64),
    "digits_vit": (tasks.digits_vit(), 64),
    "char_gpt": (tasks.char_gpt(), 32),
    "modular_addition, all pairs": (tasks.modular_addition(), 1740),
    "teacher_student": (tasks.teacher_student(), 64),
    "random_features": (tasks.random_features(), 64),
}
DTYPES = (torch.float64, torch.float32, torch.bfloat16)


def milliseconds(task: Task, batch_size: int, dtype: torch.dtype, steps: int) -> float:
    data, network = task.data(), task.network(0, dtype)
    inputs, targets = torch.tensor(data.train_inputs[:batch_size]), torch.tensor(data.train_targets[:batch_size])
    inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
    optimizer = torch.optim.AdamW(network.parameters())
    taken = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        optimizer.zero_grad()
        task.loss(network(inputs), targets).backward()
        optimizer.step()
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken[2:])


def main(steps: int) -> None:
    print(f"torch {torch.__version__}, load {os.getloadavg()[0]:.2f}, {len(os.sched_getaffinity(0))} cores")
    print(f"{'':28}" + "".join(f"{str(dtype).removeprefix('torch.'):>10}" for dtype in DTYPES))
    with deterministic():
        for name, (task, batch_size) in TASKS.items():
            row = [milliseconds(task, batch_size, dtype, steps) for dtype in DTYPES]
            print(f"{name:28}" + "".join(f"{value:10.1f}" for value in row), flush=True)
    print(f"load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
