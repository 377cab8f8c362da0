"""Recipes, and the published ones: every entry of recipes.toml loads, or says why it cannot."""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import linregress

import ematheory as em
from ematheory.power_laws import POWER_LINES, PowerLaw
from ematheory.published_recipes import Piece, Pieces, described, published, recipe_of

BASE = {"lr": 3e-4, "weight_decay": 0.1, "batch_size": 4e6, "dataset_size": 2e12}
ENTRY = {**BASE, "parameters": 7e9, "schedule": {"kind": "cosine", "final": 0.1}}
# A formula for its decay: no single λ.
INEXPRESSIBLE = {"PaLM 540B": r"weight_decay = 'lr\*\*2' is a formula, not a number: a recipe has PyTorch's λ"}


def test_steps_follow_from_batch_data_and_epochs() -> None:
    recipe = em.Recipe(**BASE, epochs=3)
    assert recipe.steps_per_epoch == 5e5
    assert recipe.steps == 1.5e6


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lr": -1.0}, "lr must be finite and > 0, got -1.0"),
        ({"weight_decay": math.nan}, "weight_decay must be finite"),
        ({"unit": "words"}, "unit must be one of 'tokens', 'samples', got 'words'"),
        ({"batch_size": 4e13}, "less than one step"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\] must be in \[0, 1\), got 1.0"),
        ({"lr": []}, "at least one value"),
    ],
)
def test_wrong_recipes_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.Recipe(**{**BASE, **changed})


def test_a_schedule_by_name_is_refused() -> None:
    with pytest.raises(TypeError, match=r"such as Cosine\(final=0.1\), got 'cosine'"):
        em.Recipe(**BASE, schedule="cosine")


@pytest.mark.parametrize("name", sorted(published()))
def test_published_recipes_load(name: str) -> None:
    found = published()[name]
    assert found.source in ("release", "paper", "memory")
    if name in INEXPRESSIBLE:
        with pytest.raises(ValueError, match=INEXPRESSIBLE[name]):
            _ = found.recipe
        return
    recipe = found.recipe
    assert recipe.dataset_size * recipe.epochs == pytest.approx(found.entry["dataset_size"], rel=1e-15)
    multipliers = recipe.schedule.multipliers(50_000)
    assert multipliers.max() == pytest.approx(1.0, abs=1e-6)
    assert (multipliers >= 0).all()


@pytest.mark.parametrize("name", sorted(set(published()) - set(INEXPRESSIBLE)))
def test_the_integral_of_a_published_schedule_is_that_of_its_shape(name: str) -> None:
    recipe = published()[name].recipe
    schedule = recipe.schedule.over(int(recipe.steps))
    x = (np.arange(200_000) + 0.5) / 200_000
    shape = schedule.at(x)
    for start in (0, 20_000, 150_000, 190_000):
        expected = shape[start:].sum() / 200_000
        assert float(schedule.integral(np.float64(start / 200_000))) == pytest.approx(expected, abs=1e-5)
    assert float(schedule.integral(np.float64(1.0))) == pytest.approx(0.0, abs=1e-15)


def test_a_horizon_before_the_end_leaves_the_final_rate() -> None:
    gpt3 = published()["GPT-3 175B"].recipe.schedule
    warmup, horizon = 375e6 / 300e9, 260e9 / 300e9
    assert gpt3.at(np.array([warmup / 2, warmup])) == pytest.approx([0.5, 1.0], abs=1e-12)
    middle = (warmup + horizon) / 2
    assert gpt3.at(np.array([middle, horizon, 0.9, 1.0])) == pytest.approx([0.55, 0.1, 0.1, 0.1], abs=1e-12)


def test_a_horizon_after_the_end_cuts_the_cosine() -> None:
    olmo = published()["OLMo-2 7B"].recipe.schedule
    expected = 0.1 + 0.9 * (1 + math.cos(math.pi * 3.9 / 5)) / 2
    assert float(olmo.at(np.float64(1.0))) == pytest.approx(expected, rel=1e-12)


