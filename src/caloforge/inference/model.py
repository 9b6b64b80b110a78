"""Trained models that generate without torch: an ONNX graph and the JSON record that describes it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from caloforge.errors import CatalogError, CheckpointError, GeometryError
from caloforge.files import sha256
from caloforge.geometry import Calorimeter
from caloforge.geometry.rebinning import shared_matrix
from caloforge.geometry.spiral import check_segmentation, spiral_inputs
from caloforge.incident.beam import Range, Ranges
from caloforge.incident.incident import Incident
from caloforge.incident.particles import particle_name
from caloforge.inference import zoo
from caloforge.inference.noise import Noise, draw
from caloforge.inference.record import STRAIGHT, read_record
from caloforge.inference.runtime import RUNTIMES, Cells, Promise, Runtime
from caloforge.resources import check_threads
from caloforge.units import GeV

__all__ = ["BLOCK", "ROWS", "TrainedModel"]

BLOCK = 128
"""Showers that are made at once: more would hardly be faster."""

ROWS = 16
"""Number of which the showers of a call to the runtime are a multiple.

Every row of a matrix product, and so every shower, then goes through the same instructions.
"""


@dataclass(frozen=True)
class TrainedModel:
    """A generator of showers, ready to run on onnxruntime.

    Attributes
    ----------
    name
        Name of the model in the catalogue, or of the user's own record.
    record
        The JSON: model, quality, particles, energy range, geometry, noise, sha256 of the graph, training.
    graph
        Path of the ONNX file.
    threads
        CPU threads; None leaves the choice to onnxruntime.
    coarser
        A read-out to whose cells those of the graph are summed (`on`), or None.

    Examples
    --------
    >>> model = TrainedModel.load("fast_eplus")
    >>> model.geometry.name, model.energy_range
    ('calogan', (1000.0, 100000.0))
    >>> incident = Incident(np.full(2, -11), np.full(2, 1e4))
    >>> model(model.noise(seed=1, start=0, stop=2), incident).shape
    (2, 504)
    """

    name: str
    record: Mapping[str, Any]
    graph: Path
    threads: int | None = None
    coarser: Calorimeter | None = None

    @classmethod
    def load(cls, name_or_path: str | Path, threads: int | None = None) -> "TrainedModel":
        """Load a model by its name (`zoo` lists the folders), or by the path of its JSON record.

        Raises
        ------
        CatalogError
            No model of this name is found.
        CheckpointError
            The record or the graph is missing or was altered, or the record has an impossible value.
        InputError
            The number of threads is not possible.
        """
        if threads is not None:
            check_threads(threads)
        own = Path(name_or_path)
        is_path = own.suffix == ".json" or own.is_file()
        path = own if is_path else zoo.locate(str(name_or_path))
        record = read_record(path)
        graph = path.with_name(record["graph"])
        if not graph.is_file():
            raise CheckpointError(
                f"{graph} is missing: it belongs next to its record. Install caloforge, or export the model, "
                "again."
            )
        if sha256(graph) != record["sha256"]:
            raise CheckpointError(
                f"{graph} is not the file that its record describes (sha256 differs): it was altered or cut. "
                "Install caloforge, or export the model, again."
            )
        return cls(path.stem, record, graph, threads)

    @property
    def geometry(self) -> Calorimeter:
        """The calorimeter whose cells are generated."""
        return self.coarser or self.grid

    @cached_property
    def grid(self) -> Calorimeter:
        """The calorimeter whose cells the graph makes."""
        return Calorimeter.from_dict(self.record["geometry"])

    @property
    def draws_any_read_out(self) -> bool:
        """Whether the model draws other segmentations of its calorimeter too, by `on`."""
        return bool(self.record.get("most_cells"))

    def on(self, geometry: Calorimeter) -> "TrainedModel":
        """Return the model for another segmentation of its calorimeter.

        A graph that takes the read-out as an input draws it; the cells of any other are summed to those of
        the read-out, and shared by area where an edge divides them (`divides`).

        Raises
        ------
        GeometryError
            The read-out differs in more than its segmentation, has too many cells, or cells that are smaller
            than those of the graph.
        """
        if geometry == self.geometry:
            return self
        if not self.draws_any_read_out:
            summed = replace(self, coarser=geometry)
            _ = summed._sums  # raises what does not fit
            return summed
        check_segmentation(geometry, self.geometry, self.record["most_cells"])
        numbers = self.record["noise_size"] // self.geometry.n_cells * geometry.n_cells
        return replace(self, record={**self.record, "geometry": geometry.to_dict(), "noise_size": numbers})

    @cached_property
    def _sums(self) -> csr_array:
        """The cells of the graph in those of the coarser read-out."""
        assert self.coarser is not None
        try:
            return shared_matrix(self.grid, self.coarser)
        except GeometryError as error:
            raise GeometryError(
                f"{self.name} makes showers in {self.grid.name}, not in {self.coarser.name}. {error}"
            ) from None

    @property
    def divides(self) -> int:
        """How many cells of the graph an edge of the read-out divides."""
        return 0 if self.coarser is None else int((np.diff(self._sums.indptr) > 1).sum())

    @cached_property
    def _read_out(self) -> dict[str, npt.NDArray[Any]]:
        """What tells the graph its read-out."""
        return spiral_inputs(self.geometry) if self.draws_any_read_out else {}

    @property
    def energy_range(self) -> tuple[float, float]:
        """Incident kinetic energies of the training, in MeV."""
        low, high = self.record["energy_range_GeV"]
        return low * GeV, high * GeV

    @property
    def direction_range(self) -> Ranges:
        """Ranges of theta and phi of the training, in rad; perpendicular where the record does not say."""
        theta, phi = (Range(*bounds) for bounds in self.record.get("direction_range_deg", STRAIGHT))
        return theta.scaled(math.pi / 180), phi.scaled(math.pi / 180)

    @property
    def position_range(self) -> Ranges:
        """Ranges of eta and phi of the training, in mm; the centre where the record does not say."""
        eta, phi = (Range(*bounds) for bounds in self.record.get("position_range_mm", STRAIGHT))
        return eta, phi

    @cached_property
    def runtime(self) -> Runtime:
        """What turns noise and conditions into cells.

        Raises
        ------
        CheckpointError
            The graph can't be used, or is not what the record says.
        """
        promise = Promise(
            self.record.get("noise", "normal"),
            self.record["noise_size"],
            self.grid.n_cells,
            tuple(self._read_out),
        )
        return RUNTIMES[self.record.get("runtime", "onnx")](self.graph, promise, self.threads)

    def noise(self, seed: int, start: int, stop: int, attempt: int = 0) -> Noise:
        """Return the random numbers of showers start to stop of a seed, (stop - start, noise_size)."""
        kind, size = self.record.get("noise", "normal"), self.record["noise_size"]
        return draw(kind, size, seed, start, stop, attempt)

    def label(self, pdg: int) -> int:
        """Return the label of a particle; raises `CatalogError` for one that the model does not know."""
        if pdg not in self.record["pdg"]:
            known = ", ".join(map(particle_name, self.record["pdg"]))
            raise CatalogError(f"{self.name} was trained for {known}, not for {particle_name(pdg)}.")
        return int(self.record["pdg"].index(pdg))

    def __call__(self, noise: Noise, incident: Incident, out: Cells | None = None) -> Cells:
        """Turn noise (N, noise_size) and N particles into cells (N, n_cells) in MeV, in ``out`` if given.

        A shower is the same, bit for bit, for any other showers in the call. The last bits of a matrix
        product depend on its number of rows, so the runtime always gets a multiple of `ROWS`.
        """
        inputs = {"noise": noise, **self._conditions(incident)}
        cells = np.empty((len(noise), self.geometry.n_cells), np.float32) if out is None else out
        for start in range(0, len(noise), BLOCK):
            part = {name: values[start : start + BLOCK] for name, values in inputs.items()}
            n = len(part["noise"])
            made = self.runtime({name: _padded(values) for name, values in part.items()} | self._read_out)
            # Sums in double precision, as `rebin_cells` makes them.
            summed = made[:n] if self.coarser is None else made[:n].astype(np.float64) @ self._sums
            cells[start : start + n] = summed
        return cells

    def _conditions(self, incident: Incident) -> dict[str, npt.NDArray[Any]]:
        """Return the inputs of the graph other than noise."""
        # Before the arrays are made, so that an unknown particle is refused even by a model without labels.
        labels = {pdg: self.label(pdg) for pdg in np.unique(incident.pdg).tolist()}
        # Functions, so that only the conditions of this graph are computed.
        every: dict[str, Callable[[], npt.NDArray[Any]]] = {
            "energy": lambda: incident.energy.astype(np.float32),
            "direction": lambda: incident.unit_direction.astype(np.float32),
            "position": lambda: incident.position,
            "label": lambda: np.array([labels[pdg] for pdg in incident.pdg.tolist()], np.int64),
        }
        return {name: make() for name, make in every.items() if name in self.runtime.inputs}


def _padded(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Repeat the last row until the number of rows is a multiple of `ROWS`."""
    # Copies of a real shower: zeros could become nan, as in the logarithm of the energy.
    missing = -len(values) % ROWS
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values
