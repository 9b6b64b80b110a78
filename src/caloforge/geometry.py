"""Calorimeters: what they are made of, where their cells are, and how one read-out maps on a coarser one.

Frame: z runs along the particle and starts at 0 on the front face; x is phi and y is eta, both in mm and
centred on the particle. The cells of a shower are one row: layers in the direction of the particle, within
a layer row-major [phi, eta].
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, PlainSerializer, PlainValidator, field_validator, model_validator
from scipy.sparse import csr_array

from caloforge import catalog, config
from caloforge.config import strict_dataclass
from caloforge.errors import ConfigError, GeometryError

Role = Literal["absorber", "active"]
Floats = npt.NDArray[np.floating[Any]]

_REBIN_ROWS = 1024  # showers that are held in double precision at once


def _exact(value: float) -> Fraction:
    """Return the decimal number that was meant: 0.1 is one tenth, not its nearest double."""
    return Fraction(repr(float(value)))


def _ascending(values: object) -> npt.NDArray[np.float64]:
    edges = np.array(values, np.float64)
    if edges.ndim != 1 or len(edges) < 2:
        raise ValueError("an axis needs a list of at least two edges in mm.")
    if not np.isfinite(edges).all():
        raise ValueError("edges must be finite numbers of mm.")
    if not (np.diff(edges) > 0).all():
        at = int(np.argmin(np.diff(edges) > 0))
        raise ValueError(f"edges must ascend, but {edges[at]:g} mm is followed by {edges[at + 1]:g} mm.")
    edges.flags.writeable = False
    return edges


def _uniform_edges(bins: int, low: float, high: float) -> npt.NDArray[np.float64]:
    """Return the doubles nearest to the true edges.

    Rational numbers make the edges of two grids equal bit for bit wherever they are equal on paper.
    """
    start, width = _exact(low), _exact(high) - _exact(low)
    return _ascending([float(start + width * i / bins) for i in range(bins + 1)])


@strict_dataclass
class Axis:
    """The cell edges along one direction of a layer.

    In TOML either uniform, ``{ bins = 96, range = [-240.0, 240.0] }``, or explicit, ``{ edges = [...] }``.

    Attributes
    ----------
    edges
        (n + 1,) ascending, in mm.
    """

    edges: Annotated[
        npt.NDArray[np.float64],
        PlainValidator(_ascending),
        PlainSerializer(lambda edges: edges.tolist(), return_type=list[float]),
    ]

    @model_validator(mode="before")
    @classmethod
    def _from_bins(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or set(given) == {"edges"}:
            return given
        if set(given) != {"bins", "range"}:
            found = ", ".join(sorted(map(str, given))) or "nothing"
            raise ValueError(f"an axis has either bins and range = [low, high], or edges; found: {found}.")
        bins, limits = given["bins"], _ascending(given["range"])
        if type(bins) is not int or bins < 1 or len(limits) != 2:
            raise ValueError("an axis needs bins of at least 1 and range = [low, high] in mm.")
        return {"edges": _uniform_edges(bins, limits[0], limits[1])}

    @classmethod
    def uniform(cls, bins: int, low: float, high: float) -> "Axis":
        """Divide the range from low to high (mm) into equal bins."""
        return cls(edges=_uniform_edges(bins, low, high))

    @property
    def n(self) -> int:
        """Number of cells."""
        return len(self.edges) - 1

    @property
    def symmetric(self) -> bool:
        """Whether the edges stay what they are when the sign of the coordinate flips."""
        return np.array_equal(self.edges, -self.edges[::-1])

    def to_dict(self) -> dict[str, Any]:
        """Return the shorter of the two ways to write these edges."""
        low, high = float(self.edges[0]), float(self.edges[-1])
        if np.array_equal(_uniform_edges(self.n, low, high), self.edges):
            return {"bins": self.n, "range": [low, high]}
        return {"edges": self.edges.tolist()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axis) and np.array_equal(self.edges, other.edges)

    def __hash__(self) -> int:
        return hash(self.edges.tobytes())


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
    """

    material: Annotated[str, Field(min_length=1)]
    thickness: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    role: Role


@strict_dataclass
class Stack:
    """Slabs that repeat along z."""

    repeat: Annotated[int, Field(ge=1)]
    slabs: Annotated[tuple[Slab, ...], Field(min_length=1)]


