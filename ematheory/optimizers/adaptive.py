"""The pair of betas, which the Adam family shares."""

from __future__ import annotations

from typing import Any

import xarray as xr

from ..records import UNIT, as_field, equal_values, short

DEFAULT_BETAS = (0.9, 0.999)


def resolve_betas(record: Any, defaults: tuple[float, float] = DEFAULT_BETAS) -> None:
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
        object.__setattr__(record, name, resolved_beta(position, member, name, getattr(record, name), defaults))
    object.__setattr__(record, "betas", (record.beta1, record.beta2))


def resolved_beta(
    position: int, member: Any, name: str, given: Any, defaults: tuple[float, float]
) -> float | xr.DataArray:
    """One beta, from the pair's `member` or given apart as `name`; an unused member must be the default or the same."""
    in_pair = f"betas[{position}]"
    value = as_field(in_pair, member, UNIT)
    if given is None:
        if isinstance(value, xr.DataArray) and in_pair in value.dims:
            raise ValueError(f"{in_pair} must be a number, got {member!r}; to sweep it give {name}=")
        return value
    apart = as_field(name, given, UNIT)
    if not equal_values(value, apart) and not equal_values(value, defaults[position]):
        raise ValueError(
            f"{in_pair}={short(value)} and {name}={short(apart)} differ; give one of them (the other None)"
        )
    return apart
