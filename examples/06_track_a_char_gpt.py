"""Track a character GPT in a plain PyTorch loop: what theory expects of its matrices, beside what they do.

python examples/06_track_a_char_gpt.py [STEPS [FOLDER]] trains for half a minute and writes char_gpt.jsonl and .png
(examples/figures/char_gpt.png). Expected are the norms and rotations of white gradients. Real ones are not white: of
eight matrices norms end 0.6 to 1.25 times as large as expected and rotations 0.7 to 1.5 times; on the way both are off
by up to a factor of 2 or so, and for the tokens' vectors (not shown) still at the end. The start fades as expected down
to a third; at the end 4 to 16 % of it are there, not 1 %, since updates go on to point along it.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import ematheory as em
from ematheory.cli.track_figure import tracked_figure

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
folder = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
torch.set_num_threads(1)

task, batch = em.tasks.char_gpt(), 16
data, model = task.data(), task.network(seed=0, dtype=torch.float32)
weights = list(model.parameters())

# A fifth of the run as the timescale 1/(ηλ): (1 − ηλ)^steps = e⁻⁵ of the start is to be left. Gains do not decay.
lr = 3e-3
groups = [
    {"params": [w for w in weights if w.ndim >= 2], "weight_decay": 5 / (lr * steps)},
    {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))
tracker = em.track(optimizer, steps=steps, names=model, sample=64 * 256, out=folder / "char_gpt.jsonl")

source = np.random.default_rng(0)
for _ in range(steps):
    rows = source.integers(0, len(data.train_inputs), batch)
    inputs, targets = (torch.as_tensor(part[rows]) for part in (data.train_inputs, data.train_targets))
    optimizer.zero_grad()
    loss = task.loss(model(inputs), targets)
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.2f} after {steps} steps")

seen = tracker.dataset()
names = [name for name in map(str, seen.parameter.values) if "blocks" in name and "norm" not in name]
tracked_figure(seen, names[4:], folder / "char_gpt.png")  # as `ematheory track plot` does

# The projection on the start that a walk without memory of it has by chance: ‖w‖/(‖w₀‖√n), a standard deviation.
late, sizes = seen.isel(step=slice(-15, None)).mean("step"), {n: w.numel() for n, w in model.named_parameters()}
print(f"{'mean of late records':42}norm: expected  measured  rotation: expected  measured  left: expected  measured")
for name in names:
    end, start = late.sel(parameter=name), float(seen.parameter_norm.sel(parameter=name)[0])
    columns = [float(end[f"parameter_{what}"]) for what in ("norm_predicted", "norm", "rotation_predicted", "rotation")]
    left = [float(end[f"parameter_initial_weight_left{kind}"]) for kind in ("", "_measured")]
    print(f"{name:42}{columns[0]:14.2f}{columns[1]:10.2f}{columns[2]:20.4f}{columns[3]:10.4f}", end="")
    print(f"{left[0]:16.3f}{left[1]:10.3f}, by chance ± {columns[1] / start / sizes[name] ** 0.5:.3f}")
