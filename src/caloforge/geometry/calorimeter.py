"""Calorimeters: what they are made of and where their cells are.

Frame: z runs along the particle and starts at 0 on the front face; x is phi and y is eta, both in mm and
centred on the particle. The cells of a shower are one row: layers in the direction of the particle, within
a layer row-major [phi, eta], or [alpha, r] in layers with rings.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from caloforge import catalog, config
from caloforge.config import strict_dataclass
from caloforge.errors import ConfigError, GeometryError
from caloforge.geometry.axis import Integers, exact
from caloforge.geometry.binning_xml import read_binning
from caloforge.geometry.layers import Direction, Layer, RingLayer
from caloforge.geometry.limits import LONGEST, MOST_SLABS, check_layers, check_size

__all__ = ["AnyLayer", "Calorimeter", "Floats", "Role", "Slab", "Stack"]

Role = Literal["absorber", "active"]
Floats = npt.NDArray[np.floating[Any]]


@strict_dataclass
class Slab:
    """A plate of one material.

    Attributes
    ----------
    material
        Name in the NIST database of Geant4, such as ``G4_Pb``.
    thickness
        Along z, in mm.
    role
        Whether the plate is absorber or active material.

    Examples
    --------
    >>> Slab("G4_Pb", 2.0, "absorber").thickness
    2.0
    """

    material: Annotated[str, Field(min_length=1)]
    thickness: Annotated[float, Field(gt=0, le=LONGEST, allow_inf_nan=False)]
    role: Role


@strict_dataclass
class Stack:
    """Slabs that repeat along z.

    Examples
    --------
    >>> lead, argon = Slab("G4_Pb", 2.0, "absorber"), Slab("G4_lAr", 4.0, "active")
    >>> Stack(repeat=60, slabs=(lead, argon)).repeat
    60
    """

    repeat: Annotated[int, Field(ge=1)]
    slabs: Annotated[tuple[Slab, ...], Field(min_length=1)]


def _kind(layer: object) -> str:
    """Name the kind of layer that a description is meant to be."""
    if isinstance(layer, Mapping):
        return "RingLayer" if {"r", "alpha"} & set(layer) else "Layer"
    return type(layer).__name__


# With a discriminator, errors are about the kind that was meant, and not about both.
AnyLayer = Annotated[
    Annotated[Layer, Tag("Layer")] | Annotated[RingLayer, Tag("RingLayer")], Discriminator(_kind)
]


def _written_out(layer: object) -> list[object]:
    """Return the layers that one with ``repeat = n`` stands for: n of equal thickness in a row."""
    if not (isinstance(layer, Mapping) and "repeat" in layer):
        return [layer]
    rest = {key: value for key, value in layer.items() if key != "repeat"}
    repeat = layer["repeat"]
    if type(repeat) is not int or repeat < 1:
        raise ValueError(f"repeat is the number of equal layers, at least 1 (found {repeat!r:.80}).")
    try:
        return [{**rest, "z": _behind(layer["z"], i)} for i in range(repeat)]
    except (KeyError, TypeError, ValueError, OverflowError):
        return [rest]  # the error in z is reported when z is read


def _behind(z: Sequence[float], number: int) -> list[float]:
    """Return where a layer begins and ends that is ``number`` thicknesses behind another."""
    # Rational numbers: with doubles, layers of 0.1 mm would not all start exactly where the last one ends.
    low, high = map(exact, z)
    step = (high - low) * number
    return [float(low + step), float(high + step)]


def _folded(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write consecutive equal layers as one with ``repeat``: the inverse of `_written_out`."""
    folded: list[dict[str, Any]] = []
    for layer in layers:
        last = folded[-1] if folded else {}
        repeat = last.get("repeat", 1)
        one = {key: value for key, value in last.items() if key != "repeat"}
        if last and {**one, "z": _behind(one["z"], repeat)} == layer:
            folded[-1] = {**last, "repeat": repeat + 1}
        else:
            folded.append(layer)
    return folded


