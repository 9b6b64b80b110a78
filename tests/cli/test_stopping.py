"""Commands that are stopped by a signal: files whole or not there, and one sentence."""

import contextlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from caloforge.cli import main

COMMAND = [sys.executable, "-c", "from caloforge.cli import main; main()"]


def _heed_interrupts() -> None:
    """Undo what the processes of tests in the background inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def stopped(words: Sequence[object], folder: Path, number: signal.Signals) -> tuple[int, str]:
    """Run a command, stop it when it writes; return exit code and messages."""
    command = [*COMMAND, *map(str, words)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=folder, preexec_fn=_heed_interrupts
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob(".*.partial-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def ended(
    app: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str]:
    """Let the command line run something else as "generate"; return exit code and messages."""
    monkeypatch.setattr("caloforge.cli.app", app)
    monkeypatch.setattr(sys, "argv", ["caloforge", "generate"])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_generation_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    words = ("generate", "-p", "e+", "-n", 1_000_000, "-o", "a.h5")
    found, err = stopped(words, tmp_path, number)
    assert found == code
    assert err.splitlines()[-1] == "Stopped. No file is left half-written."
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_killed_generation_is_cleaned_up_by_the_next(tmp_path: Path) -> None:
    words = ("generate", "-p", "e+", "-n", 1_000_000, "-o", "a.h5")
    assert stopped(words, tmp_path, signal.SIGKILL)[0] == -signal.SIGKILL
    assert list(tmp_path.glob(".a.h5.partial-*"))
    subprocess.run([*COMMAND, *["generate", "-p", "e+", "-n", "1", "-o", "a.h5"]], cwd=tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize(
    ("command", "line"),
    [("simulate", "Run the same command again to go on."), ("evaluate", "No file is left half-written.")],
)
def test_the_closing_line_says_how_to_go_on(
    command: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as error:
            raise ImportError("initialization failed") from error  # as libraries make of it

    monkeypatch.setattr("caloforge.cli.app", interrupted)
    monkeypatch.setattr(sys, "argv", ["caloforge", command])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 143
    assert capsys.readouterr().err == f"Stopped. {line}\n"


def test_a_request_to_stop_is_not_lost_where_an_exception_is_swallowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        with contextlib.suppress(BaseException):  # as callbacks and libraries in other languages do
            signal.raise_signal(signal.SIGTERM)
        time.sleep(20)

    assert ended(interrupted, monkeypatch, capsys) == (143, "Stopped. No file is left half-written.\n")


@pytest.mark.parametrize(
    ("function", "left"),
    [("make_fid", []), ("ShowerWriter._begin", []), ("_CalmFile.write", []), ("File.close", ["a.h5"])],
)
def test_a_request_to_stop_does_not_interrupt_hdf5(tmp_path: Path, function: str, left: list[str]) -> None:
    """An exception would crash the interpreter: while a file is opened or closed, and in a callback."""
    lines = """
        import signal, sys, time
        import numpy as np
        from caloforge import cli
        from caloforge.formats.native import ShowerWriter
        from caloforge.geometry import Calorimeter

        values = np.random.default_rng(1).random((100, 1000))

        def profile(frame, event, _):
            if event == "call" and frame.f_code.co_qualname == sys.argv[1]:
                sys.setprofile(None)
                signal.raise_signal(signal.SIGTERM)

        def write():
            sys.setprofile(profile if sys.argv[1] in ("make_fid", "ShowerWriter._begin") else None)
            with ShowerWriter("a.h5", Calorimeter.load("calogan")) as writer:
                sys.setprofile(profile if sys.argv[1] in ("_CalmFile.write", "File.close") else None)
                for n in range(50):
                    writer._file.create_dataset(str(n), data=values, chunks=(10, 1000), compression="gzip")
                if sys.argv[1] != "File.close":
                    time.sleep(20)
            time.sleep(20)

        cli.app = write
        cli.main()
    """
    command = [sys.executable, "-c", textwrap.dedent(lines), function]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (143, "Stopped. No file is left half-written.\n")
    assert [path.name for path in tmp_path.iterdir()] == left


def test_a_finalizer_that_swallows_a_request_to_stop_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def interrupted() -> None:
        Finalized()
        time.sleep(20)

    assert ended(interrupted, monkeypatch, capsys) == (143, "Stopped. No file is left half-written.\n")


def test_a_second_request_does_not_keep_files_from_being_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    removed = []

    def interrupted() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            time.sleep(0.7)  # longer than until the request is repeated
            removed.append(True)

    monkeypatch.setattr("caloforge.cli.app", interrupted)
    with pytest.raises(SystemExit):
        main()
    assert removed