def test_phases_and_steps_change_where_they_say() -> None:
    v3 = published()["DeepSeek-V3"].recipe.schedule
    x = np.array([0.0, 10e12 - 1, 10e12 + 2.15e12, 14.4e12, 14.7e12]) / 14.8e12
    assert v3.at(x) == pytest.approx([1.0, 1.0, 0.55, 0.1, 0.033182], abs=1e-9)
    v2 = published()["DeepSeek-V2"].recipe.schedule
    assert v2.at(np.array([0.59, 0.6, 0.89, 0.9])) == pytest.approx([1.0, 0.316, 0.316, 0.1])


def test_epochs_split_the_tokens_of_the_whole_run() -> None:
    recipe = published()["StableLM-3B-4E1T"].recipe
    assert (recipe.dataset_size, recipe.epochs) == (1e12, 4)
    assert recipe.steps == pytest.approx(4e12 / 4194304)


def test_experts_count_active_parameters() -> None:
    assert published()["DeepSeek-V3"].tokens_per_parameter == pytest.approx(400.0)
    assert published()["Llama-2 7B"].tokens_per_parameter == pytest.approx(2e12 / 6.7e9)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"kind": "sawtooth"}, "recipe 'x': schedule.kind must be one of .*, got 'sawtooth'"),
        ({"kind": "cosine", "restarts": 3}, "recipe 'x': schedule.cosine: key must be one of .*, got 'restarts'"),
        ({"kind": "constant", "final": 0.1}, "got 'final'"),
    ],
)
def test_what_a_schedule_cannot_express_names_its_key(schedule: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe_of("x", {**ENTRY, "schedule": schedule})


def test_unknown_keys_and_missing_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match=r"recipe 'x': key must be one of .* got 'dropout'"):
        described({**ENTRY, "name": "x", "source": "paper", "dropout": 0.1})
    with pytest.raises(ValueError, match="recipe 'x' has no schedule"):
        recipe_of("x", {key: value for key, value in ENTRY.items() if key != "schedule"})


def test_pieces_of_a_whole_are_the_whole() -> None:
    whole = em.Cosine(final=0.2, warmup=0.1)
    cut = Pieces((Piece(0.3, 1.0, em.Cosine(final=0.2), 1.0), Piece(1.0, 1.0, em.Constant(), 0.7)), warmup=0.1)
    x = np.linspace(0, 0.1 + 0.9 * 0.29, 50)
    np.testing.assert_allclose(cut.at(x), whole.at(x), atol=1e-14)


def test_the_published_recipes_are_reached_by_their_public_name() -> None:
    assert em.published()["Llama-2 7B"].recipe.lr == 3e-4
    import_module("ematheory.published_recipes")
    assert callable(em.published)


