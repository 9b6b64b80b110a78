"""Every error that caloforge raises on purpose.

::

    CaloforgeError
    ├── InputError (ValueError)      a value the caller gave
    │   ├── ConfigError              a configuration file or one of its keys
    │   ├── GeometryError            a calorimeter, or two that do not fit each other
    │   └── CatalogError             a name that no catalogue entry has
    ├── ShowerFileError              a file that does not hold (only) valid showers
    ├── CheckpointError              weights that are missing, altered or of another model
    ├── SimulationError              Geant4 or its data
    ├── ClusterError                 a Dask cluster that does not answer, or has no workers
    └── MissingExtra (ImportError)   an optional dependency that is not installed

A message is one or two sentences: what was found, what is allowed, how to fix it.
"""

__all__ = [
    "CaloforgeError",
    "CatalogError",
    "CheckpointError",
    "ClusterError",
    "ConfigError",
    "GeometryError",
    "InputError",
    "MissingExtra",
    "ShowerFileError",
    "SimulationError",
]


class CaloforgeError(Exception):
    """Base of all errors raised by caloforge."""


class InputError(CaloforgeError, ValueError):
    """A value given by the caller can't be used."""


class ConfigError(InputError):
    """A configuration has an unknown key or a value of the wrong kind."""


class GeometryError(InputError):
    """A calorimeter is not consistent, or two calorimeters do not fit each other."""


class CatalogError(InputError):
    """No entry of a catalogue has this name."""


class ShowerFileError(CaloforgeError):
    """A file is missing, foreign, truncated or does not match the showers at hand."""


class CheckpointError(CaloforgeError):
    """Weights or a checkpoint are missing, altered or belong to another model."""


class SimulationError(CaloforgeError):
    """Geant4 or its data can't be used, or a simulation failed."""


class ClusterError(CaloforgeError):
    """A Dask cluster does not answer, or has no workers."""


class MissingExtra(CaloforgeError, ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    extra
        Name of the extra of caloforge that provides it.
    module
        The module that could not be imported.
    """

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(
            f"This needs {module}, which is not installed. Get it with: pip install 'caloforge[{extra}]'"
        )
