"""The layout of the Fast Calorimeter Simulation Challenge and of most files that its models write.

HDF5 with ``incident_energies`` (N, 1) and ``showers`` (N, voxels), both in MeV; voxels in the order of the
layers, in each the rings of the first sector first. The voxels are described in a separate binning file
(.xml), and the particle is given in the file name. The cells of data sets 2 and 3 are deposits in silicon,
scaled up to the incident energy; they are read without change.

Reference: C. Krause et al., CaloChallenge 2022, arXiv:2410.21611, Sec. 2.
"""

import h5py
import numpy as np

from caloforge.formats._hdf5 import HDF5Format, grow, shape_fault
from caloforge.formats._sidecar import Rows
from caloforge.formats.native import extend
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers

__all__ = ["ENTRY", "CaloChallenge"]

_KNOWN = {6480: "calochallenge_2", 40500: "calochallenge_3"}  # voxels of data sets 2 and 3


class CaloChallenge(HDF5Format):
    """The challenge's layout, for any calorimeter: cells are voxels, in caloforge's order.

    Files with 6480 or 40500 voxels are taken for the challenge's data set 2 or 3, unless a geometry is given.
    """

    name = "calochallenge"
    description = "CaloChallenge showers: showers (N, voxels) and incident_energies in MeV"

    def _has_names(self, file: h5py.File) -> bool:
        return "incident_energies" in file and "showers" in file

    def _fault(self, file: h5py.File) -> str | None:
        return shape_fault(file, {"incident_energies": [(1,), ()], "showers": [("voxels",)]})

    def _count(self, file: h5py.File) -> int:
        return len(file["incident_energies"])

    def _cells_in(self, file: h5py.File) -> str:
        return f"{file['showers'].shape[1]} voxels"

    def _known_geometry(self, file: h5py.File) -> str | None:
        return _KNOWN.get(file["showers"].shape[1])

    def _misfit(self, file: h5py.File, geometry: Calorimeter) -> str | None:
        voxels = file["showers"].shape[1]
        return (
            None
            if voxels == geometry.n_cells
            else f"the showers have {voxels} voxels, not {geometry.n_cells}"
        )

    def _load(self, file: h5py.File, rows: slice, geometry: Calorimeter) -> Rows:
        return Rows(file["showers"][rows], file["incident_energies"][rows].reshape(-1))

    def _create(self, file: h5py.File, first: Showers) -> None:
        grow(file, "incident_energies", (1,), np.float64)
        grow(file, "showers", (first.geometry.n_cells,), np.float32)

    def _append(self, file: h5py.File, showers: Showers) -> None:
        extend(file["incident_energies"], showers.energy[:, None])
        extend(file["showers"], showers.cells)


ENTRY = CaloChallenge()
