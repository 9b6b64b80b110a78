"""What a simulation would take, said before it begins, and what can't be simulated at all."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.spectrum import Spectrum
from caloforge.resources import check_disk, check_memory, check_threads, duration, size
from caloforge.units import GeV

__all__ = ["HIGHEST_ENERGY", "MOST_SHOWERS", "Estimate", "check", "check_room", "estimate"]

MOST_SHOWERS = 10**9
HIGHEST_ENERGY = 1e5 * GeV
"""Up to here (100 TeV) Geant4's reference physics lists have cross sections."""

_SEEDS = 1 << 64
_LOOKED_AT = 1000  # energies from which the mean is taken

# Rough figures of calogan_fine and the ILD's calorimeters with FTFP_BERT (docs/benchmarks/simulate.md).
# Others may differ by a factor of three.
_SECONDS_PER_GEV = 8e-3
_HITS_PER_GEV = 35
_BYTES_PER_HIT = 4.2
_FILLED = 0.5  # largest share of cells that are hit
_COPIES = 2  # the shards, and the file that they are joined to
_KEPT = 150  # bytes of memory for each shower: its energy and its time


@dataclass(frozen=True)
class Estimate:
    """What a simulation takes, roughly.

    Attributes
    ----------
    seconds
        Processor time in all.
    disk
        Bytes of the file and its shards.
    memory
        Bytes for the account of the showers.
    """

    seconds: float
    disk: float
    memory: float

    def sentence(self, n: int, workers: int) -> str:
        """Say it: ``1,000 showers take about 7 minutes with 1 worker and 7 MB on the disk.``"""
        many = f"{workers} worker{'s' if workers > 1 else ''}"
        return (
            f"{n:,} showers take roughly {duration(self.seconds / workers)} with {many}, and "
            f"{size(self.disk)} on the disk."
        )


def estimate(geometry: Calorimeter, spectrum: Spectrum, n: int, seed: int = 0) -> Estimate:
    """Return roughly what n showers take: time and size go with the incident energy."""
    energy = float(spectrum.sample(seed, 0, min(n, _LOOKED_AT)).mean()) / GeV
    hits = min(_FILLED * geometry.n_cells, 1 + _HITS_PER_GEV * energy)
    return Estimate(n * _SECONDS_PER_GEV * energy, _COPIES * n * hits * _BYTES_PER_HIT, n * _KEPT)


def check(spectrum: Spectrum, n: int, workers: int, seed: int, range_cut: float, *, cluster: bool) -> None:
    """Refuse numbers that no simulation can have.

    Workers of a cluster run elsewhere, so this computer's cores do not limit them.

    Raises
    ------
    InputError
        The message says which one, and the possible values.
    """
    if not 1 <= n <= MOST_SHOWERS:
        raise InputError(
            f"{n} showers can't be simulated: ask for at least 1 and at most {MOST_SHOWERS:,}, with several "
            "seeds for more."
        )
    if cluster and workers < 1:
        raise InputError(f"{workers} workers can't simulate: give at least 1.")
    if not cluster:
        check_threads(workers, "workers")
    if not 0 <= seed < _SEEDS:
        raise InputError(f"The seed {seed} is not possible: give a whole number from 0 to 2^64 - 1.")
    if not (math.isfinite(range_cut) and range_cut > 0):
        raise InputError(f"A range cut of {range_cut:g} mm is not possible: give a finite number above 0.")
    if spectrum.high > HIGHEST_ENERGY:
        raise InputError(
            f"{spectrum.high / GeV:g} GeV can't be simulated: Geant4's physics reaches to "
            f"{HIGHEST_ENERGY / GeV:,.0f} GeV (100 TeV)."
        )


def check_room(geometry: Calorimeter, spectrum: Spectrum, n: int, seed: int, out: Path, there: Path) -> None:
    """Refuse a simulation whose showers do not fit into the memory or on the disk.

    Parameters
    ----------
    geometry, spectrum, n, seed
        The showers to simulate.
    out
        The file to write.
    there
        The folder of its shards, which may hold a part of them already.

    Raises
    ------
    InputError
        The message says what it would take.
    OSError
        The folder of the file does not exist or can't be written to.
    """
    folder = out.parent
    if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "The folder can't be written to", str(folder))
    rough = estimate(geometry, spectrum, n, seed)
    done = sum(file.stat().st_size for file in [*there.glob("showers-*.h5"), out] if file.is_file())
    what = f"Simulating {n:,} showers"
    check_memory(rough.memory, what)
    if folder.is_dir():
        check_disk(folder, rough.disk - done, f"{what} ({duration(rough.seconds)} of processor time)")
