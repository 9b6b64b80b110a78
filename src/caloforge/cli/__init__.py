"""The command line: one thin file a stage. A stage is imported only when its command runs."""

import io
import sys

import typer

from caloforge.cli import (
    benchmark,
    compare,
    convert,
    demo,
    doctor,
    evaluate,
    export,
    generate,
    info,
    models,
    rebin,
    show,
    simulate,
    train,
)
from caloforge.cli.common import sentence

app = typer.Typer(
    name="caloforge",
    help="Machine-learned fast simulation of calorimeter showers, trained on and measured against Geant4.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

# In the order in which a user meets them.
for module in (demo, generate, show, info, doctor, simulate, rebin, convert, train, export, compare):
    app.command(name=module.__name__.rpartition(".")[2])(module.command)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(models.app, name="models")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        from caloforge import __version__

        typer.echo(f"caloforge {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a mistake ends in one sentence and exit code 2, not in a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be no text in this encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except Exception as error:
        message = sentence(error)
        if message is None:
            raise
        typer.echo(f"Error: {message}", err=True)
        sys.exit(2)
