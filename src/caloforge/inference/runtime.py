"""What runs a trained model: by now an ONNX graph; a kernel of another kind is one more class here."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.float32]


class Runtime(Protocol):
    """A map from named inputs to cells, each shower on its own."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs that it takes: noise, and conditions."""

    def __call__(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Cells:
        """Return cells (N, n_cells) in MeV; of the inputs, (N, ...) each, others are left alone."""


class OnnxGraph:
    """An ONNX graph on onnxruntime, in one process.

    Parameters
    ----------
    path
        The ONNX file.
    threads
        Of a call; None leaves the choice to onnxruntime.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._path, self._threads = path, threads

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the graph's inputs."""
        return tuple(item.name for item in self._session.get_inputs())

    def __call__(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Cells:
        """Return cells (N, n_cells) in MeV."""
        (cells,) = self._session.run(None, {name: inputs[name] for name in self.inputs})
        return np.asarray(cells, np.float32)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        # Spinning threads between blocks would take a whole core from whoever shares the machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])


RUNTIMES: dict[str, Callable[[Path, int | None], Runtime]] = {"onnx": OnnxGraph}
"""By the name that a record gives."""
