"""``caloforge doctor``."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from caloforge.cli.common import console, messages, progress_bar, say
from caloforge.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from caloforge.stages.simulate.geant4.data import DataSet
    from caloforge.stages.simulate.geant4.doctor import Diagnosis

__all__ = ["command"]


def command(
    geometry: Annotated[
        str, typer.Argument(help="Calorimeter for the trial run: a catalogue name or a TOML file.")
    ] = "calogan",
    physics: Annotated[
        str, typer.Option(help="Geant4 reference physics list to check, or em.")
    ] = "FTFP_BERT",
    download: Annotated[
        bool, typer.Option("--download", help="Download missing Geant4 data for this physics list.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Agree to the download without being asked.")
    ] = False,
) -> None:
    """Check whether simulation works here, and what is missing.

    Looks at the packages and at Geant4's data, then simulates a few showers as a trial: what data a physics
    list reads depends on the calorimeter's materials too.

    Exit code 0 when showers came out, 1 when they did not or you declined the download, 2 when there was no
    trial: the calorimeter is unknown, or the download broke or was not agreed to.

    [bold]Example[/bold]: caloforge doctor calogan --physics QGSP_BERT
    """
    from caloforge.geometry import Calorimeter
    from caloforge.stages.simulate.geant4 import doctor

    calorimeter = Calorimeter.load(geometry)
    if download:
        _download(physics, agreed=yes)
    with messages.status("Simulating a few showers as a trial"):
        diagnosis = doctor.diagnose(physics, calorimeter)
    console.print(_table(diagnosis))
    say(diagnosis.verdict.sentence)
    if diagnosis.verdict.command:
        say(f"Run: {diagnosis.verdict.command}")
    if not diagnosis.verdict.works:
        raise typer.Exit(1)


def _download(physics: str, *, agreed: bool) -> None:
    from caloforge.stages.simulate.geant4 import data

    absent = data.missing(physics)
    if not absent:
        say(f"No Geant4 data are missing for {physics}: nothing is downloaded.")
        return
    names, folder = ", ".join(known.name for known in absent), data.folder()
    if not agreed:
        _ask(f"Let geant4-pybind download {names} from {data.SOURCE} (up to some GB) into {folder}?")
    with progress_bar("Downloading", unit="data sets") as progress:
        data.download(physics, progress=progress)


def _ask(question: str) -> None:
    """Ask for consent in a terminal; refuse elsewhere."""
    if not sys.stdin.isatty():
        raise InputError(
            "The download needs your consent, but standard input is not a terminal: add --yes to agree."
        )
    if not typer.confirm(question):
        raise typer.Exit(1)


def _table(diagnosis: "Diagnosis") -> "Table":
    from importlib.metadata import version
    from platform import python_version

    from rich.table import Table

    table = Table("item", "found", "needed for, or how to install")
    table.add_row("caloforge", version("caloforge"), "")
    table.add_row("Python", python_version(), "")
    table.add_section()
    for package in diagnosis.packages:
        missing = "not installed", f"pip install 'caloforge\\[{package.extra}]'"
        table.add_row(package.name, *((package.version, package.extra) if package.version else missing))
    table.add_section()
    for known in diagnosis.data:
        table.add_row(known.variable, _found(known, diagnosis), known.readers or "no calorimeter")
    table.caption = f"Geant4's data are looked for in {diagnosis.folder}"
    return table


def _found(known: "DataSet", diagnosis: "Diagnosis") -> str:
    from rich.markup import escape

    if known.found:
        assert known.path is not None
        inside = known.path.parent == diagnosis.folder
        wish = f" [yellow](made for {known.version})[/]" if known.strange else ""
        return escape(known.path.name if inside else str(known.path)) + wish
    claimed = f", {known.path} is not a folder" if known.path else ""
    missing = f"{known.name} missing{escape(claimed)}"
    return f"[red]{missing}[/]" if known.variable in diagnosis.needed else missing
