"""``caloforge rebin``: the same showers on a coarser read-out, or on one of their core."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caloforge.cli.common import Output, Overwrite, progress_bar, say

if TYPE_CHECKING:
    from caloforge.geometry import Calorimeter
    from caloforge.showers import Showers

__all__ = ["command"]


def command(
    file: Annotated[Path, typer.Argument(help="File of showers with fine cells, in any supported layout.")],
    geometry: Annotated[str, typer.Argument(help="Read-out: a name of the catalogue or a TOML file.")],
    output: Output,
    crop: Annotated[
        bool,
        typer.Option(
            "--crop",
            help="Leave out the cells beyond the outer edges of a smaller read-out. Their energy is kept as "
            "the column 'outside', in MeV.",
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(help="MeV; empty the new cells that hold less, as zero suppression does."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Sum cells exactly to a coarser read-out whose edges are a subset.

    [bold]Examples[/bold]: caloforge rebin eplus_fine.h5 calogan -o eplus.h5; caloforge rebin gamma.h5
    ild_ecal_core --crop -o core.h5
    """
    from caloforge.files import check_replaced
    from caloforge.formats.native import ShowerWriter
    from caloforge.formats.open import open_any
    from caloforge.geometry import Calorimeter

    check_replaced(output, overwrite, [file])
    coarse = Calorimeter.load(geometry)

    def read_out(showers: "Showers") -> "Showers":
        summed = showers.crop(coarse) if crop else showers.rebin(coarse)
        return summed if threshold is None else summed.cut(threshold)

    with open_any(file) as source:
        start = read_out(source.read(0, 0))  # refuses a grid that does not fit before anything is written
        outside = _Outside(source.read(0, 0), coarse) if crop else None
        with (
            ShowerWriter(output, coarse, start.provenance) as writer,
            progress_bar("Rebinning", "showers") as progress,
        ):
            for batch in source.batches():
                writer.write(read_out(batch))
                if outside:
                    outside.count(batch)
                progress(len(writer), len(source))
        say(f"{output}: {len(source):,} showers on {coarse.name}")
        if outside:
            say(outside.text)


class _Outside:
    """What cropping leaves out of some showers: energy, and cells with energy."""

    def __init__(self, whole: "Showers", core: "Calorimeter") -> None:
        import numpy as np

        from caloforge.geometry.rebinning import crop_matrix

        self._outside = np.diff(crop_matrix(whole.geometry, core).indptr) == 0
        self._energy, self._filled = np.zeros(2), np.zeros(2)  # outside, and everywhere

    def count(self, showers: "Showers") -> None:
        """Count some showers."""
        for number, which in enumerate((self._outside, slice(None))):
            cells = showers.cells[:, which]
            self._energy[number] += cells.sum(dtype=float)
            self._filled[number] += (cells > 0).sum()

    @property
    def text(self) -> str:
        """What is left out, in words."""
        # Nothing is outside of showers without energy.
        energy, filled = (float(outside / (whole or 1)) for outside, whole in (self._energy, self._filled))
        return (
            f"Left out: {self._outside.sum():,} of {len(self._outside):,} cells, with {energy:.2%} of the "
            f"energy and {filled:.1%} of all cells that hold any"
        )
