"""``caloforge export``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caloforge.cli.common import Output, Overwrite, Quality, Seed, extra, progress_bar, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from caloforge.geometry import Calorimeter
    from caloforge.inference.model import TrainedModel
    from caloforge.showers import Showers

__all__ = ["Precision", "command"]


_FIXED = 2048  # showers at each fixed energy of a card
_ENERGIES = 7  # fixed ones
_BATCH = 1024  # showers in memory at once


class Precision(StrEnum):
    """Of the large products."""

    int8 = "int8"
    float32 = "float32"
    int8_weights = "int8-weights"


def command(
    folder: Annotated[Path, typer.Argument(help="Folder written by 'caloforge train', or its best/.")],
    output: Output,
    reference: Annotated[
        Path | None, typer.Option(help="Geant4 showers not used for training: adds a model card.")
    ] = None,
    geometry: Annotated[
        str | None,
        typer.Option(
            help="Read-out to draw, for a model that is conditioned on it: a name or a TOML file (default: "
            "the first that it has learned)."
        ),
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option(
            help="Precision of large matrix products. int8 is smaller and faster where noise enters by such "
            "a product; int8-weights makes the file of any large model smaller, and computes in float32."
        ),
    ] = Precision.int8,
    quality: Annotated[
        Quality | None, typer.Option(help="Quality by which 'generate --quality' finds the shipped model.")
    ] = None,
    preferred: Annotated[
        bool,
        typer.Option("--preferred", help="Make the shipped model the default if no quality is given."),
    ] = False,
    seed: Seed = 1,
    overwrite: Overwrite = False,
) -> None:
    """Export a trained model to generate without torch: an ONNX file, its record and its card.

    [bold]Example[/bold]: caloforge export runs/eplus/best -o eplus.onnx --reference held_out.h5
    """
    with extra("train"):
        from caloforge.models import checkpoint
        from caloforge.stages.export.onnx import export

    from caloforge.files import check_replaced
    from caloforge.geometry import Calorimeter

    written = [output, output.with_suffix(".json"), *([output.with_suffix(".md")] if reference else [])]
    for path in written:
        check_replaced(path, overwrite, [reference] if reference else [])
    read_out = Calorimeter.load(geometry) if geometry else None
    geant4 = _sample(reference, checkpoint.load(folder).record, read_out) if reference else None
    trained = export(
        folder,
        output,
        geometry=read_out,
        precision=precision.value,
        quality=quality and quality.value,
        preferred=preferred,
    )
    if geant4 is not None:
        _write_card(written[-1], trained, geant4, seed)
    for path in written:
        say(str(path))
    say(f"Next: caloforge generate --model {written[1]} --particle ... -o showers.h5")


def _sample(path: Path, record: "Mapping[str, Any]", geometry: "Calorimeter | None") -> "Showers":
    """Read showers to compare with: of one particle, of the model's calorimeter, and not learned from."""
    from caloforge.errors import InputError
    from caloforge.files import sha256
    from caloforge.formats.native import read

    showers = read(path)
    if sha256(path) in [item["sha256"] for item in record["data"]]:
        raise InputError(f"The model was trained on {path}: compare it with showers that it has not seen.")
    drawn = geometry.to_dict() if geometry else record["geometries"][0]
    if showers.geometry.to_dict() != drawn:
        raise InputError(f"{path} has other cells than the model, which draws {drawn['name']}.")
    particles = len(set(showers.pdg.tolist()))
    if particles != 1:
        raise InputError(f"{path} holds showers of {particles} particles: a card compares those of one.")
    return showers


def _write_card(path: Path, model: "TrainedModel", geant4: "Showers", seed: int) -> None:
    """Generate showers at the energies of a sample and at some fixed ones, and write the card."""
    import numpy as np

    from caloforge.incident.beam import RecordedParticles
    from caloforge.incident.incident import Incident
    from caloforge.inference.generator import Generator
    from caloforge.showers import Showers
    from caloforge.stages.export import model_card

    some = geant4.incident[np.arange(_FIXED) % len(geant4)]
    low, high = model.energy_range
    energies = np.geomspace(low, high, _ENERGIES) if low < high else [low]
    fixed = [Incident(some.pdg, energy, some.direction, some.position) for energy in energies]
    total = len(geant4) + len(fixed) * _FIXED
    done = 0
    with progress_bar("Generating for the card", "showers") as progress:

        def generate(incident: Incident) -> Showers:
            nonlocal done
            batches = []
            stream = Generator(model, RecordedParticles(incident, "those of the reference"), seed)
            for batch in stream.batches(len(incident), _BATCH):
                batches.append(batch)
                progress(done := done + len(batch), total)
            return Showers.concatenate(batches)

        *responses, like = map(generate, [*fixed, geant4.incident])
    model_card.write(path, model, like, geant4, responses)
