"""caloforge: machine-learned fast simulation of calorimeter showers.

>>> from caloforge.generate import generate
>>> from caloforge.units import GeV
>>> showers = generate("gamma", energy=50 * GeV, n=1000, seed=1)
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("caloforge")

# Resolved on first use, so that importing caloforge loads neither HDF5 nor a network runtime.
_HOMES = {
    "Calorimeter": "caloforge.geometry",
    "Showers": "caloforge.showers",
    "read": "caloforge.showers",
}

__all__ = ["Calorimeter", "Showers", "__version__", "read"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'caloforge' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
