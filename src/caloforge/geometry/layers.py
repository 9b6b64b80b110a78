"""How a layer is divided into cells: boxes between edges in eta and phi, or rings cut into sectors."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, field_validator

from caloforge.config import strict_dataclass
from caloforge.errors import GeometryError
from caloforge.geometry.axis import Axis, Float64s, Integers
from caloforge.geometry.limits import LONGEST

__all__ = ["Depths", "Direction", "Layer", "RingLayer"]

Direction = Literal["eta", "phi"]


def _forward(z: tuple[float, float]) -> tuple[float, float]:
    if not z[0] < z[1]:
        raise ValueError(f"a layer must end behind its start, but z goes from {z[0]:g} to {z[1]:g} mm.")
    if not max(map(abs, z)) <= LONGEST:
        raise ValueError(f"z must be at most {LONGEST:g} mm, but goes from {z[0]:g} to {z[1]:g} mm.")
    return z


Depths = Annotated[tuple[float, float], AfterValidator(_forward)]


@strict_dataclass
class Layer:
    """A range of z (mm) that is read out in cells of eta and phi.

    Examples
    --------
    >>> layer = Layer(z=(0.0, 10.0), eta=Axis.uniform(6, -30.0, 30.0), phi=Axis.uniform(3, -30.0, 30.0))
    >>> layer.shape, layer.n_cells, layer.cell_name(7)
    ((3, 6), 18, 'phi 1, eta 1')
    """

    axes: ClassVar[tuple[str, str]] = ("phi", "eta")
    """What the rows and the columns of the layer's image are."""

    z: Depths
    eta: Axis
    phi: Axis

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

    @property
    def centres(self) -> tuple[Float64s, Float64s]:
        """Coordinates eta and phi of the middle of every cell, (n_phi, n_eta) each, in mm."""
        # meshgrid makes its first argument run along columns, which is eta in images [phi, eta].
        eta, phi = np.meshgrid(self.eta.middles, self.phi.middles)
        return eta, phi

    @property
    def reach(self) -> float:
        """Largest distance from the centre along eta or phi, in mm."""
        return float(max(np.abs(axis.edges).max() for axis in (self.eta, self.phi)))

    def cell_name(self, cell: int) -> str:
        """Return where cell number ``cell`` of this layer is, in words."""
        phi, eta = divmod(cell, self.n_eta)
        return f"phi {phi}, eta {eta}"

    def mirrored(self, direction: Direction) -> Integers | None:
        """Return the number of each cell's mirror image, (n_phi, n_eta); None where cells have none."""
        axis, flip = (self.eta, np.fliplr) if direction == "eta" else (self.phi, np.flipud)
        return flip(np.arange(self.n_cells).reshape(self.shape)) if axis.symmetric else None

    def containing(self, other: "Layer | RingLayer", where: str, grid: str) -> Integers:
        """Return for each cell of a finer layer the number of this layer's cell around it, in its shape.

        Raises
        ------
        GeometryError
            A cell would have to be divided; ``where`` and ``grid`` name the two in the message.
        """
        if not isinstance(other, Layer):
            raise GeometryError(_mixed(where, grid))
        eta = self.eta.containing(other.eta, f"{where}, eta", grid)
        phi = self.phi.containing(other.phi, f"{where}, phi", grid)
        return phi[:, None] * self.n_eta + eta

    def inside(self, other: "Layer | RingLayer") -> tuple["Layer", Integers]:
        """Return the part of this layer within another's outer edges, and which of this layer's cells it has.

        All of it where the other one has rings.
        """
        numbers = np.arange(self.n_cells).reshape(self.shape)
        if not isinstance(other, Layer):
            return self, numbers
        (eta, columns), (phi, rows) = self.eta.inside(other.eta), self.phi.inside(other.phi)
        return replace(self, eta=eta, phi=phi), numbers[rows, columns]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary of JSON's types."""
        return {"z": list(self.z), "eta": self.eta.to_dict(), "phi": self.phi.to_dict()}


