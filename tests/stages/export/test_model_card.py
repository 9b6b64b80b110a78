"""Model cards are computed, and their command trains the model that they describe."""

import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from caloforge import catalog
from caloforge.cli import app
from caloforge.formats.native import read
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
    for part in (model.record["sha256"], card.training_command(model.record), "Geant4", "layer 2"):
        assert part in text


@pytest.mark.parametrize("name", NAMES)
def test_the_command_of_a_card_is_one(name: str) -> None:
    record = TrainedModel.load(name).record
    words = shlex.split(card.training_command(record))
    train = get_command(app).commands["train"]  # type: ignore[attr-defined]
    context = train.make_context("train", words[2:])
    assert context.params["batch"] == record["plan"]["batch"]
    assert context.params["model"] == record["model"]
    assert context.params["output"] == Path("FOLDER")


def test_a_card_shows_the_figures_of_both_samples(tmp_path: Path) -> None:
    model = TrainedModel.load("calogan_gamma")
    geant4 = read(catalog.load("samples", "calogan_gamma"))
    stream = Generator(model, 22, Spectrum.listed(geant4.energy))
    generated = Showers.concatenate(list(stream.batches(len(geant4), 300)))
    (fixed,) = Generator(model, 22, Spectrum.parse("50")).batches(100, 100)
    card.write(tmp_path / "card.md", model, generated, geant4, [fixed])
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    response = (geant4.cells.sum(axis=1, dtype=float) / geant4.energy).mean()
    assert f"{response:.3f}" in text
    assert f"| 50 GeV | {(fixed.cells.sum(axis=1, dtype=float) / fixed.energy).mean():.4f} |" in text
    assert "Trained only between 1 and 100 GeV" in text
