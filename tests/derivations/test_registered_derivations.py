"""Every registered derivation: it verifies, its broken copies do not, and its functions meet the Formula contract."""

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest

from ematheory.derivations import derive, names
from ematheory.derivations.mutation import counted, mutated_equations, survivors
from ematheory.derivations.rendering import in_latex

# How many mutants each derivation has, as tests/derivations/record_mutants.py counted them.
RECORDED = json.loads(Path(__file__).with_name("mutants.json").read_text(encoding="utf-8"))

# Inputs of the Formula contract: ηλ from 1e-12 to 0.5, T to 1e9, β to within 1e-6 of 1, and a = β₁ where both occur.
# test_formula_contract.py draws at random between each word's least and largest values.
LARGEST_GRID = 150  # settings of one result; of a larger grid as many are drawn
SETTINGS = {
    "peak_lr": (1e-9, 1e-3, 1.0),
    "dataset_size": (1e3, 1e12),
    "prior_precision": (1e-6, 1e-3, 1e4),
    "lr": (1e-9, 3e-4, 0.05, 1.0),
    "weight_decay": (1e-6, 1e-3, 0.1, 0.5),
    "independent_weight_decay": (1e-12, 1e-5, 0.5),
    "decay_per_step": (1e-12, 1e-7, 1e-3, 0.1, 0.5),
    "pull_per_step": (1e-12, 1e-9, 1e-3, 0.3),
    "gradient_square": (1e-9, 1e-6, 3.0),
    "width": (1.000001, 1.5, 16.0),
    "one_minus_ema": (1e-6, 0.1, 0.9),
    "steps": (1.0, 17.0, 1e4, 1e9),
    "lag": (0.0, 1.0, 17.0, 1e4, 1e9),
    "fraction": (1e-9, 0.5, 0.999999999),
    "one_minus_beta1": (1e-6, 1e-3, 0.1, 0.5, 1.0),
    "one_minus_beta2": (1e-6, 1e-3, 0.05, 0.9999),
    "scale": (1e-6, 1.0, 40.0),
    "gradient": (-1e-9, 2.0),
    "eps": (1e-16, 1e-8, 1e-3),
    "curvature": (1e-9, 1e-6, 1.7),
    "preconditioner": (1e-6, 1e-3, 2.0),
    "momentum": (1e-6, 0.5, 0.875, 0.999999),
    "one_minus_momentum": (1e-6, 1e-3, 0.1, 0.9),
    "squared_distance": (1e-9, 1e-3, 2.0),
    "inverse_timescale": (1e-9, 1e-6, 1.5, 200.0, 1e4),
    "signal_to_noise": (1e-6, 0.7, 1e9),
    "root_mean_square": (1e-6, 1e-3, 2.0),
    "init_size": (1e-3, 0.5),
    "amos_lr": (1e-6, 1e-3, 0.5),
    "amos_scale": (1e-3, 0.2, 1.0),
    "weight_norm": (1e-3, 0.3, 50.0),
    "other_weight_norm": (1e-3, 2.0, 1e3),
    "largest_update": (1.0, 7.3, 1e3),
    "one_minus_beta3": (1e-6, 1e-4),
    "slow_weight": (1e-3, 5.0),
    "one_minus_momentum_base": (1e-6, 1.6e-4, 0.5),
    "noise_variance": (1e-9, 2.0),
    "optimum": (1e-3, 1.5),
    "init": (-1.0, 1e-3),
    "decay_per_lr": (1e-6, 0.9, 1e3),
    "present_lr": (1e-9, 0.9),
    "elapsed_steps": (1e-3, 1e9),
    "x": (1e-9, 1e-6, 0.5, 0.97, 0.999999),
    "tau": (1e-9, 1e-6, 0.3, 1e3, 1e9),
    "final": (1e-9, 0.1, 0.9),
    "decay": (1e-9, 1e-3, 0.2, 0.999999),
    "flat": (1e-9, 1e-4, 0.3, 0.999999),
    "rate": (1e-9, 1e-3, 1.0, 30.0, 1e3),
    "timescale": (1e-9, 1e-4, 0.3, 30.0, 1e9),
    "warmup": (1e-9, 1e-6, 0.1, 0.999999),
    "mean_multiplier": (1e-6, 1e-3, 0.7),
    "batch_factor": (1.0, 2.0, 64.0, 1e6),
    "batch_size": (1.0, 256.0, 1e8),
    "tokens": (1e6, 1e12, 1e15),
    "parameters": (1e3, 1e7, 1e13),
    "law_coefficient": (0.01, 1.084),
    "law_exponent": (0.001, 0.527),
    "inputs": (1.0, 2.0, 4096.0, 1e9),
    "update_alignment": (1e-6, 0.02, 1.0),
    "weight_alignment": (1e-6, 0.02, 1.0),
    "relative_update": (1e-9, 1e-6, 0.1),
    "init_std": (1e-6, 0.02, 1.0),
    "batch_ratio": (1e-9, 0.7, 1e9),
    "normalised_decay": (1e-9, 0.05, 3.0, 1e4),
    "width_factor": (1.000001, 1.5, 64.0),
    "noise_to_signal": (1e-9, 0.7, 1e6),
    "slow_pole_gap": (1e-12, 1e-9, 0.1, 0.999),
    "fast_pole_gap": (1e-6, 1e-3, 0.9),
    "steps_per_epoch": (2.0, 391.0, 1e9),
    "timescale_epochs": (1e-6, 1e-4, 0.7, 1e6),
    "epochs": (1.0, 30.0, 1e4),
    "items": (1e3, 1e9),
    "population_variance": (2.0,),
    "clip_multiple": (0.5, 4.0),
    "correlation": (1e-9, 0.5, 0.999999),
    "root_of_momentum": (1e-3, 0.5, 0.999999),
    "pole_angle": (1e-6, 0.7, 2.9),
    "coordinates": (1.0, 512.0, 1e9),
}


