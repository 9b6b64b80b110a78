"""``caloforge train``."""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from caloforge.cli.common import Folder, Seed, extra, progress_bar, say

__all__ = ["Arithmetic", "Device", "command"]


class Device(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Arithmetic(StrEnum):
    """Arithmetic of a training's steps."""

    float32 = "float32"
    bfloat16 = "bfloat16"


def command(
    model: Annotated[str, typer.Argument(help="Model of the catalogue, such as calogan.")],
    data: Annotated[
        list[Path], typer.Option("--data", "-d", help="File of training showers; can be repeated.")
    ],
    output: Folder,
    geometry: Annotated[
        list[str] | None,
        typer.Option(
            help="Read-out to learn: a name or a TOML file (default: that of the data). Give several to a "
            "model that is conditioned on the read-out."
        ),
    ] = None,
    parent: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Folder of an earlier training to start from, such as a teacher or an autoencoder."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Total passes over the data in all phases (default: the lengths set by the model)."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=2, help="Showers per step.")] = 256,
    held_out: Annotated[
        int | None,
        typer.Option(
            min=1, help="Showers kept aside for validation (default: a tenth of them, at most 500)."
        ),
    ] = None,
    flips: Annotated[
        bool, typer.Option(help="Mirror showers at random in eta and phi, where the read-out is symmetric.")
    ] = True,
    average: Annotated[
        float,
        typer.Option(min=0, max=1, help="Decay of the running average of the parameters (0: no average)."),
    ] = 0.0,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations and pictures.")] = 250,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A key of the model's configuration: attention=false")
    ] = None,
    device: Annotated[
        Device, typer.Option(help="Device to train on; auto uses an accelerator if there is one.")
    ] = Device.auto,
    precision: Annotated[
        Arithmetic, typer.Option(help="Arithmetic of the steps; bfloat16 is automatic mixed precision.")
    ] = Arithmetic.float32,
    config: Annotated[Path | None, typer.Option(help="TOML file with the model's configuration.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Minutes between checkpoints.")] = 5.0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Dask cluster for phases that can be trained at the same time, such as the layers of "
            "l2l_flows: local, slurm, htcondor, ... or the address of a scheduler."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of workers to start on the cluster.")] = 1,
    seed: Seed = 1,
) -> None:
    """Train a model of the catalogue on showers; if interrupted, rerun the command to resume.

    The folder gets checkpoints, the best parameters by validation, log.csv, TensorBoard curves and pictures.

    [bold]Example[/bold]: caloforge train calogan -d eplus.h5 -o runs/eplus --epochs 50
    """
    with extra("train"):
        from caloforge.stages.train.fit import Plan
        from caloforge.stages.train.run import train

    plan = Plan(epochs, batch, seed, held_out, flips, average, validate_every, precision.value)
    with progress_bar("Reading", "showers") as reading, progress_bar("Training", "steps") as progress:
        train(
            model, data, output, plan, geometry=geometry or None, parent=parent, device=device.value,
            settings=_settings(config, settings or []), threads=threads, minutes=minutes,
            cluster=cluster, workers=workers,
            reading=reading, progress=progress,
        )  # fmt: skip
    _say_next(output)


def _say_next(output: Path) -> None:
    """Say where the result is, and which command comes next."""
    say(f"Trained: {output} (curves: log.csv; the best by validation: {output / 'best'}).")
    say(f"Next: caloforge export {output / 'best'} -o NAME.onnx")


def _settings(path: Path | None, pairs: list[str]) -> dict[str, Any]:
    from caloforge.errors import ConfigError

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
        for pair in pairs:
            content |= tomllib.loads(pair)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The model's configuration is not TOML: {error}. Write --set key=value, with text in quotes."
        ) from None
    return content
