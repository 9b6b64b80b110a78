"""caloforge: machine-learned fast simulation of calorimeter showers.

Energies are numbers in MeV, or text in GeV as on the command line:

>>> import caloforge as cf
>>> cf.generate("gamma", energy=50 * cf.GeV, n=1000, seed=1)
<1000 showers in calogan>
>>> cf.generate("gamma", energy="1:100", n=1000, seed=1)
<1000 showers in calogan>
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caloforge.errors import CaloforgeError
    from caloforge.formats.native import write
    from caloforge.formats.open import read
    from caloforge.geometry import Calorimeter
    from caloforge.incident.incident import Incident
    from caloforge.plots.overview import plot
    from caloforge.showers import Showers
    from caloforge.stages.evaluate.run import evaluate
    from caloforge.stages.export.onnx import export
    from caloforge.stages.generate import generate
    from caloforge.stages.simulate.run import simulate
    from caloforge.stages.train.fit import Plan
    from caloforge.stages.train.run import train
    from caloforge.units import GeV, MeV

__version__ = version("caloforge")

# Resolved on first use, so that importing caloforge loads neither HDF5 nor a network runtime.
_HOMES = {
    "Calorimeter": "caloforge.geometry",
    "CaloforgeError": "caloforge.errors",
    "GeV": "caloforge.units",
    "Incident": "caloforge.incident.incident",
    "MeV": "caloforge.units",
    "Plan": "caloforge.stages.train.fit",
    "Showers": "caloforge.showers",
    "evaluate": "caloforge.stages.evaluate.run",
    "export": "caloforge.stages.export.onnx",
    "generate": "caloforge.stages.generate",
    "plot": "caloforge.plots.overview",
    "read": "caloforge.formats.open",
    "simulate": "caloforge.stages.simulate.run",
    "train": "caloforge.stages.train.run",
    "write": "caloforge.formats.native",
}
_TRAINING = ("Plan", "export", "train")
"""What needs the extra ``train``."""

__all__ = [
    "CaloforgeError",
    "Calorimeter",
    "GeV",
    "Incident",
    "MeV",
    "Plan",
    "Showers",
    "__version__",
    "evaluate",
    "export",
    "generate",
    "plot",
    "read",
    "simulate",
    "train",
    "write",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # with this function, type checkers would accept any misspelt name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'caloforge' has no attribute '{name}'")
        try:
            return getattr(import_module(_HOMES[name]), name)
        except ModuleNotFoundError as error:
            if name not in _TRAINING or error.name is None or error.name.startswith("caloforge"):
                raise
            from caloforge.errors import MissingExtra

            raise MissingExtra("train", error.name) from None
