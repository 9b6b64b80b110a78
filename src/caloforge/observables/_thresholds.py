"""Energies below which a read-out gives nothing, and what is left above them."""

from dataclasses import replace

import numpy as np

from caloforge.observables._shared import once
from caloforge.observables.base import Floats, layer_image
from caloforge.showers import Showers
from caloforge.units import MeV, keV

__all__ = ["THRESHOLDS", "above", "above_text", "count", "suffix"]

THRESHOLDS = (0.0, 0.5 * keV / 0.033, 1 * MeV)
"""Thresholds in use: none, and those of the Fast Calorimeter Simulation Challenge.

For its datasets 2 and 3 a voxel's 0.5 keV in the active material, over a sampling fraction of 0.033, that is
15.15 keV; for dataset 1, 1 MeV.
"""


@once
def count(showers: Showers, layer: int, threshold: float) -> Floats:
    """Count a layer's cells with energy, at least the threshold (MeV): (N,), not to be written to."""
    image = layer_image(showers, layer)
    hit = image >= threshold if threshold > 0 else image > 0
    hits = np.asarray(np.count_nonzero(hit, axis=(1, 2)), dtype=float)
    hits.flags.writeable = False
    return hits


def above(showers: Showers, threshold: float) -> Showers:
    """Return the showers that a read-out with a threshold (MeV) sees: cells below it are 0."""
    return replace(
        showers,
        cells=np.where(showers.cells < threshold, np.float32(0), showers.cells),
        provenance={**showers.provenance, "threshold_MeV": threshold},
    )


def suffix(threshold: float) -> str:
    """Return the end of an observable's name: the threshold in keV, as a plain identifier."""
    return f"_above_{threshold / keV:.4g}keV".replace(".", "_") if threshold else ""


def above_text(threshold: float) -> str:
    """Return the threshold in words, with a space before them; nothing where there is none."""
    if not threshold:
        return ""
    return f" above {threshold / MeV:.4g} MeV" if threshold >= MeV else f" above {threshold / keV:.4g} keV"
