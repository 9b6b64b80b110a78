"""``caloforge export``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from caloforge.cli.common import Output, console, extra


class Precision(StrEnum):
    """Of the large products."""

    int8 = "int8"
    float32 = "float32"


def command(
    folder: Annotated[Path, typer.Argument(help="Folder that 'caloforge train' wrote, or its best/.")],
    output: Output,
    precision: Annotated[
        Precision, typer.Option(help="Of the large products; int8 is smaller and faster.")
    ] = Precision.int8,
) -> None:
    """Make a trained model ready to generate without torch: an ONNX file and its record.

    [bold]Example[/bold]: caloforge export runs/eplus/best -o eplus.onnx
    """
    with extra("train"):
        from caloforge.export import export
    trained = export(folder, output, precision=precision.value)
    record = output.with_suffix(".json")
    console.print(f"{trained.name}: {output} and {record}")
    console.print(f"Next: caloforge generate --model {record} --particle ... -o showers.h5")
