"""``caloforge rebin``: the same showers on a coarser read-out."""

from pathlib import Path
from typing import Annotated

import typer

from caloforge.cli.common import Output, Overwrite, progress_bar, say

__all__ = ["command"]


def command(
    file: Annotated[Path, typer.Argument(help="File of showers with fine cells, in any supported layout.")],
    geometry: Annotated[str, typer.Argument(help="Read-out: a name of the catalogue or a TOML file.")],
    output: Output,
    overwrite: Overwrite = False,
) -> None:
    """Sum cells exactly to a coarser read-out whose edges are a subset.

    [bold]Example[/bold]: caloforge rebin eplus_fine.h5 calogan -o eplus.h5
    """
    from caloforge.files import check_replaced
    from caloforge.formats.native import ShowerWriter
    from caloforge.formats.open import open_any
    from caloforge.geometry import Calorimeter

    check_replaced(output, overwrite, [file])
    coarse = Calorimeter.load(geometry)
    with open_any(file) as source:
        start = source.read(0, 0).rebin(coarse)  # refuses a grid that does not fit before anything is written
        with (
            ShowerWriter(output, coarse, start.provenance) as writer,
            progress_bar("Rebinning", "showers") as progress,
        ):
            for batch in source.batches():
                writer.write(batch.rebin(coarse))
                progress(len(writer), len(source))
        say(f"{output}: {len(source):,} showers on {coarse.name}")
