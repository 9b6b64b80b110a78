import pytest

from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer, Slab, Stack


@pytest.fixture(scope="session")
def mixed() -> Calorimeter:
    """Return a calorimeter of layers that have nothing in common: rings, boxes, sizes, outlines."""
    lead, argon = (Slab("G4_Pb", 2.0, "absorber"), Slab("G4_lAr", 4.0, "active"))
    layers = (
        RingLayer((0.0, 7.0), Axis([0.0, 5.0, 20.0, 21.0, 100.0]), 5),
        RingLayer((7.0, 18.0), Axis([0.0, 50.0]), 1),
        RingLayer((18.0, 24.0), Axis([0.0, 1.0, 50.0]), 2),
        Layer((24.0, 36.0), Axis([-200, -150, -120, 30, 100]), Axis([-30, -20, -10, 0, 30, 60, 70])),
        Layer((36.0, 42.0), Axis.uniform(1, -200, 100), Axis.uniform(7, -70, 70)),
        RingLayer((42.0, 120.0), Axis.uniform(4, 0, 120), 3),
    )
    return Calorimeter(
        "mixed", "for tests", "none", (Stack(20, (lead, argon)),), ("absorber", "active"), layers
    )
