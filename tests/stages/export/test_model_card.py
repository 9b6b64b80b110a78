"""Model cards are computed, and their command trains the model that they describe."""

from pathlib import Path

import pytest

from caloforge import catalog
from caloforge.formats.native import read
from caloforge.incident.beam import Beam
from caloforge.incident.spectrum import Spectrum
from caloforge.inference import zoo
from caloforge.inference.generator import Generator
from caloforge.inference.model import TrainedModel
from caloforge.showers import Showers
from caloforge.stages.export import model_card as card

ZOO = Path(__file__).parents[3] / "zoo"
NAMES = [*catalog.names("weights"), *sorted(path.stem for path in ZOO.glob("*.json"))]


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_model_has_a_card(name: str) -> None:
    model = TrainedModel.load(name)
    text = zoo.locate(name).with_suffix(".md").read_text(encoding="utf-8")
    for part in (model.record["sha256"], *card.training_commands(model.record), "Geant4", "layer 2"):
        assert part in text


def test_a_card_shows_the_figures_of_both_samples(tmp_path: Path) -> None:
    model = TrainedModel.load("calogan_gamma")
    geant4 = read(catalog.load("samples", "calogan_gamma"))
    stream = Generator(model, Beam(22, Spectrum.listed(geant4.energy)))
    generated = Showers.concatenate(list(stream.batches(len(geant4), 300)))
    (fixed,) = Generator(model, Beam(22, Spectrum.parse("50"))).batches(100, 100)
    card.write(tmp_path / "card.md", model, generated, geant4, [fixed])
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    response = (geant4.cells.sum(axis=1, dtype=float) / geant4.energy).mean()
    assert f"{response:.3f}" in text
    assert f"| 50 GeV | {(fixed.cells.sum(axis=1, dtype=float) / fixed.energy).mean():.4f} |" in text
    assert "Trained only between 1 and 100 GeV" in text


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, "validation by mean separation power"),
        ({"chosen_by": "kl"}, "validation by the figure kl of its log"),
        ({"chosen": "last", "chosen_by": "kl"}, "The last step"),
    ],
)
def test_a_card_says_how_parameters_were_chosen(record: dict[str, str], words: str) -> None:
    assert words in card._chosen(record)
