"""Records of a tracker as an xarray Dataset, with the names that `train` and `simulate` use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ...results import attributes, run_attribute
from .lines import Line, number, of_optimizer, steps_of, warnings_of

# What a header says besides what can change the answer.
OF_THE_RUN = ("torch", "ematheory", "date")


def dataset(lines: Sequence[Line], optimizer: str | None = None) -> xr.Dataset:
    """The records of one optimizer, as `Tracker.dataset` gives them.

    Dims (step, group), and (step, parameter) for `parameter_…`; NaN where something was not there yet, or has no value.
    `group` and `parameter` are names; the coordinate `parameter_group` says whose group each parameter is in.

    Raises `ValueError` for records of several optimizers unless one is named, and for those without any step.
    """
    chosen = of_optimizer(lines, optimizer)
    # A record that a restart repeats stands for the earlier one.
    records = list({line["step"]: line for line in steps_of(chosen)}.values())
    if not records:
        raise ValueError("there is no record of a step yet, only the header of a run")
    steps = np.array([line["step"] for line in records], dtype=np.int64)
    groups, parameters = (columns(records, kind) for kind in ("groups", "parameters"))
    owner = {name: row["group"] for line in records for name, row in line["parameters"].items()}
    variables = {
        **tables(records, "groups", "group", groups, str),
        **tables(records, "parameters", "parameter", parameters, parameter_name),
    }
    coords = {
        "step": steps, "group": groups, "parameter": parameters,
        "parameter_group": ("parameter", [owner[name] for name in parameters]),
    }  # fmt: skip
    return xr.Dataset(variables, coords=coords, attrs=attrs(chosen))


def columns(records: Sequence[Line], kind: str) -> list[str]:
    return list(dict.fromkeys(name for line in records for name in line[kind]))


def parameter_name(name: str) -> str:
    """`parameter_norm` as in `train`, and so on.

    >>> parameter_name("weight_norm_predicted"), parameter_name("rotation")
    ('parameter_norm_predicted', 'parameter_rotation')
    """
    return "parameter_" + name.removeprefix("weight_")


def tables(records: Sequence[Line], kind: str, dim: str, columns: Sequence[str], named: Any) -> dict[str, Any]:
    """Each number of the records' rows as an array of shape (steps, columns)."""
    names = list(dict.fromkeys(name for line in records for row in line[kind].values() for name in row))
    rows = [[line[kind].get(column, {}) for column in columns] for line in records]
    return {
        named(name): (("step", dim), np.array([[number(cell.get(name)) for cell in row] for row in rows]).reshape(
            len(records), len(columns)
        ))
        for name in names
        if name not in ("group", "decay")
    }  # fmt: skip


def attrs(lines: Sequence[Line]) -> dict[str, Any]:
    """The last header's settings, and the warnings."""
    header = next((line for line in reversed(lines) if line["record"] == "start"), {})
    settings = {name: value for name, value in header.items() if name not in ("record", "step", *OF_THE_RUN)}
    ran = {name: header[name] for name in OF_THE_RUN if name in header}
    return {**attributes(**settings, warnings=warnings_of(lines)), **run_attribute(backend="torch.optim", **ran)}