@strict_dataclass
class Calorimeter:
    """A sampling calorimeter and its read-out.

    Attributes
    ----------
    name, description, reference
        Its name, a description, and its publication.
    stack
        The slabs of material, from the front face on. Empty for the read-out of foreign showers whose
        materials are unknown: then z counts layers, 1 mm each.
    visible
        The roles whose deposits the cells hold.
    layers
        The read-out; contiguous in z from 0 to the end of the stack. In TOML ``repeat = n`` stands for n
        equal layers behind each other, and a layer with ``r`` and ``alpha`` has rings instead of boxes.

    Examples
    --------
    >>> calorimeter = Calorimeter.load("calogan")
    >>> calorimeter
    <calorimeter calogan: 3 layers, 504 cells>
    >>> calorimeter.layers[0].z, calorimeter.shapes
    ((0.0, 90.0), ((3, 96), (12, 12), (12, 6)))
    """

    name: Annotated[str, Field(min_length=1)]
    description: str
    reference: str
    stack: tuple[Stack, ...]
    visible: Annotated[tuple[Role, ...], Field(min_length=1)]
    layers: Annotated[tuple[AnyLayer, ...], Field(min_length=1)]

    @field_validator("stack")
    @classmethod
    def _buildable(cls, stack: tuple[Stack, ...]) -> tuple[Stack, ...]:
        slabs = sum(part.repeat * len(part.slabs) for part in stack)
        check_size("slabs, with repeat written out", slabs, MOST_SLABS)
        return stack

    @field_validator("layers", mode="before")
    @classmethod
    def _repeated(cls, layers: Any) -> Any:
        if not isinstance(layers, Sequence):
            return layers
        check_layers(layers)
        return [layer for described in layers for layer in _written_out(described)]

    @field_validator("layers")
    @classmethod
    def _contiguous(cls, layers: tuple[AnyLayer, ...]) -> tuple[AnyLayer, ...]:
        end = 0.0
        for number, layer in enumerate(layers):
            if layer.z[0] != end:  # no tolerance is needed: both are the doubles nearest to a decimal number
                raise ValueError(
                    f"layer {number} starts at z = {layer.z[0]:g} mm, but what is in front of it ends at "
                    f"{end:g} mm: layers follow each other without gaps, the first from z = 0."
                )
            end = layer.z[1]
        return layers

    @model_validator(mode="after")
    def _consistent(self) -> "Calorimeter":
        if not self.stack:
            return self
        # Exact, as 60 slabs of 0.1 mm add up to 6 mm only as rational numbers.
        thickness = sum(exact(slab.thickness) for slab in self.slabs)
        if thickness != exact(self.depth):
            raise ValueError(
                f"the stack is {float(thickness):g} mm thick, but the layers end at z = {self.depth:g} mm: "
                "change repeat, the slabs or the last layer until both agree."
            )
        absent = set(self.visible) - {slab.role for slab in self.slabs}
        if absent:
            raise ValueError(
                f"visible names {', '.join(sorted(absent))}, but no slab of the stack has this role."
            )
        return self

    def __repr__(self) -> str:
        return f"<calorimeter {self.name}: {len(self.layers)} layers, {self.n_cells} cells>"

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Calorimeter":
        """Return a calorimeter of the catalogue by name, or the one that a file describes.

        The file is TOML, or XML as the Fast Calorimeter Simulation Challenge describes its voxels.

        Raises
        ------
        CatalogError
            The catalogue has no such name.
        GeometryError
            The file can't be read or its calorimeter is not consistent.
        """
        if str(name_or_path).endswith(".xml"):
            return _validated(read_binning(Path(name_or_path)))
        is_file = isinstance(name_or_path, Path) or name_or_path.endswith(".toml")
        path = Path(name_or_path) if is_file else catalog.load("geometries", str(name_or_path))
        return _validated(path)

    @classmethod
    def of(cls, geometry: "str | Path | Calorimeter") -> "Calorimeter":
        """Return a calorimeter as it is, or `load` the one that is named.

        Raises
        ------
        CatalogError, GeometryError
            As `load` does, or what is given is neither a calorimeter nor a name.

        Examples
        --------
        >>> Calorimeter.of("calogan") == Calorimeter.of(Calorimeter.load("calogan"))
        True
        """
        if isinstance(geometry, Calorimeter):
            return geometry
        if not isinstance(geometry, str | Path):
            raise GeometryError(
                f"A calorimeter is a name of the catalogue, a TOML file or a Calorimeter, not {geometry!r}."
            )
        return cls.load(geometry)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Calorimeter":
        """Build a calorimeter from the content of a TOML file or from `to_dict`; raises `GeometryError`."""
        return _validated(content)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary of JSON's types."""
        return {**config.to_dict(self), "layers": [layer.to_dict() for layer in self.layers]}

    def to_toml(self) -> str:
        """Return the content of a TOML file that `load` reads as this calorimeter."""
        content = self.to_dict()
        return config.to_toml({**content, "layers": _folded(content["layers"])})

    @property
    def slabs(self) -> tuple[Slab, ...]:
        """Every slab from the front face on, repeats written out."""
        return tuple(slab for stack in self.stack for _ in range(stack.repeat) for slab in stack.slabs)

    @property
    def depth(self) -> float:
        """Extent along z in mm."""
        return self.layers[-1].z[1]

    @property
    def n_cells(self) -> int:
        """Number of cells of all layers."""
        return sum(layer.n_cells for layer in self.layers)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shape of each layer's image: (n_phi, n_eta), or (n_alpha, n_r) of rings."""
        return tuple(layer.shape for layer in self.layers)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Number of the first cell of each layer, and the number of all cells: length L + 1."""
        # As Python's integers, which can be written as JSON.
        return tuple(np.cumsum([0] + [layer.n_cells for layer in self.layers]).tolist())

    def split(self, cells: Floats) -> list[Floats]:
        """Return cells (..., n_cells) as one image (..., *shape) a layer; views where possible."""
        self._check_width(cells)
        bounds = zip(self.offsets, self.offsets[1:], self.shapes, strict=False)
        return [cells[..., first:last].reshape(*cells.shape[:-1], *shape) for first, last, shape in bounds]

    def join(self, images: Sequence[Floats]) -> Floats:
        """Return images (..., *shape) of all layers as cells (..., n_cells): the inverse of `split`."""
        found = tuple(image.shape[-2:] for image in images)
        if found != self.shapes:
            raise GeometryError(f"The images have shapes {found}, but {self.name} has {self.shapes}.")
        sizes = [layer.n_cells for layer in self.layers]
        rows = [image.reshape(*image.shape[:-2], n) for image, n in zip(images, sizes, strict=True)]
        return np.concatenate(rows, axis=-1)

    def layer_energies(self, cells: Floats) -> npt.NDArray[np.float64]:
        """Sum cells (..., n_cells) to layers (..., L), in double precision."""
        self._check_width(cells)
        # In double precision: a float32 sum over thousands of cells loses digits that layer shares need.
        bounds = zip(self.offsets, self.offsets[1:], strict=False)
        return np.stack([cells[..., a:b].sum(axis=-1, dtype=np.float64) for a, b in bounds], axis=-1)

    def symmetries(self) -> npt.NDArray[np.int64]:
        """Return the flips under which the cells map on themselves, (S, n_cells) permutations.

        ``cells[:, permutation]`` is the flipped shower. Row 0 is the identity; then come, if the edges of
        all layers are symmetric about 0, the flip of eta, that of phi, and both.
        """
        rows = [np.arange(self.n_cells)]
        for direction in get_args(Direction):
            mirror = self._mirrored(direction)
            if mirror is not None:
                # Each flip doubles the group: [1], [1, flip of eta], [1, eta, phi, eta and phi].
                rows += [row[mirror] for row in rows]
        return np.stack(rows)

    def mirror_signs(self) -> npt.NDArray[np.float32]:
        """Return the factors of eta and phi of a point for each of the `symmetries`, (S, 2) of 1 and -1."""
        signs = [[1.0, 1.0]]
        for axis, direction in enumerate(get_args(Direction)):
            if self._mirrored(direction) is not None:
                signs += [[-one if i == axis else one for i, one in enumerate(row)] for row in signs]
        return np.array(signs, np.float32)

    def _mirrored(self, direction: Direction) -> Integers | None:
        """Return the number of each cell's mirror image, (n_cells,); None where a layer has none."""
        parts = [layer.mirrored(direction) for layer in self.layers]
        whole = [
            part.ravel() + first for part, first in zip(parts, self.offsets, strict=False) if part is not None
        ]
        return np.concatenate(whole) if len(whole) == len(parts) else None

    def _check_width(self, cells: Floats) -> None:
        found = cells.shape[-1] if cells.ndim else 0
        if found != self.n_cells:
            raise GeometryError(f"The showers have {found} cells, but {self.name} has {self.n_cells}.")


def _validated(source: Path | Mapping[str, Any]) -> Calorimeter:
    try:
        return config.load(Calorimeter, source)
    except ConfigError as error:
        raise GeometryError(str(error)) from None
