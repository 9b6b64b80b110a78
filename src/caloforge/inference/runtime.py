"""Runs a trained model, at present an ONNX graph; another kind of kernel would be another class here."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from caloforge.errors import CheckpointError

__all__ = ["RUNTIMES", "Cells", "OnnxGraph", "Promise", "Runtime"]

Cells = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Promise:
    """What a record says of its runtime.

    Attributes
    ----------
    noise
        Kind of the noise, a key of `caloforge.inference.noise.NOISES`.
    noise_size
        Random numbers for each shower.
    n_cells
        Cells of a shower.
    read_out
        Names of the inputs that say which read-out is drawn; none where it is always the same.

    Examples
    --------
    >>> Promise("normal", noise_size=507, n_cells=504).noise
    'normal'
    """

    noise: str
    noise_size: int
    n_cells: int
    read_out: tuple[str, ...] = ()


class Runtime(Protocol):
    """A map from named inputs to cells, independently for each shower."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs that it takes: noise, and conditions."""

    def __call__(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Cells:
        """Return cells (N, n_cells) in MeV; inputs, (N, ...) each, that it does not take are ignored."""


_NOISE = {"normal": "tensor(float)", "bytes": "tensor(uint8)"}
_CONDITIONS: dict[str, tuple[str, tuple[int, ...]]] = {
    "energy": ("tensor(float)", ()),
    "direction": ("tensor(float)", (3,)),
    "position": ("tensor(float)", (2,)),
    "label": ("tensor(int64)", ()),
}
"""ONNX type of each condition, and the shape of one shower's."""

_READ_OUT = (("cells_", "tensor(float)", (4,)), ("order", "tensor(int64)", ()))
"""How the names of the inputs begin that describe a read-out, with the type and the shape of one cell's."""


class OnnxGraph:
    """An ONNX graph on onnxruntime, in one process.

    Parameters
    ----------
    path
        The ONNX file.
    promise
        Required inputs and outputs of the graph.
    threads
        CPU threads; None leaves the choice to onnxruntime.

    Raises
    ------
    CheckpointError
        onnxruntime does not accept the file, or the graph takes or makes something else than promised.
    """

    def __init__(self, path: Path, promise: Promise, threads: int | None = None) -> None:
        self._path, self._n_cells = path, promise.n_cells
        self._session = self._opened(threads)
        self._check_inputs(promise)
        self._check_outputs()
        self.inputs = tuple(item.name for item in self._session.get_inputs())

    def __call__(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Cells:
        """Return cells (N, n_cells) in MeV."""
        try:
            (cells,) = self._session.run(None, {name: inputs[name] for name in self.inputs})
        except Exception as error:  # onnxruntime's errors have no other base
            raise self._refusal("it fails when it runs", error) from None
        if cells.shape != (len(inputs["noise"]), self._n_cells):
            raise self._refusal(f"it made cells of shape {cells.shape} instead of (N, {self._n_cells})")
        # No copy: the type is checked when the graph is opened.
        return np.asarray(cells, np.float32)

    def _opened(self, threads: int | None) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        # Planning which tensors share memory takes a time that grows with the square of their number, 8 s for
        # a cascade of 5,000 operations, and nothing is faster for it.
        options.enable_mem_reuse = False
        options.log_severity_level = 4  # errors are raised as exceptions, so they need not be logged as well
        # Threads that spin between blocks would take a whole core from other work on the machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # A graph may name other files as its weights. None can be found below a device.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        try:
            content = self._path.read_bytes()
            return onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # onnxruntime's errors have no other base
            raise self._refusal("onnxruntime does not accept it", error) from None

    def _check_inputs(self, promise: Promise) -> None:
        wanted = {"noise": (_NOISE[promise.noise], (promise.noise_size,)), **_CONDITIONS}
        wanted |= {
            name: (kind, shape)
            for name in promise.read_out
            for start, kind, shape in _READ_OUT
            if name.startswith(start)
        }
        found = self._session.get_inputs()
        if "noise" not in [item.name for item in found]:
            raise self._refusal("it takes no input named 'noise'")
        for item in found:
            if item.name not in wanted:
                raise self._refusal(f"it takes an input {item.name!r}; known are: {', '.join(wanted)}")
            self._check_item(item, *wanted[item.name])

    def _check_outputs(self) -> None:
        found = self._session.get_outputs()
        if len(found) != 1:
            raise self._refusal(f"it has {len(found)} outputs instead of one, the cells")
        self._check_item(found[0], "tensor(float)", (self._n_cells,))

    def _check_item(self, item: Any, kind: str, sizes: tuple[int, ...]) -> None:
        """Refuse an input or output of another type or shape; sizes that the graph leaves open may fit."""
        shape = tuple(item.shape)
        fits = (
            len(shape) == 1 + len(sizes)
            and not isinstance(shape[0], int)
            and all(
                one == size or not isinstance(one, int) for one, size in zip(shape[1:], sizes, strict=True)
            )
        )
        if item.type != kind or not fits:
            wanted = ", ".join(map(str, ("N", *sizes)))
            raise self._refusal(
                f"its {item.name!r} is {item.type} of shape {shape} instead of {kind} of shape ({wanted})"
            )

    def _refusal(self, fault: str, error: Exception | None = None) -> CheckpointError:
        why = f" ({_first_line(error)})" if error else ""
        return CheckpointError(
            f"{self._path} can't be used as a model: {fault}{why}. Get the model again, or export it again."
        )


def _first_line(error: Exception) -> str:
    """Return the start of an error of onnxruntime, which may be very long."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= 200 else f"{line[:200]}..."


RUNTIMES: dict[str, Callable[[Path, Promise, int | None], Runtime]] = {"onnx": OnnxGraph}
"""By the name that a record gives."""
