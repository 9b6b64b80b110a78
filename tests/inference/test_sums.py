"""Read-outs with larger cells than a model makes: sums of its cells."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter
from caloforge.geometry.rebinning import rebin_cells
from caloforge.incident.beam import Beam
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum
from caloforge.inference import zoo
from caloforge.inference.generator import Generator, SharedCells
from caloforge.inference.model import TrainedModel
from caloforge.inference.shipped import find
from tests import small_weights

GEOMETRY = Calorimeter.load("calogan")


def cut(name: str, bins: int) -> Calorimeter:
    """The calorimeter with other cells in eta in its first layer."""
    first, *others = GEOMETRY.layers
    return replace(
        GEOMETRY, name=name, layers=(replace(first, eta=Axis.uniform(bins, -240.0, 240.0)), *others)
    )


@pytest.fixture
def model(tmp_path: Path) -> TrainedModel:
    return TrainedModel.load(small_weights.write(tmp_path / "a.json", GEOMETRY))


def test_cells_of_a_coarser_read_out_are_sums(model: TrainedModel) -> None:
    coarse = cut("coarse", 24)
    summed = model.on(coarse)
    noise, incident = model.noise(3, 0, 200), Incident(22, np.full(200, 1e4))
    assert (summed.geometry, summed.divides) == (coarse, 0)
    assert np.array_equal(summed(noise, incident), rebin_cells(model(noise, incident), GEOMETRY, coarse))
    assert model.on(GEOMETRY) is model
    assert model.geometry == GEOMETRY


def test_divided_cells_are_shared_and_announced(model: TrainedModel) -> None:
    third = model.on(cut("odd", 36))
    noise, incident = model.noise(3, 0, 20), Incident(22, np.full(20, 1e4))
    np.testing.assert_allclose(
        third(noise, incident).sum(axis=1), model(noise, incident).sum(axis=1), rtol=1e-5
    )
    generator = Generator(third, Beam(22, Spectrum.parse("10")))
    with pytest.warns(SharedCells, match="edges of odd divide 72 of the 504 cells of calogan that a makes"):
        generator.check()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Generator(model.on(cut("coarse", 24)), Beam(22, Spectrum.parse("10"))).check()


def test_smaller_cells_and_other_calorimeters_are_refused(model: TrainedModel) -> None:
    with pytest.raises(GeometryError, match=r"a makes showers in calogan, not in fine\. fine, layer 0, eta"):
        model.on(cut("fine", 192))
    with pytest.raises(GeometryError, match="not made of the same slabs"):
        model.on(Calorimeter.load("ild_ecal"))


def test_a_model_of_smaller_cells_is_found_where_no_other_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "shipped", lambda: tmp_path)
    monkeypatch.setattr(zoo, "folders", lambda: [tmp_path])
    small_weights.write(tmp_path / "fine.json", Calorimeter.load("calogan_fine"))
    small_weights.write(tmp_path / "own.json", GEOMETRY)
    assert find(22, "calogan").name == "own"
    found = find(22, "arm_48x4_36x48")
    assert (found.name, found.geometry.name) == ("fine", "arm_48x4_36x48")
    (added := tmp_path / "added").mkdir()
    monkeypatch.setattr(zoo, "folders", lambda: [tmp_path, added])
    small_weights.write(added / "exact.json", Calorimeter.load("arm_48x4_36x48"))
    assert find(22, "arm_48x4_36x48").name == "fine", "what ships comes before what was added"
