"""The JSON record of a trained model, checked key by key before anything else looks at it."""

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from caloforge.errors import CheckpointError, GeometryError
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import particle_name
from caloforge.inference.noise import NOISES
from caloforge.inference.runtime import RUNTIMES

__all__ = [
    "STRAIGHT",
    "Energies",
    "Energy",
    "Length",
    "Lengths",
    "Phi",
    "Phis",
    "Theta",
    "Thetas",
    "read_json",
    "read_record",
]

_LARGEST = 10_000_000
"""Bytes that a record may have; those that ship have about 5,000."""

STRAIGHT = ((0.0, 0.0), (0.0, 0.0))
"""Ranges of a record that names no directions, or no positions: perpendicular, at the centre."""

_SLACK = 0.01  # degrees: ranges of directions are those of the data, rounded


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the two bounds must ascend")
    return bounds


def _bare_name(name: str) -> str:
    if name in (".", "..") or "/" in name or not name.isprintable():
        raise ValueError("must be the bare name of a file in the record's folder")
    return name


def _known(pdg: int) -> int:
    if particle_name(pdg) == str(pdg):
        raise ValueError("must be the PDG id of a known particle")
    return pdg


def _each_once(pdg: list[int]) -> list[int]:
    if len(set(pdg)) < len(pdg):
        raise ValueError("must name each particle once")
    return pdg


def _calorimeter(geometry: dict[str, Any]) -> dict[str, Any]:
    try:
        Calorimeter.from_dict(geometry)
    except GeometryError as error:
        raise ValueError(str(error).removeprefix("configuration: ")) from None
    return geometry


# JSON has lists where Python has tuples, so these pairs, and nothing in them, are read leniently.
_Lenient = Field(strict=False)
Energy = Annotated[float, Field(gt=0, lt=1e6)]  # GeV; Geant4's models, too, end below a PeV
Theta = Annotated[float, Field(ge=0, le=90 + _SLACK)]
Phi = Annotated[float, Field(ge=-360 - _SLACK, le=360 + _SLACK)]
Length = Annotated[float, Field(ge=-1e5, le=1e5)]  # mm
Energies = Annotated[tuple[Energy, Energy], _Lenient, AfterValidator(_ascending)]
Thetas = Annotated[tuple[Theta, Theta], _Lenient, AfterValidator(_ascending)]
Phis = Annotated[tuple[Phi, Phi], _Lenient, AfterValidator(_ascending)]
Lengths = Annotated[tuple[Length, Length], _Lenient, AfterValidator(_ascending)]


class _Part(BaseModel):
    """Keys that caloforge reads; all others are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _Sample(_Part):
    showers: Annotated[int, Field(ge=0)]


class _Plan(_Part):
    epochs: Annotated[int, Field(ge=1)] | None = None


class _Surroundings(_Part):
    caloforge: str = ""


class _Area(_Part):
    value: float
    error: float


class _Separation(_Part):
    value: float
    floor: float


class _Fidelity(_Part):
    auc: dict[str, _Area] = {}
    separation: _Separation | None = None


class _Time(_Part):
    value: float


class _Speed(_Part):
    us_per_shower: _Time
    processor: str | None = None


class _Record(_Part):
    """What `caloforge export` writes, and what was measured afterwards."""

    graph: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_bare_name)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    pdg: Annotated[
        list[Annotated[int, AfterValidator(_known)]], Field(min_length=1), AfterValidator(_each_once)
    ]
    geometry: Annotated[dict[str, Any], AfterValidator(_calorimeter)]
    energy_range_GeV: Energies  # noqa: N815
    noise_size: Annotated[int, Field(ge=1, le=10_000_000)]
    most_cells: list[Annotated[int, Field(ge=1)]] = []
    learned: list[str] = []
    model: str
    data: list[_Sample]
    direction_range_deg: Annotated[tuple[Thetas, Phis], _Lenient] = STRAIGHT
    position_range_mm: Annotated[tuple[Lengths, Lengths], _Lenient] = STRAIGHT
    quality: str | None = None
    preferred: bool = False
    chosen: Literal["best", "last"] = "last"
    plan: _Plan = _Plan()
    surroundings: _Surroundings = _Surroundings()
    fidelity: _Fidelity | None = None
    speed: _Speed | None = None

    @model_validator(mode="after")
    def _for_every_cell(self) -> "_Record":
        geometry = Calorimeter.from_dict(self.geometry)
        if self.most_cells and len(self.most_cells) != len(geometry.layers):
            raise ValueError(f"most_cells must have a number for each of the {len(geometry.layers)} layers")
        if self.most_cells and self.noise_size % geometry.n_cells:
            raise ValueError(f"noise_size must be a multiple of the {geometry.n_cells} cells")
        return self


def read_json(path: Path) -> Any:
    """Read an unknown JSON file; None if it is not JSON, or too large for a record.

    Raises
    ------
    OSError
        The file can't be read.

    Examples
    --------
    >>> from caloforge.inference import zoo
    >>> sorted(read_json(zoo.locate("fast_eplus")))[:2]
    ['checkpoint_sha256', 'chosen']
    """
    with path.open("rb") as file:
        # One byte more than allowed tells that the file is too large, without reading all of it.
        text = file.read(_LARGEST + 1)
    try:
        content = json.loads(text) if len(text) <= _LARGEST else None
        json.dumps(content, ensure_ascii=False).encode()  # refuses half characters, which no file can hold
    except (ValueError, RecursionError):
        return None
    return content


def read_record(path: Path) -> dict[str, Any]:
    """Read the JSON that describes a trained model.

    Parameters
    ----------
    path
        The record, ``NAME.json``.

    Returns
    -------
    The JSON as it is, including keys that this caloforge does not know.

    Raises
    ------
    CheckpointError
        The file can't be read, is not a record, or one of its keys has an impossible value.

    Examples
    --------
    >>> from caloforge.inference import zoo
    >>> read_record(zoo.locate("fast_eplus"))["energy_range_GeV"]
    [1.0, 100.0]
    """
    try:
        record = read_json(path)
    except OSError as error:
        raise CheckpointError(
            f"{path} is missing or can't be read ({error.strerror}): install caloforge, or export the model, "
            "again."
        ) from None
    if not isinstance(record, dict) or "graph" not in record:
        raise CheckpointError(
            f"{path} is not the record of a trained model: give the .json that 'caloforge export' wrote."
        )
    # First, since such a record may break rules of this version that the newer one does not have.
    _check_age(path, record)
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        raise CheckpointError(
            f"{path} is not a usable record of a trained model: {_fault(error)}. Get the model again, or "
            "export it again."
        ) from None
    return record


def _check_age(path: Path, record: Mapping[str, Any]) -> None:
    """Refuse values that only a newer caloforge may know."""
    for key, default, known in (("noise", "normal", NOISES), ("runtime", "onnx", RUNTIMES)):
        value = record.get(key, default)
        if not isinstance(value, str) or value not in known:
            raise CheckpointError(
                f"{path} needs the {key} {reprlib.repr(value)}, which this caloforge does not know: "
                "install a newer caloforge."
            )


def _fault(error: ValidationError) -> str:
    """Describe the first invalid key."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"the key '{key}' is missing"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ").removesuffix(".")
    return f"'{key}' {message} (found {reprlib.repr(first['input'])})"
