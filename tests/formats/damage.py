"""Files of showers and a hypothesis strategy that damages them: bytes, structure, links, values.

Whatever is done, reading must give the same showers or a `ShowerFileError` of one or two sentences that
names the file. ``runs/fuzz_files.py`` runs the same for longer.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

from caloforge import catalog
from caloforge.errors import ShowerFileError
from caloforge.formats.native import write
from caloforge.formats.open import read
from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer
from caloforge.incident.incident import Incident
from caloforge.showers import Showers

from .conftest import calorimeter, same_showers

_RINGS = calorimeter(
    "rings", *(RingLayer((i, i + 1), Axis(edges=[0.0, 1.0, 4.65, 30.0]), 4) for i in range(3))
)
_BOXES = calorimeter(
    "boxes",
    *(Layer((i, i + 1), Axis.uniform(3, -20.0, 20.0), Axis.uniform(4, -10.0, 10.0)) for i in range(2)),
)
_NATIVE = "native"
_GEOMETRIES = {
    **{
        _NATIVE: _BOXES,
        "calochallenge": _RINGS,
        "calogan": Calorimeter.load("calogan"),
        "getting_high": _BOXES,
    },
    **{"par04": _RINGS, "par04_vae": _RINGS, "showerdata": _BOXES},
}
LAYOUTS = (_NATIVE, *catalog.names("formats"))
_WRONG_TYPES = ("c16", "S3", "V4", h5py.string_dtype())


@dataclass(frozen=True)
class Case:
    """A valid file, what is in it, and the names of its groups and datasets."""

    layout: str
    content: bytes
    showers: Showers
    names: tuple[str, ...]


def make_case(layout: str, folder: Path) -> Case:
    """Write a valid file of a layout."""
    random, geometry, n = np.random.default_rng(1), _GEOMETRIES[layout], 30
    hit = random.random((n, geometry.n_cells)) < 0.3
    showers = Showers(
        geometry,
        np.where(hit, random.lognormal(0, 2, hit.shape), 0),
        Incident(
            random.choice([11, -11, 22, 211], n),
            random.integers(1, 4, n) * 1000.0,
            random.uniform(0, 1.5, (n, 2)),
            random.uniform(-50, 50, (n, 2)),
        ),
        columns={"leaked": random.exponential(1, n), "tries": np.arange(n)},
        provenance={"seed": 1, "versions": {"caloforge": "1"}},
    )
    path = folder / f"{layout}.h5"
    write(showers, path) if layout == _NATIVE else catalog.load("formats", layout).write(showers, path)
    names: list[str] = []
    with h5py.File(path) as file:
        file.visit(names.append)
    return Case(layout, path.read_bytes(), read(path), tuple(names))


Damage = Callable[[Path], None]


def damages(case: Case) -> st.SearchStrategy[Damage]:
    """Return a strategy of ways to damage a file."""
    return st.one_of(
        _of_bytes(len(case.content)), _of_structure(case), _of_values(case), _of_attributes(case)
    )


def check(case: Case, path: Path, damage: Damage) -> str:
    """Read a damaged copy of a file; return what came of it, or raise `AssertionError`."""
    path.write_bytes(case.content)
    damage(path)
    try:
        found = read(path)
    except ShowerFileError as error:
        text = str(error).replace(str(path), "FILE")
        assert "FILE" in text, text
        assert 1 <= len(re.findall(r"[.?!](?=\s|$)", text)) <= 2, text
        assert text.isprintable(), text
        return "refused"
    if case.layout == "showerdata" and isinstance(damage, Flip | Replace):
        return "read"  # HDF5 keeps lists, which its points are, without any checksum
    assert same_showers(found, case.showers), f"{case.layout}: other showers without a word"
    return "equal"


@dataclass(frozen=True)
class Flip:
    """Bits of some bytes are the others."""

    places: Sequence[int]
    bits: int

    def __call__(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        for place in self.places:
            content[place] ^= self.bits
        path.write_bytes(content)


@dataclass(frozen=True)
class Replace:
    """Bytes are those of another place: sectors of a disk that were mixed up."""

    place: int
    source: int
    length: int

    def __call__(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        part = content[self.source : self.source + self.length]
        content[self.place : self.place + len(part)] = part
        path.write_bytes(content)


@dataclass(frozen=True)
class Truncate:
    """The end is missing."""

    length: int

    def __call__(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[: self.length])


def _of_bytes(size: int) -> st.SearchStrategy[Damage]:
    place = st.integers(0, size - 1)
    return st.one_of(
        st.builds(Flip, st.lists(place, min_size=1, max_size=3), st.integers(1, 255)),
        st.builds(Replace, place, place, st.integers(1, 512)),
        st.builds(Truncate, place),
    )


@dataclass(frozen=True)
class Rebuild:
    """A group or dataset is something else."""

    name: str
    how: str
    choice: int

    def __call__(self, path: Path) -> None:
        with h5py.File(path, "r+") as file:
            values = file[self.name][()] if isinstance(file[self.name], h5py.Dataset) else None
            values = None if isinstance(values, bytes) else values
            del file[self.name]
            _HOW[self.how](file, self.name, values, self.choice)


def _elsewhere(file: h5py.File, name: str, values: Any, choice: int) -> None:
    external = [(f"{file.filename}.raw", 0, h5py.h5f.UNLIMITED)]
    kind = np.asarray(0.0 if values is None or values.dtype == object else values)
    file.create_dataset(
        name, kind.shape or (1,), "f8" if kind.dtype == object else kind.dtype, external=external
    )


def _virtual(file: h5py.File, name: str, values: Any, choice: int) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", (3,))
    file.create_virtual_dataset(name, layout)


def _endless(file: h5py.File, name: str, values: Any, choice: int) -> None:
    tail = () if values is None else values.shape[1:]
    kind = "f4" if values is None or values.dtype == object else values.dtype
    length = (10**11, 10**18)[choice % 2]
    file.create_dataset(name, (length, *tail), kind, chunks=(64, *tail), compression="gzip")


def _reshaped(file: h5py.File, name: str, values: Any, choice: int) -> None:
    given = np.zeros(3, "f4") if values is None or values.dtype == object else np.atleast_1d(values)
    file[name] = (given[:-1], np.concatenate([given, given]), given[None], given[:0])[choice % 4]


def _other_type(file: h5py.File, name: str, values: Any, choice: int) -> None:
    shape = (3,) if values is None or not np.shape(values) else np.shape(values)
    file.create_dataset(name, shape, _WRONG_TYPES[choice % len(_WRONG_TYPES)])


_HOW: dict[str, Callable[[h5py.File, str, Any, int], None]] = {
    "missing": lambda file, name, values, choice: None,
    "group": lambda file, name, values, choice: file.create_group(name),
    "soft link": lambda file, name, values, choice: file.__setitem__(name, h5py.SoftLink("/energy")),
    "loop": lambda file, name, values, choice: file.__setitem__(name, h5py.SoftLink(f"/{name}")),
    "ring": lambda file, name, values, choice: file.__setitem__(name, file["/"]),
    "external link": lambda file, name, values, choice: file.__setitem__(
        name, h5py.ExternalLink("b.h5", "/a")
    ),
    "empty": lambda file, name, values, choice: file.__setitem__(name, h5py.Empty("f4")),
    "text": lambda file, name, values, choice: file.__setitem__(name, "[" * (choice * 1000)),
    "external storage": _elsewhere,
    "virtual": _virtual,
    "endless": _endless,
    "shape": _reshaped,
    "type": _other_type,
}


def _of_structure(case: Case) -> st.SearchStrategy[Damage]:
    return st.builds(
        Rebuild, st.sampled_from(case.names), st.sampled_from(sorted(_HOW)), st.integers(0, 100)
    ).filter(_is_damage)


def _is_damage(damage: Rebuild) -> bool:
    """Whether it is none that means something: who deletes a column, or all that caloforge adds, means it."""
    optional = damage.name == "caloforge" or "columns" in damage.name or damage.name == "caloforge/ulps"
    emptied = damage.name.endswith("columns") and damage.how == "group"  # all columns deleted
    return not (optional and damage.how == "missing") and not emptied


@dataclass(frozen=True)
class Value:
    """A number is an impossible one, in a type that has a place for it."""

    name: str
    place: float
    value: float

    def __call__(self, path: Path) -> None:
        with h5py.File(path, "r+") as file:
            values = np.asarray(file[self.name][()])
            if values.dtype.kind not in "iuf" or not values.size:
                return
            whole = values.dtype.kind in "iu" and float(self.value).is_integer()
            wide = values.astype(np.int64 if whole else np.float64)
            wide.reshape(-1)[int(self.place * (wide.size - 1))] = self.value
            del file[self.name]
            file[self.name] = wide


_IMPOSSIBLE: dict[str, tuple[float, ...]] = {
    "cells/index": (np.nan, -1.0, 1.5, 2.0**40),
    "cells/indptr": (np.nan, -1.0, 1.5, 2.0**40),
    "cells/value": (np.nan, -1.0, np.inf, 1e300, 1e10),
    "pdg": (np.nan, 1.5, 2.0**40, -(2.0**31)),
    "energy": (np.nan, 0.0, -1.0, np.inf),
    "direction": (np.nan, 100.0, -10.0, 1e300),
    "position": (np.nan, np.inf, 1e300),
    "showers": (np.nan, -1.0, np.inf, 1e300, 1e10),
    "incident_energies": (np.nan, 0.0, -1.0, np.inf),
    "incident_energy": (np.nan, 0.0, -1.0, np.inf),
    "layers": (np.nan, -1.0, np.inf, 1e300, 1e10),
    "layer_1": (np.nan, -1.0, np.inf, 1e300, 1e10),
    "1": (np.nan, -1.0, np.inf, 1e300, 1e10),
    "energies": (np.nan, 0.0, -1.0, np.inf),
    "directions": (np.nan, np.inf),
}


def _of_values(case: Case) -> st.SearchStrategy[Damage]:
    choices = [
        (name, value)
        for name in case.names
        if not name.startswith("caloforge/")
        for value in _IMPOSSIBLE.get(name if name in _IMPOSSIBLE else name.rpartition("/")[2], ())
    ]
    return st.builds(
        lambda choice, place: Value(choice[0], place, choice[1]), st.sampled_from(choices), st.floats(0, 1)
    )


@dataclass(frozen=True)
class Attribute:
    """An attribute of the file is missing, or something else."""

    name: str
    value: Any

    def __call__(self, path: Path) -> None:
        with h5py.File(path, "r+") as file:
            if self.value is None:
                file.attrs.pop(self.name, None)
            else:
                file.attrs[self.name] = self.value


_ATTRIBUTES = (
    1,
    -1,
    2.5,
    1j,
    "",
    "{}",
    "[]",
    "null",
    "NaN",
    '{"layers": 3}',
    "[" * 50_000,
    b"x",
    [1, 2],
    ["a", "b"],
)


def _of_attributes(case: Case) -> st.SearchStrategy[Damage]:
    names = (
        ("format", "version", "geometry", "provenance") if case.layout == _NATIVE else ("particle", "version")
    )
    return st.builds(Attribute, st.sampled_from(names), st.sampled_from((None, *_ATTRIBUTES)))
