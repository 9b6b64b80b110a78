"""Cells over rings, sectors and layers, of which each has another number here."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.formats._mesh import from_mesh, mesh_of, misfit, to_mesh
from caloforge.geometry import Axis, Calorimeter, RingLayer

from .conftest import R, calorimeter

MESH = (3, 4, 2)


@pytest.fixture(scope="module")
def barrel() -> Calorimeter:
    """Return two layers of four sectors and three rings."""
    return calorimeter("barrel", *(RingLayer(z=(i, i + 1), r=R, alpha=4) for i in range(2)))


def cells(n: int) -> np.ndarray:
    return np.arange(24 * n, dtype=np.float32).reshape(n, 24)


def test_each_cell_lies_at_its_ring_sector_and_layer(barrel: Calorimeter) -> None:
    given = cells(5)
    found = to_mesh(given, mesh_of(barrel, "any"))
    assert found.shape == (5, *MESH)
    for number, layer in enumerate(barrel.split(given)):  # (shower, sector, ring)
        for ring in range(3):
            for sector in range(4):
                assert np.array_equal(found[:, ring, sector, number], layer[:, sector, ring])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_cells_come_back_from_the_mesh(n: int) -> None:
    assert np.array_equal(from_mesh(to_mesh(cells(n), MESH)), cells(n))


def test_one_layer_has_a_mesh(barrel: Calorimeter) -> None:
    alone = calorimeter("alone", barrel.layers[0])
    assert mesh_of(alone, "any") == (3, 4, 1)
    assert misfit((3, 4, 1), alone, "any") is None


def test_layers_of_two_kinds_have_no_mesh(
    barrel: Calorimeter, voxels: Calorimeter, boxes: Calorimeter
) -> None:
    more = RingLayer(z=(1, 2), r=Axis(edges=[0.0, 1.0, 30.0]), alpha=4)
    for geometry in (voxels, boxes, calorimeter("mixed", barrel.layers[0], more)):
        with pytest.raises(InputError, match=f"The layout 'any' holds .* {geometry.name} has others"):
            mesh_of(geometry, "any")
        assert misfit(MESH, geometry, "any") == "its layers are not cut into the same rings and sectors"


def test_another_mesh_is_told_apart(barrel: Calorimeter) -> None:
    assert misfit(MESH, barrel, "any") is None
    for other in ((4, 3, 2), (3, 4, 3), (3, 4)):
        assert (misfit((*other, 9)[:3], barrel, "any") or "").endswith(
            "the calorimeter 3 rings x 4 sectors x 2 layers"
        )