@strict_dataclass
class Layer:
    """A range of z (mm) that is read out in cells of eta and phi."""

    z: tuple[float, float]
    eta: Axis
    phi: Axis

    @field_validator("z")
    @classmethod
    def _forward(cls, z: tuple[float, float]) -> tuple[float, float]:
        if not (np.isfinite(z).all() and z[0] < z[1]):
            raise ValueError(f"a layer must end behind its start, but z goes from {z[0]:g} to {z[1]:g} mm.")
        return z

    @property
    def n_eta(self) -> int:
        """Number of cells along eta: the columns of the layer's image."""
        return self.eta.n

    @property
    def n_phi(self) -> int:
        """Number of cells along phi: the rows of the layer's image."""
        return self.phi.n

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the layer's image, (n_phi, n_eta)."""
        return self.n_phi, self.n_eta

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.n_phi * self.n_eta


@strict_dataclass
class Calorimeter:
    """A sampling calorimeter and its read-out.

    Attributes
    ----------
    name, description, reference
        How it is called, what it is, and where it was published.
    stack
        The slabs of material, from the front face on.
    visible
        The roles whose deposits the cells hold.
    layers
        The read-out; contiguous in z from 0 to the end of the stack.
    """

    name: Annotated[str, Field(min_length=1)]
    description: str
    reference: str
    stack: Annotated[tuple[Stack, ...], Field(min_length=1)]
    visible: Annotated[tuple[Role, ...], Field(min_length=1)]
    layers: Annotated[tuple[Layer, ...], Field(min_length=1)]

    @field_validator("layers")
    @classmethod
    def _contiguous(cls, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        end = 0.0
        for number, layer in enumerate(layers):
            if layer.z[0] != end:
                raise ValueError(
                    f"layer {number} starts at z = {layer.z[0]:g} mm, but what is in front of it ends at "
                    f"{end:g} mm: layers follow each other without gaps, the first from z = 0."
                )
            end = layer.z[1]
        return layers

    @model_validator(mode="after")
    def _consistent(self) -> "Calorimeter":
        thickness = sum(_exact(slab.thickness) for slab in self.slabs)
        if thickness != _exact(self.depth):
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
        """Return a calorimeter of the catalogue by name, or the one that a TOML file describes.

        Raises
        ------
        CatalogError
            The catalogue has no such name.
        GeometryError
            The file can't be read or its calorimeter is not consistent.
        """
        is_file = isinstance(name_or_path, Path) or name_or_path.endswith(".toml")
        path = Path(name_or_path) if is_file else catalog.load("geometries", str(name_or_path))
        return _validated(path)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Calorimeter":
        """Build a calorimeter from the content of a TOML file or from `to_dict`; raises `GeometryError`."""
        return _validated(content)

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON's types that holds everything."""
        layers = [
            {"z": list(layer.z), "eta": layer.eta.to_dict(), "phi": layer.phi.to_dict()}
            for layer in self.layers
        ]
        return {**config.to_dict(self), "layers": layers}

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
        """(n_phi, n_eta) of each layer."""
        return tuple(layer.shape for layer in self.layers)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Number of the first cell of each layer, and the number of all cells: length L + 1."""
        return tuple(np.cumsum([0] + [layer.n_cells for layer in self.layers]).tolist())

    def split(self, cells: Floats) -> list[Floats]:
        """Return cells (..., n_cells) as one image (..., n_phi, n_eta) a layer; views where possible."""
        self._check_width(cells)
        bounds = zip(self.offsets, self.offsets[1:], self.shapes, strict=False)
        return [cells[..., first:last].reshape(*cells.shape[:-1], *shape) for first, last, shape in bounds]

    def join(self, images: Sequence[Floats]) -> Floats:
        """Return images (..., n_phi, n_eta) of all layers as cells (..., n_cells): the inverse of `split`."""
        found = tuple(image.shape[-2:] for image in images)
        if found != self.shapes:
            raise GeometryError(f"The images have shapes {found}, but {self.name} has {self.shapes}.")
        sizes = [layer.n_cells for layer in self.layers]
        rows = [image.reshape(*image.shape[:-2], n) for image, n in zip(images, sizes, strict=True)]
        return np.concatenate(rows, axis=-1)

    def layer_energies(self, cells: Floats) -> npt.NDArray[np.float64]:
        """Sum cells (..., n_cells) to layers (..., L), in double precision."""
        self._check_width(cells)
        bounds = zip(self.offsets, self.offsets[1:], strict=False)
        return np.stack([cells[..., a:b].sum(axis=-1, dtype=np.float64) for a, b in bounds], axis=-1)

    def symmetries(self) -> npt.NDArray[np.int64]:
        """Return the flips under which the cells map on themselves, (S, n_cells) permutations.

        ``cells[:, permutation]`` is the flipped shower. Row 0 is the identity; then come, where the edges of
        all layers are symmetric about 0, the flip of eta, that of phi, and both.
        """
        flips = [[slice(None)]]
        if all(layer.eta.symmetric for layer in self.layers):
            flips.append([slice(None), slice(None, None, -1)])
        if all(layer.phi.symmetric for layer in self.layers):
            flips += [[slice(None, None, -1), *flip[1:]] for flip in flips]
        images = self.split(np.arange(self.n_cells, dtype=np.float64))
        rows = [self.join([image[tuple(flip)] for image in images]) for flip in flips]
        return np.stack(rows).astype(np.int64)

    def _check_width(self, cells: Floats) -> None:
        found = cells.shape[-1] if cells.ndim else 0
        if found != self.n_cells:
            raise GeometryError(f"The showers have {found} cells, but {self.name} has {self.n_cells}.")


def _validated(source: Path | Mapping[str, Any]) -> Calorimeter:
    try:
        return config.load(Calorimeter, source)
    except ConfigError as error:
        raise GeometryError(str(error)) from None


def rebin_matrix(fine: Calorimeter, coarse: Calorimeter) -> csr_array:
    """Return the map of fine cells on the coarse cells that contain them, (n_fine, n_coarse) of 0 and 1.

    Every coarse edge in z, eta and phi must be an edge of the fine grid, so that no cell is ever divided.

    Raises
    ------
    GeometryError
        An edge is not on the fine grid, the outer edges differ, or the two calorimeters are made differently.
    """
    _check_same_matter(fine, coarse)
    z_fine = _z_edges(fine)
    _check_subset(z_fine, _z_edges(coarse), f"{coarse.name}, z", fine.name)
    columns = []
    for layer in fine.layers:
        number = int(np.searchsorted(_z_edges(coarse), layer.z[0], side="right")) - 1
        target = coarse.layers[number]
        eta = _containing(layer.eta, target.eta, f"{coarse.name}, layer {number}, eta", fine.name)
        phi = _containing(layer.phi, target.phi, f"{coarse.name}, layer {number}, phi", fine.name)
        columns.append((coarse.offsets[number] + phi[:, None] * target.n_eta + eta).ravel())
    ones, rows = np.ones(fine.n_cells), np.arange(fine.n_cells + 1)
    return csr_array((ones, np.concatenate(columns), rows), shape=(fine.n_cells, coarse.n_cells))


def rebin_cells(cells: Floats, fine: Calorimeter, coarse: Calorimeter) -> npt.NDArray[np.float32]:
    """Sum fine cells (N, n_fine) to coarse cells (N, n_coarse), in double precision until the last rounding.

    Raises
    ------
    GeometryError
        The coarse grid is not a subset of the fine one (see `rebin_matrix`), or the cells are of another one.
    """
    matrix = rebin_matrix(fine, coarse)
    fine._check_width(cells)
    summed = np.empty((len(cells), coarse.n_cells), np.float32)
    for start in range(0, len(cells), _REBIN_ROWS):
        rows = slice(start, start + _REBIN_ROWS)
        summed[rows] = cells[rows].astype(np.float64) @ matrix
    return summed


def _z_edges(calorimeter: Calorimeter) -> npt.NDArray[np.float64]:
    return np.array([0.0] + [layer.z[1] for layer in calorimeter.layers])


def _containing(fine: Axis, coarse: Axis, where: str, grid: str) -> npt.NDArray[np.int64]:
    """Return for each fine bin the number of the coarse bin around it."""
    _check_subset(fine.edges, coarse.edges, where, grid)
    return (np.searchsorted(coarse.edges, fine.edges[:-1], side="right") - 1).astype(np.int64)


def _check_subset(
    fine: npt.NDArray[np.float64], coarse: npt.NDArray[np.float64], where: str, grid: str
) -> None:
    strangers = coarse[~np.isin(coarse, fine)]
    if len(strangers):
        raise GeometryError(
            f"{where}: the edge at {strangers[0]:g} mm is not an edge of {grid}, so cells would have to be "
            "divided; rebinning needs edges that are a subset."
        )
    if fine[0] != coarse[0] or fine[-1] != coarse[-1]:
        raise GeometryError(
            f"{where}: the edges span {coarse[0]:g} to {coarse[-1]:g} mm, those of {grid} {fine[0]:g} to "
            f"{fine[-1]:g} mm, so energy would be lost; the outer edges must agree."
        )


def _check_same_matter(fine: Calorimeter, coarse: Calorimeter) -> None:
    if fine.slabs != coarse.slabs:
        raise GeometryError(
            f"{fine.name} and {coarse.name} are not made of the same slabs; "
            "rebinning changes the read-out and not the calorimeter."
        )
    if set(fine.visible) != set(coarse.visible):
        raise GeometryError(
            f"The cells of {fine.name} hold the deposits in {' + '.join(fine.visible)}, those of "
            f"{coarse.name} in {' + '.join(coarse.visible)}; rebinning can't turn one into the other."
        )