@pytest.mark.parametrize("name", names())
def test_it_verifies(name):
    report = derive(name).verify()
    assert report, str(report)


@pytest.mark.parametrize("name", names())
def test_no_step_is_shown_as_x_equals_x(name):
    """SymPy evaluates what is typed; `Step.shown`, or a letter with a definition, says what was meant."""
    for step in derive(name).steps:
        assert all(in_latex(lhs) != in_latex(rhs) for lhs, rhs in step.displayed.pairs()), step.label


@pytest.mark.parametrize("name", names())
def test_three_broken_steps_are_caught(name):
    derivation = derive(name)
    chosen = [n for n in range(len(derivation.steps)) if mutated_equations(derivation, n)]
    assert len(chosen) == len(derivation.steps), "a step without mutants cannot be shown to be checked"
    spread = sorted({0, len(chosen) // 2, len(chosen) - 1})
    assert survivors(derivation, per_step=1, only=spread) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_every_broken_step_is_caught(name):
    assert survivors(derive(name)) == []
    assert counted(derive(name)) == RECORDED[name], "the number of mutants changed; run record_mutants.py"


def numeric_results():
    return [(name, result) for name in names() for result in derive(name).functions()]


@pytest.mark.parametrize(("name", "result"), numeric_results())
def test_functions_meet_the_formula_contract(name, result):
    derivation = derive(name)
    function = derivation.function(result)
    unknown = set(function.words) - set(SETTINGS)
    assert not unknown, f"give SETTINGS values for {unknown}"
    settings = [
        dict(zip(function.words, values, strict=True))
        for values in itertools.product(*(SETTINGS[word] for word in function.words))
    ]
    allowed = [values for values in settings if derivation.allows(values)]
    chosen = random.Random(0).sample(allowed, min(len(allowed), LARGEST_GRID))
    with np.errstate(over="ignore"):  # inf where the value is beyond the largest float
        excesses = [(values, function.excess(**values)) for values in chosen]
    assert excesses
    assert [found for found in excesses if not found[1] <= 1] == []  # a NaN is no success
