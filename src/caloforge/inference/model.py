"""Trained models that generate without torch: an ONNX graph and the JSON record that describes it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caloforge.errors import CatalogError, CheckpointError
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import particle_name
from caloforge.inference import zoo
from caloforge.inference.noise import NOISES, Noise
from caloforge.units import GeV

Cells = npt.NDArray[np.float32]


_KEYS = {"graph", "sha256", "pdg", "geometry", "energy_range_GeV", "noise_size"}


@dataclass(frozen=True)
class TrainedModel:
    """A generator of showers, ready to run on onnxruntime.

    Attributes
    ----------
    name
        Name of the weights in the catalogue, or of the user's own record.
    record
        The JSON: model, quality, particles, energy range, geometry, noise, sha256 of the graph, training.
    graph
        Path of the ONNX file.
    threads
        Threads of a generation; None leaves the choice to onnxruntime.
    """

    name: str
    record: Mapping[str, Any]
    graph: Path
    threads: int | None = None

    @classmethod
    def load(cls, name_or_path: str | Path, threads: int | None = None) -> "TrainedModel":
        """Load a model by its name (`zoo` says where it may lie), or that whose JSON record lies at a path.

        Raises
        ------
        CatalogError
            No model of this name is found.
        CheckpointError
            The record or the graph is missing or was altered.
        """
        own = Path(name_or_path)
        is_path = own.suffix == ".json" or own.is_file()
        path = own if is_path else zoo.locate(str(name_or_path))
        try:
            record = read_record(path)
            graph = path.with_name(record["graph"])
            digest = hashlib.sha256(graph.read_bytes()).hexdigest()
        except FileNotFoundError as error:
            raise CheckpointError(
                f"{error.filename} is missing: install caloforge, or export the model, again."
            ) from None
        if digest != record["sha256"]:
            raise CheckpointError(
                f"{graph} is not the file that its record describes (sha256 differs): it was altered or cut. "
                "Install caloforge, or export the model, again."
            )
        return cls(path.stem, record, graph, threads)

    @cached_property
    def geometry(self) -> Calorimeter:
        """The calorimeter whose cells are generated."""
        return Calorimeter.from_dict(self.record["geometry"])

    @property
    def energy_range(self) -> tuple[float, float]:
        """Incident kinetic energies of the training, in MeV."""
        low, high = self.record["energy_range_GeV"]
        return low * GeV, high * GeV

    @property
    def noise_size(self) -> int:
        """Random numbers a shower."""
        return int(self.record["noise_size"])

    def noise(self, stream: np.random.Generator, n: int) -> Noise:
        """Draw the random numbers of n showers, (n, noise_size), of the kind that the graph takes.

        They are float32 standard normals, or uint8 from 0 to `LEVELS` - 1, all as likely.
        """
        return NOISES[self.record.get("noise", "normal")](stream, n, self.noise_size)

    def label(self, pdg: int) -> int:
        """Return the label of a particle; raises `CatalogError` for one that the model does not know."""
        if pdg not in self.record["pdg"]:
            known = ", ".join(map(particle_name, self.record["pdg"]))
            raise CatalogError(f"{self.name} was trained for {known}, not for {particle_name(pdg)}.")
        return int(self.record["pdg"].index(pdg))

    def __call__(
        self, noise: Noise, energy: npt.NDArray[np.floating[Any]], label: npt.NDArray[np.int64]
    ) -> Cells:
        """Turn `noise`, energy (N,) MeV and label (N,) into cells (N, n_cells) MeV."""
        inputs = {"noise": noise, "energy": energy.astype(np.float32), "label": label}
        (cells,) = self._session.run(None, {name: inputs[name] for name in self._inputs})
        return np.asarray(cells, np.float32)

    @cached_property
    def _inputs(self) -> list[str]:
        return [item.name for item in self._session.get_inputs()]

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        # Spinning threads between blocks would take a whole core from whoever shares the machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])


def read_record(path: Path) -> dict[str, Any]:
    """Read the JSON that describes a trained model; raises `CheckpointError` for anything else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    if not (isinstance(record, dict) and record.keys() >= _KEYS):
        raise CheckpointError(
            f"{path} is no record of a trained model: give the .json that 'caloforge export' wrote."
        )
    if record.get("noise", "normal") not in NOISES:
        raise CheckpointError(
            f"{path} takes noise of a kind, '{record['noise']}', that this caloforge does not draw: "
            "install a newer caloforge."
        )
    return record
