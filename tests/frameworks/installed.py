"""The installed frameworks' own optimizers, each as one function of a run: the weights after every step."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

os.environ.setdefault("KERAS_BACKEND", "torch")


@dataclass(frozen=True)
class Run:
    """What every framework is given: rates η_k and decays λ_k per step, in its own meaning."""

    weight: np.ndarray
    gradient: Callable[[int, np.ndarray], np.ndarray]
    lr: np.ndarray
    weight_decay: np.ndarray
    betas: tuple[float, float]
    eps: float


@contextmanager
def without_package(*packages: str, **stand_ins: ModuleType) -> Iterator[None]:
    """Import a module without running its package, which needs what has no place in a test (torchvision, a cluster)."""
    before = dict(sys.modules)
    try:
        for name in packages:
            top, *rest = name.split(".")
            package = ModuleType(name)
            origin = importlib.util.find_spec(top) if top not in sys.modules else None
            root = origin.submodule_search_locations[0] if origin else sys.modules[top].__path__[0]
            package.__path__ = [str(Path(root).joinpath(*rest))]
            sys.modules[name] = package
        for name, module in stand_ins.items():
            sys.modules[name.replace("__", ".")] = module
        yield
    finally:
        for name in set(sys.modules) - set(before):
            if name.split(".")[0] in {package.split(".")[0] for package in packages}:
                del sys.modules[name]


def torch_like(make: Callable[..., torch.optim.Optimizer]) -> Callable[[Run], list[np.ndarray]]:
    """Optimizers with torch's interface: made with the largest rate, then told each step's."""

    def steps(run: Run) -> list[np.ndarray]:
        weight = torch.tensor(run.weight, requires_grad=True)
        optimizer = make(
            [weight], lr=float(run.lr.max()), betas=run.betas, eps=run.eps, weight_decay=run.weight_decay[0]
        )
        seen = []
        for k, (lr, decay) in enumerate(zip(run.lr, run.weight_decay, strict=True), 1):
            optimizer.param_groups[0].update(lr=float(lr), weight_decay=float(decay))
            weight.grad = torch.tensor(run.gradient(k, weight.detach().numpy()))
            optimizer.step()
            seen.append(weight.detach().numpy().copy())
        return seen

    return steps


def timm(corrected: bool) -> Callable[[Run], list[np.ndarray]]:
    def make(parameters: list[torch.Tensor], **given: object) -> torch.optim.Optimizer:
        with without_package("timm", "timm.optim"):
            module = importlib.import_module("timm.optim.adamw")
        return module.AdamWLegacy(parameters, corrected_weight_decay=corrected, **given)

    return torch_like(make)


def composer(parameters: list[torch.Tensor], **given: object) -> torch.optim.Optimizer:
    # Its `dist` gathers norms for a log that nothing here asks for.
    utils = ModuleType("composer.utils")
    utils.dist = ModuleType("composer.utils.dist")
    with without_package("composer", "composer.optim", composer__utils=utils):
        module = importlib.import_module("composer.optim.decoupled_weight_decay")
    return module.DecoupledAdamW(parameters, **given)


def transformers(parameters: list[torch.Tensor], **given: object) -> torch.optim.Optimizer:
    """`correct_bias=False` among what is given leaves the bias correction out."""
    from transformers.optimization import AdamW

    return AdamW(parameters, no_deprecation_warning=True, **given)


def optax(run: Run, eps_root: float = 0.0) -> list[np.ndarray]:
    import jax
    import optax as installed

    with jax.enable_x64(True):
        rates, decays = jax.numpy.asarray(run.lr), jax.numpy.asarray(run.weight_decay)
        optimizer = installed.adamw(
            lambda count: rates[count], *run.betas, eps=run.eps, eps_root=eps_root,
            weight_decay=lambda count: decays[count],
        )  # fmt: skip
        weight = jax.numpy.asarray(run.weight)
        state, seen = optimizer.init(weight), []
        for k in range(1, len(run.lr) + 1):
            gradient = jax.numpy.asarray(run.gradient(k, np.asarray(weight)))
            updates, state = optimizer.update(gradient, state, weight)
            weight = installed.apply_updates(weight, updates)
            seen.append(np.asarray(weight))
    return seen


def keras(run: Run) -> list[np.ndarray]:
    import keras as installed

    before = installed.config.floatx()
    installed.config.set_floatx("float64")
    try:
        variable = installed.Variable(run.weight, dtype="float64")
        optimizer = installed.optimizers.AdamW(
            float(run.lr[0]), weight_decay=float(run.weight_decay[0]), beta_1=run.betas[0], beta_2=run.betas[1],
            epsilon=run.eps,
        )  # fmt: skip
        optimizer.build([variable])
        seen = []
        for k, (lr, decay) in enumerate(zip(run.lr, run.weight_decay, strict=True), 1):
            optimizer.learning_rate, optimizer.weight_decay = float(lr), float(decay)
            weight = installed.ops.convert_to_numpy(variable)
            optimizer.apply([installed.ops.convert_to_tensor(run.gradient(k, weight), dtype="float64")], [variable])
            seen.append(installed.ops.convert_to_numpy(variable).copy())
        return seen
    finally:
        installed.config.set_floatx(before)


def mlx(run: Run, bias_correction: bool = True) -> list[np.ndarray]:
    """In float32, which is what MLX computes in on a CPU."""
    import mlx.core as core
    import mlx.optimizers as optimizers

    optimizer = optimizers.AdamW(
        float(run.lr[0]), betas=list(run.betas), eps=run.eps, weight_decay=float(run.weight_decay[0]),
        bias_correction=bias_correction,
    )  # fmt: skip
    weight, seen = core.array(run.weight.astype(np.float32)), []
    for k, (lr, decay) in enumerate(zip(run.lr, run.weight_decay, strict=True), 1):
        optimizer.learning_rate, optimizer.weight_decay = core.array(float(lr)), float(decay)
        gradient = core.array(run.gradient(k, np.asarray(weight, dtype=np.float64)).astype(np.float32))
        weight = optimizer.apply_gradients({"w": gradient}, {"w": weight})["w"]
        core.eval(weight)
        seen.append(np.asarray(weight, dtype=np.float64))
    return seen


FRAMEWORKS: dict[str, Callable[[Run], list[np.ndarray]]] = {
    "torch.optim.AdamW": torch_like(torch.optim.AdamW),
    "optax.adamw": optax,
    "keras.optimizers.AdamW": keras,
    "timm.AdamW": timm(corrected=False),
    "timm.AdamW(corrected_weight_decay=True)": timm(corrected=True),
    "transformers.AdamW": torch_like(transformers),
    "composer.DecoupledAdamW": torch_like(composer),
    "mlx.AdamW": mlx,
}
