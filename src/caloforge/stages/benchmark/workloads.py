"""The simulations that a benchmark times."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from caloforge.incident.particles import particle_name
from caloforge.units import GeV

__all__ = ["BenchmarkPoint", "Float64s", "Record", "Setting", "Simulate"]

Float64s = npt.NDArray[np.float64]

Record = dict[str, Any]
"""What a benchmark found: numbers and text, of JSON's types."""


@dataclass(frozen=True)
class BenchmarkPoint:
    """A particle of one energy.

    Attributes
    ----------
    pdg
        PDG id.
    energy
        Kinetic energy in MeV.
    """

    pdg: int
    energy: float

    def __str__(self) -> str:
        return f"{particle_name(self.pdg)} {self.energy / GeV:g} GeV"


@dataclass(frozen=True)
class Setting:
    """A way to run the simulation.

    Attributes
    ----------
    name
        In a few words.
    commands
        Commands of Geant4's user interface after the usual ones; the last command for a setting counts.
    physics
        Name of the physics list.
    range_cut
        Range in mm below which secondaries are not tracked.
    fluorescence
        Whether it makes a difference only where the data hold fluorescence.
    """

    name: str
    commands: tuple[str, ...] = ()
    physics: str = "FTFP_BERT"
    range_cut: float = 0.7
    fluorescence: bool = False


class Simulate(Protocol):
    """A function that simulates."""

    def __call__(self, point: BenchmarkPoint, setting: Setting, n: int, out: Path) -> Float64s:
        """Make a file of n showers, or extend it to n; return the processor time of each new one in s.

        The time is nan for showers that are not typical, as a process's first is. A file that was made in
        another way is refused, also where it has n showers already.
        """