@strict_dataclass
class RingLayer:
    """A range of z (mm) that is read out in rings around the z axis, each cut into equal sectors.

    The angle alpha goes from the eta axis to the phi axis: eta = r cos(alpha), phi = r sin(alpha). Sector i
    spans -pi + 2 pi i / n to -pi + 2 pi (i + 1) / n, as in the Fast Calorimeter Simulation Challenge.

    Attributes
    ----------
    z
        Where it begins and ends.
    r
        Edges of the rings in mm, from 0 on.
    alpha
        Number of sectors.

    Examples
    --------
    >>> rings = RingLayer(z=(0.0, 10.0), r=Axis(edges=[0.0, 5.0, 10.0]), alpha=8)
    >>> rings.shape, rings.reach, rings.cell_name(3)
    ((8, 2), 10.0, 'alpha 1, r 1')
    """

    axes: ClassVar[tuple[str, str]] = ("alpha", "r")
    """What the rows and the columns of the layer's image are."""

    z: Depths
    r: Axis
    alpha: Annotated[int, Field(ge=1)]

    @field_validator("r")
    @classmethod
    def _from_the_axis(cls, r: Axis) -> Axis:
        if r.edges[0] != 0:
            raise ValueError(f"rings begin on the axis, at r = 0, but the first edge is {r.edges[0]:g} mm.")
        return r

    @property
    def n_r(self) -> int:
        """Number of rings: the columns of the layer's image."""
        return self.r.n

    @property
    def n_alpha(self) -> int:
        """Number of sectors: the rows of the layer's image."""
        return self.alpha

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the layer's image, (n_alpha, n_r)."""
        return self.n_alpha, self.n_r

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.n_alpha * self.n_r

    @property
    def alpha_edges(self) -> Float64s:
        """Edges of the sectors in rad, (n_alpha + 1,), from -pi to pi."""
        return np.linspace(-np.pi, np.pi, self.n_alpha + 1)

    @property
    def centres(self) -> tuple[Float64s, Float64s]:
        """Coordinates eta and phi of the middle of every cell, (n_alpha, n_r) each, in mm."""
        edges = self.alpha_edges
        alpha = (edges[:-1, None] + edges[1:, None]) / 2
        return self.r.middles * np.cos(alpha), self.r.middles * np.sin(alpha)

    @property
    def reach(self) -> float:
        """Largest distance from the centre along eta or phi, in mm."""
        return float(self.r.edges[-1])

    def cell_name(self, cell: int) -> str:
        """Return where cell number ``cell`` of this layer is, in words."""
        alpha, r = divmod(cell, self.n_r)
        return f"alpha {alpha}, r {r}"

    def mirrored(self, direction: Direction) -> Integers | None:
        """Return the number of each cell's mirror image, (n_alpha, n_r); None where cells have none."""
        n = self.n_alpha
        if direction == "eta" and n % 2 and n > 1:  # alpha -> pi - alpha halves the sector at alpha = 0
            return None
        # Sectors start at -pi. alpha -> -alpha (phi) reverses their order; alpha -> pi - alpha (eta) does so
        # too, and shifts them by half a circle, n / 2 sectors.
        sectors = np.arange(n)[::-1] if direction == "phi" else (n // 2 - 1 - np.arange(n)) % n
        return np.arange(self.n_cells).reshape(self.shape)[sectors]

    def containing(self, other: Layer | Self, where: str, grid: str) -> Integers:
        """Return for each cell of a finer layer the number of this layer's cell around it, in its shape.

        Raises
        ------
        GeometryError
            A cell would have to be divided; ``where`` and ``grid`` name the two in the message.
        """
        if not isinstance(other, RingLayer):
            raise GeometryError(_mixed(where, grid))
        if other.n_alpha % self.n_alpha:
            raise GeometryError(
                f"{where}, alpha: {self.n_alpha} sectors can't be put together from the {other.n_alpha} of "
                f"{grid}, so cells would have to be divided; their number must be a divisor."
            )
        r = self.r.containing(other.r, f"{where}, r", grid)
        # The first sectors of both start at -pi, so consecutive fine sectors make up a coarse one.
        alpha = np.arange(other.n_alpha) // (other.n_alpha // self.n_alpha)
        return alpha[:, None] * self.n_r + r

    def inside(self, other: Layer | Self) -> tuple["RingLayer", Integers]:
        """Return the rings within another layer's outer edge, and which of this layer's cells they have.

        All of them where the other layer has boxes.
        """
        numbers = np.arange(self.n_cells).reshape(self.shape)
        if not isinstance(other, RingLayer):
            return self, numbers
        r, columns = self.r.inside(other.r)
        return replace(self, r=r), numbers[:, columns]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary of JSON's types."""
        return {"z": list(self.z), "r": self.r.to_dict(), "alpha": self.alpha}


def _mixed(where: str, grid: str) -> str:
    return (
        f"{where}: of this layer and that of {grid}, one has boxes and the other has rings, whose cells "
        "overlap only in parts; simulate the read-out that you want."
    )
