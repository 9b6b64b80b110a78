"""The command line: one thin file for each stage, which is imported only when its command runs."""

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import FrameType

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
from caloforge.uninterrupted import is_uninterrupted

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


class _Stopped(BaseException):
    """The command is asked to end, by Ctrl-C or by a batch system."""


_AGAIN = 0.5  # seconds
_ENDED = 0  # no signal has this number
_RESUMED = ("simulate", "train")  # commands that continue where they stopped


def main() -> None:
    """Run the command line.

    A mistake ends in one sentence and exit code 2, not in a traceback. Ctrl-C and SIGTERM remove files that
    are half-written, and end in a sentence and exit code 130 or 143.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be no text in this encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    received: list[int] = []
    requests: SimpleQueue[int] = SimpleQueue()  # its put, unlike starting a thread, may interrupt itself

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if _stops(sys.exc_info()[1]):  # what is half-written is being removed
            return
        requests.put(number)
        if not is_uninterrupted(frame):
            raise _Stopped

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as of a command in the background
            signal.signal(number, stop)
    threading.Thread(target=_ask_again, args=(requests,), daemon=True).start()
    report = sys.unraisablehook
    sys.unraisablehook = _without_stops(report)
    try:
        app()
    except (Exception, _Stopped) as error:
        if received:  # whatever the libraries that were interrupted made of it
            _say_stopped()
            sys.exit(128 + received[0])
        message = sentence(error)
        if message is None:
            raise
        typer.echo(f"Error: {message}", err=True)
        sys.exit(2)
    finally:
        sys.unraisablehook = report
        requests.put(_ENDED)


def _ask_again(requests: SimpleQueue[int]) -> None:
    """Repeat a request to stop until the command ends: libraries in other languages swallow exceptions."""
    number = requests.get()
    while number != _ENDED:
        try:
            number = requests.get(timeout=_AGAIN)
        except Empty:
            os.kill(os.getpid(), number)


def _without_stops(report: Callable[["sys.UnraisableHookArgs"], object]) -> Callable[..., None]:
    """Return a hook that is silent about requests to stop that a finalizer swallowed: they are made again."""

    def hook(found: "sys.UnraisableHookArgs") -> None:
        if not isinstance(found.exc_value, _Stopped):
            report(found)

    return hook


def _stops(error: BaseException | None) -> bool:
    """Return whether an exception comes of a request to end."""
    return error is not None and (isinstance(error, _Stopped) or _stops(error.__context__))


def _say_stopped() -> None:
    resumed = sys.argv[1:2] and sys.argv[1] in _RESUMED
    how = "Run the same command again to go on." if resumed else "No file is left half-written."
    typer.echo(f"Stopped. {how}", err=True)
