"""The optimizer records: their errors, their sweep axes, their variants and their coefficients in time."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory import records
from ematheory.optimizers import RECORDS, Optimizer
from ematheory.optimizers.optimizer import SymbolicTime
from ematheory.simulation.clock import Clock

BAD_VALUES: list[tuple[Any, dict[str, Any], str]] = [
    (em.AdamW, {"lr": -1}, r"lr must be finite and > 0, got -1\.0"),
    (em.AdamW, {"lr": 0.0}, r"lr must be finite and > 0, got 0\.0"),
    (em.AdamW, {"lr": np.nan}, "lr must be finite and > 0, got nan"),
    (em.AdamW, {"lr": np.inf}, "lr must be finite and > 0, got inf"),
    (em.AdamW, {"lr": [1e-3, -2.0]}, r"lr\[1\] must be finite and > 0, got -2\.0"),
    (em.AdamW, {"lr": []}, "lr: a sweep axis needs at least one value, got none"),
    (em.AdamW, {"lr": [[1.0, 2.0]]}, "lr has 2 dimensions without names"),
    (em.AdamW, {"lr": 1.0, "weight_decay": -0.1}, r"weight_decay must be finite and >= 0, got -0\.1"),
    (em.AdamW, {"lr": 1.0, "weight_decay": []}, "weight_decay: a sweep axis needs at least one value"),
    (em.AdamW, {"lr": 1.0, "betas": (0.9, 1.0)}, r"betas\[1\] must be in \[0, 1\), got 1\.0"),
    (em.AdamW, {"lr": 1.0, "betas": (1.0, 0.9)}, r"betas\[0\] must be in \[0, 1\), got 1\.0"),
    (em.AdamW, {"lr": 1.0, "betas": (-0.1, 0.9)}, r"betas\[0\] must be in \[0, 1\), got -0\.1"),
    (em.AdamW, {"lr": 1.0, "betas": (0.9,)}, r"betas must be a pair \(beta1, beta2\)"),
    (em.AdamW, {"lr": 1.0, "betas": 0.9}, r"betas must be a pair \(beta1, beta2\)"),
    (em.AdamW, {"lr": 1.0, "betas": ([0.9, 0.8], 0.99)}, "to sweep it give beta1="),
    (em.AdamW, {"lr": 1.0, "beta2": [0.9, 1.5]}, r"beta2\[1\] must be in \[0, 1\), got 1\.5"),
    (em.AdamW, {"lr": 1.0, "eps": -1e-8}, "eps must be finite and >= 0"),
    (em.AdamW, {"lr": 1.0, "decay": "l2"}, "decay must be one of 'per_lr', 'independent', 'corrected', 'cautious'"),
    (em.Adam, {"lr": -1}, "lr must be finite and > 0"),
    (em.Adam, {"lr": 1.0, "betas": (0.9, 1.0)}, r"betas\[1\] must be in \[0, 1\)"),
    (em.Adam, {"lr": 1.0, "weight_decay": np.nan}, "weight_decay must be finite and >= 0, got nan"),
    (em.SGD, {"lr": -1}, "lr must be finite and > 0"),
    (em.SGD, {"lr": 1.0, "momentum": 1.0}, r"momentum must be in \[0, 1\), got 1\.0"),
    (em.SGD, {"lr": 1.0, "weight_decay": -1}, "weight_decay must be finite and >= 0"),
    (em.SGD, {"lr": 1.0, "decay": "decoupled"}, "decay must be one of 'l2', 'per_lr', .*'cautious', got 'decoupled'"),
    (em.SGD, {"lr": 1.0, "nesterov": True}, "nesterov=True needs momentum > 0, got 0"),
    (em.SGD, {"lr": 1.0, "nesterov": True, "momentum": [0.9, 0.0]}, "nesterov=True needs momentum > 0"),
]


@pytest.mark.parametrize(("record", "fields", "message"), BAD_VALUES)
def test_a_value_outside_its_range_is_named(record: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(**fields)


@pytest.mark.parametrize("record", [em.AdamW, em.Adam, em.SGD])
@pytest.mark.parametrize("value", ["0.1", None, object(), [0.1, "x"]])
def test_what_is_no_number_is_a_type_error(record: Any, value: Any) -> None:
    with pytest.raises(TypeError, match="lr must be a number, a 1-D sequence"):
        record(lr=value)


def test_betas_may_be_a_data_array_with_a_further_dim() -> None:
    pairs = xr.DataArray([[0.9, 0.99], [0.8, 0.95]], dims=("pair", "betas"), coords={"pair": [1.0, 2.0]})
    record = em.AdamW(lr=1e-3, betas=pairs)
    assert record.beta1.dims == ("pair",)
    assert record.beta2.values.tolist() == [0.99, 0.95]
    with pytest.raises(ValueError, match="betas as a DataArray needs a dim 'betas' of length 2"):
        em.AdamW(lr=1e-3, betas=xr.DataArray([0.9, 0.99, 0.999], dims=("betas",)))


def test_beta1_given_apart_wins_over_the_pair() -> None:
    record = em.AdamW(lr=1e-3, betas=(0.9, 0.99), beta1=[0.5, 0.6])
    assert record.beta1.values.tolist() == [0.5, 0.6]
    assert record.betas[1] == 0.99


@pytest.mark.parametrize("record", RECORDS)
def test_every_variant_answers_to_its_own_name(record: type[Optimizer]) -> None:
    for name, variant in record.variants().items():
        assert variant.variant == name
        assert variant.State._fields[0] == "weight"


def test_the_variants_are_the_ones_the_native_engine_is_generated_from() -> None:
    names = [name for record in RECORDS for name in record.variants()]
    assert names == [
        "adamw", "adamw_cautious", "adamw_inside", "adamw_after", "adam", "sgd_l2", "sgd_l2_nesterov", "sgd_per_lr",
        "sgd_per_lr_nesterov", "sgd_cautious", "ademamix", "ademamix_cautious", "lion", "lion_cautious", "nadam_l2",
        "nadam_per_lr", "nadam_cautious", "rmsprop", "schedule_free_adamw", "schedule_free_sgd", "signsgd",
        "signsgd_cautious",
    ]  # fmt: skip


DECAYS = [("per_lr", 0.1 * 0.5 * 2.0), ("independent", 0.5 * 2.0), ("corrected", 0.1 * 0.5**2 * 2.0)]


@pytest.mark.parametrize(("decay", "expected"), DECAYS)
def test_what_multiplies_the_weight_in_each_convention(decay: str, expected: float) -> None:
    time = SymbolicTime(step=3, lr=0.1 * 0.5, weight_decay=2.0, multiplier=0.5)
    assert em.AdamW(lr=0.1, weight_decay=2.0, decay=decay).decay_per_step(time) == pytest.approx(expected, rel=1e-15)


def test_cautious_decay_spares_weights_that_the_step_moves_outwards() -> None:
    record = em.AdamW(lr=0.1, weight_decay=1.0, decay="cautious", betas=(0.0, 0.0), eps=0.0)
    block, _ = Clock(record, 1, 1).block(0, 1)
    state = record.initial(np, np.array([1.0, 1.0, -1.0]))
    after = record.update(np, state, np.array([1.0, -1.0, 1.0]), record.Coefficients(*block[0, 0]))
    # u = sign(g): it shrinks the first weight, which decays too, and grows the others, which do not.
    np.testing.assert_allclose(after.weight, [0.9 - 0.1, 1.1, -1.1], rtol=1e-15)


@pytest.mark.parametrize("blocks", [(20,), (1,) * 20, (3, 7, 10)])
def test_running_powers_do_not_see_the_block_size(blocks: tuple[int, ...]) -> None:
    record = em.AdamW(lr=[0.1, 0.2], beta1=0.9, beta2=0.95)
    flat = records.flattened(record, records.grid(record))
    whole, _ = Clock(flat, 2, 20).block(0, 20)
    clock, parts, first = Clock(flat, 2, 20), [], 0
    for size in blocks:
        parts.append(clock.block(first, first + size)[0])
        first += size
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_the_running_power_is_the_power() -> None:
    record = em.AdamW(lr=0.1, betas=(0.9, 0.999))
    block, _ = Clock(record, 1, 1000).block(0, 1000)
    step_size = block[0, :, record.Coefficients._fields.index("step_size")]
    np.testing.assert_allclose(step_size, 0.1 / (1 - 0.9 ** np.arange(1, 1001)), rtol=1e-13)
    np.testing.assert_array_equal(step_size[0], 0.1 / (1 - 0.9))


def test_betas_that_contradict_one_given_apart_are_refused() -> None:
    with pytest.raises(ValueError, match=r"betas\[0\]=0\.5 and beta1=0\.9 differ"):
        dataclasses.replace(em.AdamW(lr=0.1), betas=(0.5, 0.6))
    with pytest.raises(ValueError, match=r"betas\[1\] must be in \[0, 1\), got 1\.5"):
        em.AdamW(lr=0.1, betas=(0.9, 1.5), beta2=0.9)
    assert dataclasses.replace(em.AdamW(lr=0.1, betas=(0.5, 0.6)), lr=0.2).betas == (0.5, 0.6)
    assert em.AdamW(lr=0.1, beta2=0.99).betas == (0.9, 0.99)


def test_nesterov_is_true_or_false() -> None:
    with pytest.raises(TypeError, match="nesterov must be True or False, got 'no'"):
        em.SGD(lr=0.1, momentum=0.9, nesterov="no")
