"""Materials: their radiation length, critical energy and Molière radius, and those of mixtures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import InputError
from caloforge.physics import materials

NAMES = st.sampled_from(materials.known())
SIZES = st.floats(0.01, 100)


@pytest.mark.parametrize(
    ("name", "radiation_length", "moliere_radius"),
    # PDG, Atomic and Nuclear Properties of Materials, in cm.
    [
        ("G4_Pb", 0.5612, 1.602),
        ("G4_W", 0.3504, 0.9327),
        ("G4_Fe", 1.757, 1.719),
        ("G4_Cu", 1.436, 1.568),
        ("G4_Si", 9.370, 4.944),
        ("G4_lAr", 14.00, 9.043),
        ("G4_CESIUM_IODIDE", 1.860, 3.531),
        ("G4_BGO", 1.118, 2.259),
    ],
)
def test_lengths_are_those_of_the_review(name: str, radiation_length: float, moliere_radius: float) -> None:
    material = materials.load(name)
    assert material.radiation_length == pytest.approx(10 * radiation_length, rel=2e-3)
    assert material.moliere_radius == pytest.approx(10 * moliere_radius, rel=2e-3)


def test_an_unknown_material_is_named() -> None:
    with pytest.raises(InputError, match=r"'G4_Pd' is not among the materials.* Did you mean 'G4_Pb'"):
        materials.load("G4_Pd")


@given(name=NAMES, sizes=st.lists(SIZES, min_size=1, max_size=4))
def test_a_mixture_of_one_material_is_that_material(name: str, sizes: list[float]) -> None:
    material = materials.load(name)
    mixed = materials.mixture([(material, size) for size in sizes])
    assert mixed.radiation_length == pytest.approx(material.radiation_length)
    assert mixed.critical_energy == pytest.approx(material.critical_energy)


@given(parts=st.lists(st.tuples(NAMES, SIZES), min_size=1, max_size=5))
def test_a_mixture_has_the_radiation_lengths_and_the_loss_of_its_parts(
    parts: list[tuple[str, float]],
) -> None:
    loaded = [(materials.load(name), size) for name, size in parts]
    mixed, thickness = materials.mixture(loaded), sum(size for _, size in parts)
    lengths = sum(size / material.radiation_length for material, size in loaded)
    assert thickness / mixed.radiation_length == pytest.approx(lengths)
    # Eq. 34.38: 1/R_M is a mean too.
    inverse = sum(size / material.moliere_radius for material, size in loaded) / thickness
    assert 1 / mixed.moliere_radius == pytest.approx(inverse)
