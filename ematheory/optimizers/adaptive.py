"""The pair of betas, which the Adam family shares."""

from __future__ import annotations

from typing import Any

import xarray as xr

from ..records import UNIT, as_field


def resolve_betas(record: Any) -> None:
    """Set `beta1`, `beta2` from the pair unless given apart, check them, and set `betas` to the pair of them.

    A DataArray for the pair has a dim `betas` of length 2; its other dims are sweep axes.
    """
    pair = record.betas
    if isinstance(pair, xr.DataArray):
        if pair.sizes.get("betas") != 2:
            raise ValueError(f"betas as a DataArray needs a dim 'betas' of length 2, got dims {dict(pair.sizes)}")
        pair = [pair.isel(betas=i, drop=True) for i in (0, 1)]
    try:
        first, second = pair
    except (TypeError, ValueError):
        raise ValueError(f"betas must be a pair (beta1, beta2), got {record.betas!r}") from None
    for position, (name, member) in enumerate((("beta1", first), ("beta2", second))):
        given = getattr(record, name)
        value = as_field(f"betas[{position}]", member, UNIT) if given is None else as_field(name, given, UNIT)
        if given is None and isinstance(value, xr.DataArray) and f"betas[{position}]" in value.dims:
            raise ValueError(f"betas[{position}] must be a number, got {member!r}; to sweep it give {name}=")
        object.__setattr__(record, name, value)
    object.__setattr__(record, "betas", (record.beta1, record.beta2))
