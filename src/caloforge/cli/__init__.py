"""The command line: one thin file for each stage, which is imported only when its command runs."""

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
from caloforge.cli.stopping import Stopped, stoppable

__all__ = ["app", "main"]

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


_RESUMED = ("simulate", "train")  # commands that continue where they stopped


def main() -> None:
    """Run the command line.

    A mistake ends in one sentence and exit code 2, not in a traceback. Ctrl-C and SIGTERM remove files that
    are half-written, and end in a sentence and exit code 130 or 143.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be no text in this encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    with stoppable() as received:
        try:
            app()
        except (Exception, Stopped) as error:
            if received:  # whatever the libraries that were interrupted made of it
                _say_stopped()
                sys.exit(128 + received[0])
            message = sentence(error)
            if message is None:
                raise
            typer.echo(f"Error: {message}", err=True)
            sys.exit(2)


def _say_stopped() -> None:
    resumed = sys.argv[1:2] and sys.argv[1] in _RESUMED
    how = "Run the same command again to go on." if resumed else "No file is left half-written."
    typer.echo(f"Stopped. {how}", err=True)
