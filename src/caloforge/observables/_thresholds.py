"""Thresholds below which a read-out records no energy, and the showers above them."""

from dataclasses import replace

import numpy as np

from caloforge.observables._shared import once
from caloforge.observables.base import Floats, layer_image
from caloforge.showers import Showers
from caloforge.units import MeV, keV

__all__ = ["THRESHOLDS", "above", "above_text", "count", "suffix"]

THRESHOLDS = (0.0, 0.5 * keV / 0.033, 1 * MeV)
"""Thresholds in use: none, and those of the Fast Calorimeter Simulation Challenge.

In its data sets 2 and 3, a voxel needs 0.5 keV in the active material, which is 15.15 keV at a sampling
fraction of 0.033; in data set 1 it needs 1 MeV.
"""


@once
def count(showers: Showers, layer: int, threshold: float) -> Floats:
    """Count a layer's cells at or above a threshold (MeV), all with energy if it is 0: (N,), read-only."""
    image = layer_image(showers, layer)
    # The challenge keeps voxels at the threshold; at 0 that would count the empty ones.
    hit = image >= threshold if threshold > 0 else image > 0
    hits = np.asarray(np.count_nonzero(hit, axis=(1, 2)), dtype=float)
    hits.flags.writeable = False
    return hits


def above(showers: Showers, threshold: float) -> Showers:
    """Return the showers that a read-out with a threshold (MeV) sees: cells below it are 0.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> above(showers, 20.0).layer_energies()
    array([[ 0., 30.,  0.]])
    """
    return replace(
        showers,
        cells=np.where(showers.cells < threshold, np.float32(0), showers.cells),
        provenance={**showers.provenance, "threshold_MeV": threshold},
    )


def suffix(threshold: float) -> str:
    """Return the end of an observable's name: the threshold in keV, as a plain identifier."""
    return f"_above_{threshold / keV:.4g}keV".replace(".", "_") if threshold else ""


def above_text(threshold: float) -> str:
    """Return the threshold in words after a space; an empty text if there is none."""
    if not threshold:
        return ""
    return f" above {threshold / MeV:.4g} MeV" if threshold >= MeV else f" above {threshold / keV:.4g} keV"