SINGLE = """
lr = 3e-4
weight_decay = 0.1
batch_size = 4e6
dataset_size = 2e12
parameters = 7e9
epochs = 2
schedule = { kind = "cosine", final = 0.1, warmup_steps = 2000 }
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_from_toml(tmp_path: Path) -> None:
    found = em.Recipe.from_toml(written(tmp_path, SINGLE))
    schedule = em.Cosine(final=0.1, warmup_steps=2000)
    # dataset_size in the file is that of the whole run, in the record that of an epoch.
    assert found.steps == 5e5
    assert (found.lr, found.dataset_size, found.epochs) == (3e-4, 1e12, 2.0)
    np.testing.assert_allclose(found.schedule.multipliers(10_000), schedule.multipliers(10_000), rtol=1e-12)


def test_one_of_several_recipes_from_toml(tmp_path: Path) -> None:
    path = written(
        tmp_path, f'[[recipe]]\nname = "a"{SINGLE}\n[[recipe]]\nname = "b"{SINGLE}'.replace("3e-4", "1e-4", 1)
    )
    assert em.Recipe.from_toml(path, "a").lr == 1e-4
    assert em.Recipe.from_toml(str(path), "b").lr == 3e-4
    with pytest.raises(ValueError, match="has 2 recipes; give name=, one of 'a', 'b'"):
        em.Recipe.from_toml(path)
    with pytest.raises(ValueError, match="must be one of 'a', 'b', got 'c'"):
        em.Recipe.from_toml(path, "c")
    with pytest.raises(FileNotFoundError, match=r"from the path of a TOML file, not from its text: 'lr = 1'"):
        em.Recipe.from_toml("lr = 1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = ", "is no TOML"),
        (SINGLE.replace("lr = 3e-4", ""), "recipe 'run' in .* has no lr"),
        (SINGLE + "dropout = 0.1", "key must be one of .* got 'dropout'"),
        (SINGLE.replace("final", "last"), "schedule.cosine: key must be one of .* got 'last'"),
        ("recipe = 1", r"headed \[\[recipe\]\]"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.Recipe.from_toml(written(tmp_path, text))


def groups(*decays: float, lr: float = 1e-3) -> Any:
    layers = [torch.nn.Linear(4, 4) for _ in decays]
    return torch.optim.AdamW(
        [{"params": layer.parameters(), "weight_decay": decay} for layer, decay in zip(layers, decays, strict=True)],
        lr=lr, betas=(0.8, 0.95),
    )  # fmt: skip


def test_a_recipe_from_a_torch_optimizer() -> None:
    optimizer = groups(0.1, 0.0)
    torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01)
    found = em.Recipe.from_optimizer(optimizer, 64, 64_000, epochs=3, schedule=em.Cosine())
    assert (found.lr, found.weight_decay, found.parameters, found.unit) == (1e-3, 0.1, 40.0, "samples")
    assert (found.beta1, found.beta2, found.steps) == (0.8, 0.95, 3000.0)


def test_groups_that_differ_need_a_choice() -> None:
    optimizer = groups(0.1, 0.2)
    with pytest.raises(ValueError, match=r"give group=, one of group 0: lr 0.001, weight_decay 0.1; group 1"):
        em.Recipe.from_optimizer(optimizer, 64, 64_000)
    assert em.Recipe.from_optimizer(optimizer, 64, 64_000, group=1).weight_decay == 0.2
    with pytest.raises(ValueError, match="no parameter group has weight decay"):
        em.Recipe.from_optimizer(groups(0.0), 64, 64_000)
    with pytest.raises(ValueError, match="one of the 2 parameter groups, got 2"):
        em.Recipe.from_optimizer(optimizer, 64, 64_000, group=2)


def test_l2_has_no_timescale() -> None:
    weights = [torch.nn.Parameter(torch.zeros(2))]
    for optimizer in (torch.optim.Adam(weights, weight_decay=0.1), torch.optim.SGD(weights, lr=0.1, weight_decay=0.1)):
        with pytest.raises(ValueError, match="adds its weight_decay to the gradient"):
            em.Recipe.from_optimizer(optimizer, 64, 64_000)
    with pytest.raises(TypeError, match="must be a torch optimizer"):
        em.Recipe.from_optimizer(weights, 64, 64_000)


def test_the_power_law_beside_a_published_recipe() -> None:
    found = published()["Llama-2 7B"]
    assert found.power_law_run_fraction == pytest.approx(1.084 * found.tokens_per_parameter**-0.527, rel=1e-15)
    with pytest.raises(ValueError, match="tokens_per_parameter must be finite and > 0"):
        POWER_LINES.run_fraction(0.0)


def test_the_power_laws_error_is_that_of_a_fitted_line() -> None:
    """R² of a line through points gives its slope's standard error, as SciPy computes it from the residuals."""
    x = np.linspace(0, 3, 12)
    fit = linregress(x, -0.5 * x + 0.1 * np.random.default_rng(0).normal(size=12))
    law = PowerLaw(1.0, fit.slope, fit.rvalue**2, "", "")
    assert law.exponent_error(12) == pytest.approx(fit.stderr, rel=1e-12)
    assert law.exponent_error() > law.exponent_error(4) > law.exponent_error(12)
    for tokens in (0.1, 1.0, 20.0):
        low, high = law.run_fraction_interval(tokens)
        ends = [tokens ** (fit.slope + sign * law.exponent_error()) for sign in (-1, 1)]
        assert (low, high) == pytest.approx(sorted(ends), rel=1e-12)


def test_a_framework_whose_decay_is_not_multiplied_by_the_rate_is_refused() -> None:
    class DecoupledAdamW(torch.optim.AdamW):
        __module__ = "composer.optim.decoupled_weight_decay"

    class Own(DecoupledAdamW):
        __module__ = "__main__"

    for kind in (DecoupledAdamW, Own):
        with pytest.raises(ValueError, match=r"composer\.DecoupledAdamW's weight_decay is not multiplied by"):
            em.Recipe.from_optimizer(kind(torch.nn.Linear(2, 2).parameters(), lr=1e-3, weight_decay=1e-5), 64, 64_000)
