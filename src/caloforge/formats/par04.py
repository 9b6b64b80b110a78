"""The layout of Geant4's example Par04 for any energies, which the LEMURS data sets share.

HDF5 with ``showers`` (N, rings, sectors, layers) and ``incident_energy`` (N,), both in MeV; where the
direction varied, ``incident_theta`` and ``incident_phi`` (N,) in rad, in the frame of the detector. The mesh
of cells is rotated with the particle, so every particle moves along its axis: these angles are read as
columns, and the direction is perpendicular. Energies are read without change; Par04 itself writes the total
energy, which for electrons is 0.511 MeV more than the kinetic energy.

Reference: Geant4 11.4, examples/extended/parameterisations/Par04, training_vae/root2h5.py; P. McKeown,
P. Raikwar, A. Zaborowska, LEMURS, arXiv:2509.05108.
"""

import h5py
import numpy as np

from caloforge.formats._hdf5 import HDF5Format, Shape, grow, shape_fault
from caloforge.formats._mesh import from_mesh, in_words, mesh_of, misfit, to_mesh
from caloforge.formats._sidecar import Numbers, Rows
from caloforge.formats.native import extend
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers

__all__ = ["ENTRY", "Par04"]

_ANGLES = ("incident_theta", "incident_phi")


class Par04(HDF5Format):
    """Par04's layout, for calorimeters whose layers are cut into the same rings and sectors.

    Columns ``incident_theta`` and ``incident_phi`` are the layout's own.
    """

    name = "par04"
    description = "Geant4 Par04 and LEMURS: showers (N, r, alpha, z) and incident_energy in MeV"

    def _has_names(self, file: h5py.File) -> bool:
        return "incident_energy" in file and "showers" in file

    def _fault(self, file: h5py.File) -> str | None:
        numbers: list[Shape] = [(), (1,)]
        angles = {name: numbers for name in _ANGLES if name in file}
        return shape_fault(
            file, {"incident_energy": numbers, "showers": [("rings", "sectors", "layers")], **angles}
        )

    def _count(self, file: h5py.File) -> int:
        return len(file["incident_energy"])

    def _cells_in(self, file: h5py.File) -> str:
        return in_words(file["showers"].shape[1:])

    def _known_geometry(self, file: h5py.File) -> None:
        """Return None: detectors of several materials have been published with the same mesh."""

    def _misfit(self, file: h5py.File, geometry: Calorimeter) -> str | None:
        return misfit(file["showers"].shape[1:], geometry, self.name)

    def _load(self, file: h5py.File, rows: slice, geometry: Calorimeter) -> Rows:
        angles: dict[str, Numbers] = {name: file[name][rows].reshape(-1) for name in _ANGLES if name in file}
        energy = file["incident_energy"][rows].reshape(-1)
        return Rows(from_mesh(file["showers"][rows]), energy, columns=angles)

    def _create(self, file: h5py.File, first: Showers) -> None:
        grow(file, "incident_energy", (), np.float64)
        grow(file, "showers", mesh_of(first.geometry, self.name), np.float32)

    def _append(self, file: h5py.File, showers: Showers) -> None:
        extend(file["incident_energy"], showers.energy)
        extend(file["showers"], to_mesh(showers.cells, mesh_of(showers.geometry, self.name)))
        for name in showers.columns.keys() & set(_ANGLES):
            if name not in file:
                grow(file, name, (), np.float64)
            extend(file[name], showers.columns[name])


ENTRY = Par04()
