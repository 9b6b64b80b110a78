"""``caloforge train``."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from caloforge.cli.common import Seed, console, messages, progress_bar


def command(
    model: Annotated[str, typer.Argument(help="Model of the catalogue, such as calogan.")],
    data: Annotated[list[Path], typer.Option("--data", "-d", help="File of showers; give it again for more.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the training; the same command resumes it.")],
    geometry: Annotated[str, typer.Option(help="Read-out to learn: a name of the catalogue or a TOML file.")] = "calogan",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 50,
    batch: Annotated[int, typer.Option(min=2, help="Showers a step.")] = 256,
    held_out: Annotated[int, typer.Option(min=1, help="Showers kept aside for validation.")] = 500,
    flips: Annotated[bool, typer.Option(help="Mirror showers at random in eta and phi, where the read-out is symmetric.")] = True,
    average: Annotated[float, typer.Option(min=0, max=1, help="Decay of the running average of the sampled parameters.")] = 0.0,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations and sample pictures.")] = 250,
    settings: Annotated[list[str], typer.Option("--set", help="A key of the model's configuration: --set attention=false")] = [],  # noqa: B006
    config_file: Annotated[Path | None, typer.Option("--config", help="TOML file with the model's configuration.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    seed: Seed = 1,
) -> None:
    """Train a model of the catalogue on showers; killed at any time, the same command goes on.

    The folder gets checkpoints, the best parameters by validation, log.csv, TensorBoard curves and pictures.

    [bold]Example[/bold]: caloforge train calogan -d eplus.h5 -o runs/eplus --epochs 50
    """
    from caloforge.errors import MissingExtra

    try:
        import torch
    except ImportError:
        raise MissingExtra("train", "torch") from None
    from caloforge import catalog, checkpoint, config
    from caloforge.geometry import Calorimeter
    from caloforge.particles import particle_name
    from caloforge.train.data import load
    from caloforge.train.fit import Plan, fit
    from caloforge.train.log import RunLog, Validation

    torch.set_num_threads(threads)
    entry = catalog.load("models", model)
    plan = Plan(epochs=epochs, batch=batch, seed=seed, flips=flips, average=average, validate_every=validate_every)
    calorimeter = Calorimeter.load(geometry)
    with progress_bar("Reading", unit="showers") as progress:
        showers = load(data, calorimeter, progress)
    known, unseen = showers.split(held_out, seed)
    chosen = _configuration(config_file, settings)
    if "particles" in entry.Config.__dataclass_fields__:
        chosen.setdefault("particles", [particle_name(pdg) for pdg in showers.particles])
    torch.manual_seed(seed)
    network = entry(config.load(entry.Config, chosen), calorimeter)
    record = checkpoint.read_record(output)
    log = RunLog(output, done=record["step"] if record else 0)
    messages.print(f"{model}: {sum(p.numel() for p in network.parameters()):,} parameters; {len(known):,} showers to learn from.")
    with progress_bar("Training", unit="steps") as progress:
        fit(network, known, plan, output, validate=Validation(unseen, output), log=log, progress=progress)
    console.print(f"Trained: {output} (curves: log.csv; the best by validation: {output / 'best'}).")
    console.print(f"Next: caloforge export {output} -o NAME.onnx")


def _configuration(path: Path | None, settings: list[str]) -> dict[str, Any]:
    from caloforge.errors import ConfigError

    content: dict[str, Any] = {}
    try:
        if path is not None:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        for setting in settings:
            content |= tomllib.loads(setting)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The model's configuration is not TOML: {error}. Write --set key=value, with text in quotes.") from None
    return content
