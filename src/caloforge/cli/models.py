"""``caloforge models``: which trained models there are; sub-commands show one and add more."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from caloforge.cli.common import console, say

__all__ = ["add_command", "app", "show_command", "table_command"]

app = typer.Typer(
    help="List the trained models that are found, show the card of one, or add more.\n\n"
    "Models ship with caloforge, lie in zoo/ of the repository that it runs from, in the folders that the "
    "environment variable CALOFORGE_MODELS lists, or were added. 'caloforge generate --model NAME' takes "
    "each.\n\n"
    "[bold]Example[/bold]: caloforge models\n\n"
    "[bold]Example[/bold]: caloforge models show fast_eplus\n\n"
    "[bold]Example[/bold]: caloforge models add ~/caloforge/zoo",
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def table_command(context: typer.Context) -> None:
    """Print the table of all models."""
    if context.invoked_subcommand is not None:
        return
    from caloforge.inference import zoo
    from caloforge.inference.shipped import known

    records = known()
    table, core = _table(records), _processors(records)
    console.print(table)
    say(
        "AUC: the most that a classifier finds between generated and Geant4's showers (0.5: nothing). "
        f"Separation power: mean of all observables, with that of Geant4 against itself. "
        f"Time: on one core{core}."
    )
    say("Looked for in: " + ", ".join(str(folder) for folder in zoo.folders() if folder.is_dir()))


@app.command("show")
def show_command(name: Annotated[str, typer.Argument(help="Name of a model.")]) -> None:
    """Print the card of a model: comparison with Geant4, training command, limits.

    [bold]Example[/bold]: caloforge models show precise_piplus
    """
    from caloforge.errors import CatalogError
    from caloforge.inference import zoo

    card = zoo.locate(name).with_suffix(".md")
    if not card.is_file():
        raise CatalogError(f"{name} has no card: 'caloforge export --reference' writes one ({card}).")
    text = card.read_text(encoding="utf-8")
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        typer.echo(text, nl=False)


@app.command("add")
def add_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|URL",
            help="Folder with one or several models (.json, .onnx, .md), or the URL of a record (.json), "
            "with graph and card in the same place.",
        ),
    ],
) -> None:
    """Copy or download trained models to use them by name; damaged ones are refused.

    [bold]Example[/bold]: caloforge models add ~/caloforge/zoo

    [bold]Example[/bold]: caloforge models add https://example.org/models/ild_gamma.json
    """
    from caloforge.inference.adding import add

    for path in add(source):
        say(f"{path.stem}: added ({path.parent})")


def _table(records: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)  # which fits into 80 columns
    for title in ("name", "par-\nticle", "calori-\nmeter", "\nGeV", "\nangles"):
        table.add_column(title, no_wrap=True)
    for title in ("\nAUC", "separation/\nfloor", "µs a\nshower", "ver-\nsion"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, record in records.items():
        table.add_row(*map(escape, [name, *_cells(record)]))
    return table


def _processors(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return where the times were measured, in brackets, as far as the records say."""
    found = {record["speed"].get("processor") for record in records.values() if "speed" in record}
    named = sorted(filter(None, found))
    return f" ({'; '.join(named)})" if named else ""


def _cells(record: Mapping[str, Any]) -> list[str]:
    from caloforge.incident.particles import particle_name

    low, high = record["energy_range_GeV"]
    speed = record.get("speed")
    return [
        ", ".join(map(particle_name, record["pdg"])),
        record["geometry"]["name"],
        f"{low:g}-{high:g}",
        _angles(record),
        *_fidelity(record.get("fidelity") or {}),
        f"{speed['us_per_shower']['value']:.3g}" if speed else "-",
        record.get("surroundings", {}).get("caloforge", "-"),
    ]


def _angles(record: Mapping[str, Any]) -> str:
    """Return the angles to the front face's normal that the model knows."""
    low, high = record.get("direction_range_deg", [[0.0, 0.0]])[0]
    if low == high == 0:
        return "0°"
    return " to ".join(dict.fromkeys(f"{theta:g}°" for theta in (low, high)))


def _fidelity(figures: Mapping[str, Any]) -> tuple[str, str]:
    """Return the highest AUC of several classifiers, and the separation power with its floor."""
    found = figures.get("auc", {}).values()
    highest = max(found, key=lambda figure: figure["value"], default=None)
    separation = figures.get("separation")
    return (
        "-" if highest is None else f"{highest['value']:.3f}±{highest['error']:.3f}",
        "-" if separation is None else f"{separation['value']:.4f}/{separation['floor']:.4f}",
    )
