"""The layout of Par04's first data, "High Granularity Electromagnetic Calorimeter Shower Images".

HDF5 with one dataset (N, rings, sectors, layers) in MeV for each incident energy, whose name is the energy
in whole GeV: ``1``, ``2``, ``4`` to ``1024``. Material and angle are given only in the name of the file. The
mesh of cells is rotated with the particle, as in the layout ``par04``.

Reference: Geant4 11.4, examples/extended/parameterisations/Par04, training_vae; D. Salamani, A. Zaborowska,
W. Pokorski, Phys. Lett. B 844 (2023) 138079, data doi:10.5281/zenodo.6082201.
"""

import re

import h5py
import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError
from caloforge.formats._hdf5 import HDF5Format, grow, shape_fault
from caloforge.formats._mesh import from_mesh, in_words, mesh_of, misfit, to_mesh
from caloforge.formats._sidecar import GROUP, Numbers, Rows
from caloforge.formats.native import extend
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.units import GeV

__all__ = ["ENTRY", "Par04Vae"]


def _names(file: h5py.File) -> list[str]:
    """Return the names of the datasets from the lowest energy on."""
    return sorted((name for name in file if name != GROUP), key=int)


def _mesh(file: h5py.File) -> tuple[int, ...]:
    return tuple(file[_names(file)[0]].shape[1:])


class Par04Vae(HDF5Format):
    """Par04's layout for fixed energies and calorimeters whose layers have the same rings and sectors.

    Showers are in the order of their energies; those of files written here are in their original order.
    """

    name = "par04_vae"
    description = "Geant4 Par04 at fixed energies: one dataset (N, r, alpha, z) in MeV an energy in GeV"

    def _has_names(self, file: h5py.File) -> bool:
        found = [(name, file.get(name)) for name in file if name != GROUP]
        return bool(found) and all(
            re.fullmatch(r"[1-9]\d*", name)
            and isinstance(entry, h5py.Dataset)
            and len(entry.shape or ()) == 4
            for name, entry in found
        )

    def _fault(self, file: h5py.File) -> str | None:
        mesh = _mesh(file)
        return next(filter(None, (shape_fault(file, {name: [mesh]}) for name in _names(file))), None)

    def _count(self, file: h5py.File) -> int:
        return sum(len(file[name]) for name in _names(file))

    def _cells_in(self, file: h5py.File) -> str:
        return in_words(_mesh(file))

    def _known_geometry(self, file: h5py.File) -> None:
        """Return None: detectors of two materials have been published with the same mesh."""

    def _misfit(self, file: h5py.File, geometry: Calorimeter) -> str | None:
        return misfit(_mesh(file), geometry, self.name)

    def _load(self, file: h5py.File, rows: slice, geometry: Calorimeter) -> Rows:
        energies = np.repeat([int(name) * GeV for name in _names(file)], [len(file[n]) for n in _names(file)])
        places = _places(file, energies)[rows]
        showers = np.empty((len(places), *_mesh(file)), np.float32)
        start = 0
        for name in _names(file):
            inside = np.flatnonzero((places >= start) & (places < start + len(file[name])))
            if len(inside):
                showers[inside] = _chosen(file[name], places[inside] - start)
            start += len(file[name])
        return Rows(from_mesh(showers), energies[places])

    def _create(self, file: h5py.File, first: Showers) -> None:
        mesh_of(first.geometry, self.name)
        if not len(first):
            raise InputError(
                f"The layout '{self.name}' names what it holds by energy: it can't hold no showers."
            )

    def _append(self, file: h5py.File, showers: Showers) -> None:
        mesh = mesh_of(showers.geometry, self.name)
        for energy in np.unique(showers.energy):
            # An exact test: whole GeV are whole MeV, which doubles hold without rounding.
            if energy % GeV:
                raise InputError(
                    f"The layout '{self.name}' holds energies of whole GeV, and here is one of "
                    f"{energy / GeV:.6g} GeV; the layout 'par04' holds any."
                )
            name = str(int(energy / GeV))
            if name not in file:
                grow(file, name, mesh, np.float32)
            extend(file[name], to_mesh(showers.cells[showers.energy == energy], mesh))


def _places(file: h5py.File, energies: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the place of each shower if the datasets are joined in the order of energies."""
    if GROUP not in file:
        return np.arange(len(energies))
    kept = file[GROUP]["energy"][:]
    # Within one energy a dataset has the original order, which only a stable sort keeps.
    order = np.argsort(kept, kind="stable")
    if not np.array_equal(kept[order], energies):
        raise InputError(f"The numbers of showers are not those that its group '{GROUP}' describes.")
    return np.argsort(order)


def _chosen(dataset: h5py.Dataset, places: npt.NDArray[np.int64]) -> Numbers:
    """Read entries that lie close together."""
    first = int(places.min())
    chosen: Numbers = dataset[first : int(places.max()) + 1][places - first]
    return chosen


ENTRY = Par04Vae()
