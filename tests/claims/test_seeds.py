"""Sets of seeds share none, and every level on networks trains on the seeds of the set that it is asked for."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import numpy as np
import pytest

import ematheory as em
from ematheory.claims import Claim, Evidence, Exact, Level, examine, find, seeds
from ematheory.claims.valleys import bootstrapped

# Each module that trains networks with what makes its runs tiny; the levels of these claims are their networks alone,
# or end in them.
TINY = {
    "C06": ("li2020.rotation_of_networks", {"EPOCHS": 1, "WIDTH": 4}),
    "C14": ("malladi2022.batch_of_networks", {"EPOCHS": 1, "WIDTH": 4}),
    "C20": ("defazio2025.late_gradients_of_networks", {"EPOCHS": 2, "WIDTH": 4, "REACH": 0}),
    "C23": (
        "andriushchenko2024.products",
        {"WIDTH": 16, "STEPS": 30, "HORIZON": 10, "FINE_TUNED": 2, "IMAGES": 2},
    ),
    "C24": ("wang2025.best_decay_of_networks", {"EPOCHS": 1, "WIDTH": {"quick": 4}}),
    "C25": ("andriushchenko2024.effective_lr_of_networks", {"EPOCHS": {"quick": 1}, "SEEDS": {"quick": 6}}),
    "C34": ("kosson2024.rotation_of_networks", {"EPOCHS": 1, "WIDTH": 4}),
    "C36": ("wang2025.learning_rate_transfer", {"EPOCHS": 1, "SIZE": 64, "WIDTHS": {"quick": (16, 32)}}),
    "C37": ("lyu2024.grokking", {"MODULUS": 5, "WIDTH": 8, "TIMESCALES": 0.1, "EXTRA": 2}),
    "C42": ("bergsma2025b.collapse_of_networks", {"TOKENS_PER_PARAMETER": 0.5, "EVALUATED": 16}),
    "C43": ("andriushchenko2024.one_pass", {"STEPS": {"quick": 20}, "SCORED": 16}),
}
MODULES = sorted(Path(seeds.__file__).parent.rglob("*.py"))
# torch.optim alone, without a network.
WITHOUT_NETWORKS = {"C29"}


def test_no_seed_of_one_set_is_of_another():
    with seeds.drawing_from(1):
        assert seeds.chosen_seed(0) == 10**6
        assert seeds.chosen_seeds(5, 3) == range(1_000_005, 1_000_008)
    assert seeds.chosen_seed(5) == 5
    with pytest.raises(ValueError, match="a recorded seed must be in"):
        seeds.chosen_seed(10**6)


@pytest.mark.parametrize(
    ("wrong", "kind"), [(-1, ValueError), (10**15, ValueError), (0.5, TypeError), (True, TypeError)]
)
def test_what_is_no_set(wrong, kind):
    with pytest.raises(kind, match="seed_set must be"):
        em.validate("C26", levels="symbolic", seed_set=wrong)


def test_a_level_that_tells_of_other_seeds_is_an_error():
    fixed = Level(lambda tier: Evidence((Exact("w", 0.0, 1.0, 3, "rounding"),), seeds=(5,)))
    claim = Claim("X01", "paper", "w = w.", "here", (), ("exact",), {"numeric": fixed})
    assert examine([claim])[0].verdict == "confirmed"
    (judged,) = examine([claim], seed_set=1)
    assert judged.verdict == "error"
    assert "seeds [5] are not of seed set 1" in judged.why


def unchosen(tree):
    """The lines that take a recorded seed as it stands: a constant SEED, or a number given as `seed` or `seeds`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id.startswith("chosen_seed")]
    chosen = {id(name) for call in given for each in call.args for name in ast.walk(each)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    raw = [name.lineno for name in names if name.id.endswith("SEED") and id(name) not in chosen]
    values = [word.value for call in calls for word in call.keywords if word.arg in ("seed", "seeds")]
    return raw + [value.lineno for value in values if are_numbers(getattr(value, "elts", [value]))]


def are_numbers(nodes):
    return all(isinstance(node, ast.Constant) for node in nodes)


@pytest.mark.parametrize("path", MODULES, ids=[path.stem for path in MODULES])
def test_no_claim_takes_a_recorded_seed_as_it_stands(path):
    assert unchosen(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [("run(seed=SEED)", [1]), ("run(seed=0)", [1]), ("run(seeds=(0, 1))", [1]), ("range(FIRST_SEED, 9)", [1]),
     ("SEED = 5", []), ("run(seed=chosen_seed(SEED + 1))", []), ("run(seeds=chosen_seeds(FIRST_SEED, 4))", [])],
)  # fmt: skip
def test_what_takes_one(source, expected):
    assert unchosen(ast.parse(source)) == expected


def test_the_bootstrap_draws_anew():
    samples = np.random.default_rng(0).normal(size=(12, 2))
    errors = []
    for seed_set in (0, 1):
        with seeds.drawing_from(seed_set):
            errors.append(bootstrapped(samples, lambda mean: mean)[1])
    assert (errors[0] != errors[1]).all()
    np.testing.assert_allclose(*errors, rtol=0.1)


def test_every_empirical_claim_on_networks_is_tried_here():
    on_networks = {claim.id for claim in find() if "empirical" in claim.kinds and "trained" in claim.levels}
    assert on_networks == set(TINY) | WITHOUT_NETWORKS


@pytest.fixture
def trained_on(monkeypatch):
    """The seeds that training was called with."""
    import ematheory.training as training
    from ematheory.training.crosschecks import averages, effective_rates, one_pass

    used = set()
    for module, name in (
        (training, "train"), (averages, "averages"), (one_pass, "one_pass"), (effective_rates, "effective_rates"),
    ):  # fmt: skip
        # Modules that training loads when asked for a name have it set here, and unset after.
        real = getattr(module, name)

        def watched(*given, real=real, **options):
            used.update(options["seeds"] if "seeds" in options else [options["seed"]])
            return real(*given, **options)

        monkeypatch.setattr(module, name, watched, raising=False)
    return used


@pytest.mark.parametrize("claim", TINY)
def test_networks_train_on_the_seeds_of_the_set(monkeypatch, claim, request):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    used = request.getfixturevalue("trained_on")
    name, tiny = TINY[claim]
    module = importlib.import_module(f"ematheory.claims.{name}")
    for constant, value in {"SEEDS": {"quick": 2}, **tiny}.items():
        monkeypatch.setattr(module, constant, value)
    told = []
    for seed_set in (0, 1):
        used.clear()
        with seeds.drawing_from(seed_set):
            told.append(set(module.trained("quick").seeds))
            assert used == told[-1]
            seeds.check_chosen(used)
    assert {each + 10**6 for each in told[0]} == told[1]


def test_torch_without_networks_draws_from_the_set():
    pytest.importorskip("torch")
    one, other = (em.validate("C29", levels="trained", tier="smoke", seed_set=each).verdicts for each in (0, 1))
    for first, second in zip(one, other, strict=True):
        assert first["level"] != "trained" or first["seeds"] != second["seeds"]
        assert first["level"] != "trained" or first["interval"] != second["interval"]
