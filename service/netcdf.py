"""Draws as NetCDF that ArviZ and xarray open: the group `posterior`, with a coordinate for every axis.

The file is made on disk, as the format cannot be written front to back.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence

import h5netcdf
import h5py
import numpy as np

from service.selection import Quantity

_PIECE = 1 << 20


def write_netcdf(
    quantities: Sequence[Quantity],
    chains: Sequence[int],
    draws: Sequence[int],
    attributes: Mapping[str, str | int],
) -> Iterator[bytes]:
    """Write draws in the schema of InferenceData; `chains` and `draws` are their numbers."""
    with tempfile.TemporaryFile() as place:
        with h5netcdf.File(place, "w") as file:
            file.attrs.update(attributes)
            group = file.create_group("posterior")
            group.attrs.update(attributes)
            group.dimensions = {"chain": len(chains), "draw": len(draws)}
            for name, numbers in (("chain", chains), ("draw", draws)):
                group.create_variable(name, (name,), np.int64)[:] = np.asarray(numbers)
            axes: dict[str, tuple[str, ...]] = {}
            for quantity in quantities:
                _add(group, quantity, axes)
        place.seek(0)
        while piece := place.read(_PIECE):
            yield piece


def _add(group: h5netcdf.Group, quantity: Quantity, axes: dict[str, tuple[str, ...]]) -> None:
    dimensions = ["chain", "draw"]
    for axis, labels in quantity.axes.items():
        name = _sound(axis)
        # Of one quantity all coefficients may be chosen, of another some.
        while axes.get(name, labels) != labels or name in ("chain", "draw"):
            name += "_"
        if name not in axes:
            axes[name] = labels
            group.dimensions[name] = len(labels)
            variable = group.create_variable(name, (name,), h5py.string_dtype())
            variable[:] = np.array(labels, dtype=object)
        dimensions.append(name)
    group.create_variable(_sound(quantity.name), dimensions, np.float64)[:] = quantity.values


def _sound(name: str) -> str:
    """A slash would begin a group within a group."""
    return name.replace("/", "%2F")
