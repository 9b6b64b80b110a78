"""caloforge: machine-learned fast simulation of calorimeter showers.

>>> import caloforge
>>> from caloforge.units import GeV
>>> caloforge.generate("gamma", energy=50 * GeV, n=1000, seed=1)
<1000 showers in calogan>
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caloforge.formats.native import write
    from caloforge.formats.open import read
    from caloforge.geometry import Calorimeter
    from caloforge.showers import Showers
    from caloforge.stages.evaluate.run import evaluate
    from caloforge.stages.export.onnx import export
    from caloforge.stages.generate import generate
    from caloforge.stages.simulate.run import simulate
    from caloforge.stages.train.run import train

__version__ = version("caloforge")

# Resolved on first use, so that importing caloforge loads neither HDF5 nor a network runtime.
_HOMES = {
    "Calorimeter": "caloforge.geometry",
    "Showers": "caloforge.showers",
    "evaluate": "caloforge.stages.evaluate.run",
    "export": "caloforge.stages.export.onnx",
    "generate": "caloforge.stages.generate",
    "read": "caloforge.formats.open",
    "simulate": "caloforge.stages.simulate.run",
    "train": "caloforge.stages.train.run",
    "write": "caloforge.formats.native",
}

__all__ = [
    "Calorimeter",
    "Showers",
    "__version__",
    "evaluate",
    "export",
    "generate",
    "read",
    "simulate",
    "train",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'caloforge' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
