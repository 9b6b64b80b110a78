"""How the tests call the command line."""

import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from caloforge import cli
from caloforge.cli import common

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Give Ctrl-C and SIGTERM back to the tests, which the command line takes."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line; return exit code, output and messages."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["caloforge", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")  # for typer; our own consoles have looked at it before
        for one in (common.console, common.messages):
            monkeypatch.setattr(one, "width", 200)
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run
