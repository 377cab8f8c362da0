"""One update of many members: by the native module, or on tensors, it is the record's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest
import torch

import ematheory as em
from ematheory import optimizers
from ematheory.native import native_module
from ematheory.simulation import arrays
from ematheory.training.stacked_update import update_natively, update_of, update_on_tensors

VARIANTS = {name: record for kind in optimizers.RECORDS for name, record in kind.variants().items()}
DTYPES = [torch.float32, torch.float64]
MEMBERS, SIZE = 3, 37
needs_native = pytest.mark.skipif(native_module() is None, reason="the native engine was not built")


def case(record, dtype):
    """A state, a gradient and coefficients, the same at each call."""
    source = torch.Generator().manual_seed(0)
    state, gradient = torch.rand(len(record.State._fields) + 1, MEMBERS, SIZE, generator=source, dtype=dtype).split(
        [len(record.State._fields), 1]
    )
    c = torch.rand(MEMBERS, len(record.Coefficients._fields), generator=source, dtype=dtype)
    return record.State(*state), gradient[0] - 0.5, c


def by_numpy(record, state, gradient, c):
    columns = record.Coefficients(*c.numpy().T[..., None])
    new = record.update(arrays, record.State(*(values.numpy() for values in state)), gradient.numpy(), columns)
    return [torch.tensor(values) for values in new]


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", VARIANTS)
def test_the_native_update_has_the_bits_of_the_records_own_on_arrays(name, dtype):
    record = VARIANTS[name]
    state, gradient, c = case(record, dtype)
    wanted = by_numpy(record, state, gradient, c)
    update = update_of(record, "cpu")
    assert update.func is update_natively
    # However the gradient lies in memory.
    update(state, gradient.T.contiguous().T, c)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(state, wanted, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", VARIANTS)
def test_on_tensors_it_is_the_same_to_rounding(name, dtype, monkeypatch):
    """Two members at a time, and the one left. torch's roots are off by a unit in the last place, one in five of them
    in float32.
    """
    monkeypatch.setattr("ematheory.training.stacked_update.BLOCK", 2 * SIZE)
    record = VARIANTS[name]
    state, gradient, c = case(record, dtype)
    wanted = by_numpy(record, state, gradient, c)
    update_on_tensors(record, state, gradient, c)
    for ours, theirs in zip(state, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=8 * torch.finfo(dtype).eps, atol=8 * torch.finfo(dtype).eps)


@dataclass(frozen=True, eq=False, repr=False)
class Halved(em.SGD):
    """A user's record, which no native module knows."""

    def update(self, xp, state, gradient, c):
        return super().update(xp, state, 0.5 * gradient, c)


@pytest.mark.parametrize("record", [em.AdamP(lr=0.1), em.Amos(lr=0.1), Halved(lr=0.1)], ids=["adamp", "amos", "own"])
def test_what_the_native_module_does_not_step_is_stepped_on_tensors(record):
    assert update_of(record, "cpu").func is update_on_tensors


def test_on_a_gpu_and_without_the_native_module_tensors_are_stepped(monkeypatch):
    assert update_of(VARIANTS["adamw"], "cuda").func is update_on_tensors
    monkeypatch.setattr("ematheory.training.stacked_update.native_module", lambda: None)
    update = update_of(VARIANTS["adamw"], "cpu")
    assert isinstance(update, partial)
    assert update.func is update_on_tensors
