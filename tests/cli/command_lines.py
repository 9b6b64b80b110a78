"""Command lines as a hostile user writes them: hypothesis strategies, and how one is run in this process.

None of them runs Geant4 (its data are not there) or trains for long.
"""

import io
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch  # noqa: F401  # loaded before a command's time is taken
from hypothesis import strategies as st

from caloforge import catalog, cli
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers
from caloforge.stages.evaluate import results
from caloforge.stages.evaluate.results import MetricResult, Results, Settings, ShowerSample

PATIENCE = 20.0
"""Seconds that a command may take, on a busy machine."""

TOML = """
name = "tiny"
description = "for tests"
reference = "none"
visible = ["active"]
stack = [{ repeat = 2, slabs = [{ material = "G4_lAr", thickness = 3.0, role = "active" }] }]
[[layers]]
repeat = 2
z = [0.0, 3.0]
eta = { bins = 4, range = [-20.0, 20.0] }
phi = { bins = 2, range = [-20.0, 20.0] }
"""

Words = st.SearchStrategy[list[str]]
Word = st.SearchStrategy[str]


def one_of(*words: object) -> Word:
    return st.sampled_from([str(word) for word in words])


def materials(folder: Path) -> None:
    """Write what the command lines name: good files, and others that only look like them."""
    (folder / "tiny.toml").write_text(TOML)
    tiny = Calorimeter.load(folder / "tiny.toml")
    for seed, name in enumerate(("a.h5", "b.h5")):
        random = np.random.default_rng(seed)
        cells = np.where(
            random.random((24, tiny.n_cells)) < 0.5, random.exponential(100, (24, tiny.n_cells)), 0
        )
        incident = Incident(-11, random.uniform(1e3, 1e5, 24))
        write(Showers(tiny, cells.astype(np.float32), incident, provenance={"seed": seed}), folder / name)
    for name, words in {
        "huge.toml": TOML.replace("repeat = 2", "repeat = 100000000"),
        "fine.toml": TOML.replace("bins = 4", "bins = 1000000000"),
        "far.toml": TOML.replace("20.0", "1e300"),
        "dict.toml": TOML.replace("[-20.0, 20.0]", "{ low = 1 }"),
        "nested.toml": "a = " + "[" * 5000,
        "digits.toml": "a = " + "9" * 5000,
        "words.toml": "hello",
        "words.h5": "hello",
        "words.json": '{"model": 1}',
        "words.xml": "<a><Bin><Layer r_edges='0,1' n_bin_alpha='x'/></Bin></a>",
        "empty.h5": "",
        "energies.txt": "10\n20\n",
    }.items():
        (folder / name).write_text(words)
    reports(folder)
    (folder / "binary.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(256)))
    (folder / "binary.toml").write_bytes(bytes(range(256)))
    for name in ("folder", "folder.h5", "folder.toml"):
        (folder / name).mkdir()
    (folder / "nowhere.h5").symlink_to("not-there.h5")
    (folder / "loop.h5").symlink_to("loop.h5")


def reports(folder: Path) -> None:
    """Write results of evaluations and speeds to compare, and others that only look like them."""
    verdict = MetricResult("separation", "separation", "", "joint", "", 2.0, 0.1, 0.2, 0.05, 3.0, 500, 4)
    sample = ShowerSample("a.h5", "fast_eplus", 24, ("e+",), (1.0, 100.0), "tiny", {})
    known = Results(
        results.FORMAT, 1, "0", sample, sample, Settings(4, 1, False, 10), (), (), (verdict,), (), ()
    )
    none = replace(verdict, value=None, error=None, floor=None, floor_error=None, sigma=None, reason="few")
    for name, one in {"report": known, "report_without": replace(known, verdicts=(none,))}.items():
        (folder / name).mkdir()
        results.save(one, folder / name / results.NAME)
    text = (folder / "report" / results.NAME).read_text()
    row = {"model": "fast_eplus", "particle": "e+", "ms": 2.0, "error": 0.1, "conditions": "batch 1"}
    for name, words in {
        "report_of_nothing": text.replace("separation", "a"),
        "report_nan": text.replace("2.0", "NaN"),
        "report_word": text.replace("2.0", '"two"'),
        "report_huge": text.replace("2.0", "1e308"),
        "report_negative": text.replace("2.0", "-1"),
        "format": json.dumps({"format": results.FORMAT}),
        "speeds": json.dumps({"speeds": [row, row | {"model": "Geant4"}]}),
        "speeds_list": json.dumps({"speeds": [list(row)]}),
        "speeds_word": json.dumps({"speeds": [row | {"ms": "two"}]}),
        "speeds_zero": json.dumps({"speeds": [row | {"ms": 0}]}),
        "speeds_error": json.dumps({"speeds": [row | {"error": "small"}]}),
        "speeds_models": json.dumps({"speeds": [row | {"model": ["fast_eplus"]}]}),
        "deep": '{"speeds": ' + "[" * 100_000,
    }.items():
        (folder / f"{name}.json").write_text(words)


FILES = (
    *("huge.toml", "fine.toml", "far.toml", "dict.toml", "nested.toml", "digits.toml", "words.toml"),
    *("words.h5", "words.json", "words.xml", "empty.h5", "energies.txt", "binary.h5", "binary.toml"),
    *("folder", "folder.h5", "folder.toml", "nowhere.h5", "loop.h5", "no.h5", "no/no.h5", "/dev/null"),
)
ODD = ("", " ", ".", "..", "/", "-", "--", "nan", "inf", "-inf", "1e400", "1e-400", "0", "-1", "9" * 30, "1:")
ODD += (
    "0x10",
    "1_0",
    "١",
    "é漢字💥",
    "[bold]x[/bold]",
    "[/x]",
    "{0}",
    "%s",
    "a\nb",
    "\udcff",
    "x" * 300,
    "1,,2",
)
any_word = st.one_of(
    one_of(*ODD),
    one_of(*FILES),
    st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=8),
    st.integers().map(str),
    st.floats().map(str),
)


def mostly(good: Word) -> Word:
    """Draw what is meant, or anything: rarely, since the first mistake hides all others."""
    return st.integers(0, 7).flatmap(lambda number: any_word if number == 7 else good)


SHOWERS = mostly(one_of("a.h5", "b.h5"))
GEOMETRY = mostly(one_of("tiny.toml", "calogan"))
PARTICLE = mostly(one_of("e+", "gamma", "22"))
ENERGY = mostly(one_of("50", "1:100", "log:1:100", "10,20", "energies.txt", "a.h5", "1e30"))
OUTPUT = mostly(one_of("new.h5", "new/new.h5"))
SEED = mostly(one_of(1, 2**64 - 1))
COUNT = one_of(1, 2, 3, 4, 5, 6, 7, 8, 0, -1, "nan", "", "1.5")  # where large numbers are really made
HUGE = st.one_of(COUNT, COUNT, COUNT, one_of(10**12, 10**30, 10**400))  # where they are refused
FRACTION = mostly(one_of(0.5, 0, 1))
REPORT = mostly(one_of("report", "report_without", "report/metrics.json"))
REPORTS = one_of(
    *(f"report_{name}.json" for name in ("of_nothing", "nan", "word", "huge", "negative")),
    *("format.json", "deep.json", "words.json", "folder", "a.h5"),
)
SPEEDS = one_of(
    *("speeds.json", "speeds_list.json", "speeds_word.json", "speeds_zero.json", "speeds_error.json"),
    *("speeds_models.json", "deep.json", "words.json", "folder", "a.h5"),
)
SECONDS = one_of(0, 0, 0, "nan", "inf", "1e30", "-1", "")  # what is possible is really measured
MODEL = mostly(one_of("fast_eplus", "fast_gamma", "words.json"))
ANGLES = st.tuples(*[mostly(one_of("0", "0:30", "90"))] * 2)
TEXT = any_word


class Command(NamedTuple):
    """Its name, what has to follow, and what may."""

    name: str
    arguments: tuple[Word, ...] = ()
    required: dict[str, Word] = {}  # noqa: RUF012
    options: dict[str, Word] = {}  # noqa: RUF012
    flags: tuple[str, ...] = ()


COMMANDS = (
    Command(
        "generate",
        (),
        {"-o": OUTPUT, "-p": PARTICLE, "-n": HUGE},
        {
            "--energy": ENERGY,
            "--like": SHOWERS,
            "--geometry": GEOMETRY,
            "--model": MODEL,
            "--quality": mostly(one_of("fast", "precise")),
            "--seed": SEED,
            "--batch": HUGE,
            "--threads": HUGE,
            "--max-tries": COUNT,
        },
        ("--conserve-energy", "--overwrite"),
    ),
    Command(
        "show",
        (SHOWERS,),
        {"-o": mostly(one_of("a.png", "a.txt"))},
        {"--shower": HUGE, "--reference": SHOWERS},
    ),
    Command("info", (st.one_of(SHOWERS, GEOMETRY),), {}, {"--toml": OUTPUT}),
    Command("doctor", (GEOMETRY,), {}, {"--physics": mostly(one_of("em", "QBBC"))}),
    Command(
        "simulate",
        (GEOMETRY,),
        {"-p": PARTICLE, "--energy": ENERGY, "-n": HUGE, "-o": OUTPUT},
        {
            "--physics": TEXT,
            "--range-cut": FRACTION,
            "--workers": HUGE,
            "--cluster": mostly(one_of("nowhere", "x:1")),
            "--seed": SEED,
        },
    ),
    Command("rebin", (SHOWERS, GEOMETRY, OUTPUT), {}, {"--threshold": FRACTION}, ("--crop",)),
    Command(
        "convert",
        (SHOWERS, OUTPUT),
        {},
        {"--format": mostly(one_of(*catalog.names("formats"))), "-p": PARTICLE, "--geometry": GEOMETRY},
    ),
    Command(
        "train",
        (mostly(one_of("shower_library")),),
        {
            "-d": SHOWERS,
            "-o": mostly(one_of("run")),
            "--geometry": GEOMETRY,
            "--epochs": COUNT,
            "--batch": HUGE,
        },
        {
            "--from": mostly(one_of("run", "folder")),
            "--held-out": HUGE,
            "--average": FRACTION,
            "--validate-every": HUGE,
            "--set": mostly(
                one_of("latent=0", "latent=1000000000000", "latent=1e9", "energy_range=[1.0, 0.5]")
            ),
            "--device": mostly(one_of("cpu", "cuda")),
            "--precision": TEXT,
            "--config": mostly(one_of("words.toml")),
            "--minutes": FRACTION,
            "--cluster": mostly(one_of("nowhere", "x:1")),
            "--workers": HUGE,
            "--threads": HUGE,
            "--seed": SEED,
        },
    ),
    Command(
        "export",
        (mostly(one_of("folder", "run")),),
        {"-o": mostly(one_of("a.onnx"))},
        {
            "--reference": SHOWERS,
            "--geometry": GEOMETRY,
            "--precision": TEXT,
            "--quality": TEXT,
            "--seed": SEED,
        },
    ),
    Command(
        "compare",
        (REPORT, st.one_of(REPORT, REPORTS)),
        {"-o": mostly(one_of("board.html"))},
        {"--metric": mostly(one_of("separation")), "--speed": SPEEDS},
    ),
    Command("models"),
    Command("models show", (MODEL,)),
    Command(
        "models add", (mostly(one_of("folder", "words.json", "https://[", "http://127.0.0.1:9/a.json")),)
    ),
    Command(
        "evaluate",
        (SHOWERS, any_word),
        {"-o": mostly(one_of("report"))},
        {"--repeats": HUGE, "--training": SHOWERS, "--seed": SEED},
        ("--match-energies", "--no-classifiers"),
    ),
    Command(
        "evaluate classes",
        (st.just("--reference"), SHOWERS, SHOWERS, st.just("--generated"), SHOWERS, SHOWERS),
        {"-o": mostly(one_of("classes.html"))},
        {"--trials": HUGE, "--seed": SEED},
    ),
    Command(
        "evaluate amplification",
        (SHOWERS, SHOWERS, SHOWERS),
        {"-o": mostly(one_of("worth.html"))},
        {"--repeats": HUGE, "--seed": SEED},
    ),
    Command(
        "evaluate reliability",
        (st.just("-n"), COUNT),
        {"--particle": any_word},
        {"--energy": ENERGY, "--model": MODEL, "--reference": SHOWERS, "--threads": HUGE, "--seed": SEED},
    ),
    Command(
        "benchmark generate",
        (st.just("--no-geant4"), st.just("-m"), MODEL, st.just("--seconds"), SECONDS),
        {},
        {
            "--batches": st.one_of(HUGE, one_of("1,2", "1,,2", "1:2", "١")),
            "--energies": ENERGY,
            "--threads": HUGE,
            "-o": mostly(one_of("folder", "a.h5", "")),
        },
    ),
    Command(
        "benchmark simulate",
        (GEOMETRY,),
        {"--particles": PARTICLE, "--energies": ENERGY},
        {"--physics": TEXT, "--effort": SECONDS, "-o": mostly(one_of("folder", "a.h5", ""))},
    ),
    Command(
        "benchmark settings",
        (GEOMETRY,),
        {"--points": mostly(one_of("e+:10", "e+", ":", "e+:10,")), "-n": HUGE},
        {"--rounds": HUGE, "-c": TEXT, "-o": mostly(one_of("folder", "a.h5", ""))},
    ),
    # which generates and draws for a minute if it may
    Command("demo", (st.just("-o"), one_of("a.h5", "", "/dev/null", "x" * 300)), {}, {"--seed": SEED}),
)


@st.composite
def command_lines(draw: st.DrawFn, commands: Sequence[Command] = COMMANDS) -> list[str]:
    """Draw the words after ``caloforge``."""
    command = draw(st.sampled_from(commands))
    words = [*command.name.split(), *(draw(argument) for argument in command.arguments)]
    chosen = {name: value for name, value in command.options.items() if draw(st.integers(0, 3)) == 0}
    for name, value in {**command.required, **chosen}.items():
        if draw(st.integers(0, 19)):  # a few lack something
            words += [name, draw(value)]
    words += [flag for flag in command.flags if draw(st.booleans())]
    if command.name in ("generate", "simulate") and draw(st.booleans()):
        words += [draw(one_of("--direction", "--position")), *draw(ANGLES)]
    return [word for word in words if "\0" not in word]


SLOW = (
    *("show", "train", "export", "generate", "compare", "benchmark generate"),
    *("evaluate", "evaluate classes", "evaluate amplification", "evaluate reliability"),
)
QUICK = [command for command in COMMANDS if command.name not in SLOW]
"""Commands that take no second even if all words are right."""


class TooLong(Exception):
    """A command did not end."""


def run(words: list[str]) -> tuple[int, str]:
    """Run a command line in a new folder; return exit code and messages; a traceback is the exception."""
    errors = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
    output = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict")
    with (
        _in_a_new_folder(),
        mock.patch.object(sys, "argv", ["caloforge", *words]),
        redirect_stdout(output),
        redirect_stderr(errors),
        _patience(),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
    errors.seek(0)
    return code, errors.read()


@contextmanager
def _in_a_new_folder() -> Iterator[None]:
    before = Path.cwd()
    with TemporaryDirectory() as name:
        shutil.copytree(_prepared(), name, symlinks=True, dirs_exist_ok=True)
        nothing = {"GEANT4_DATA_DIR": f"{name}/none", "XDG_DATA_HOME": name, "CALOFORGE_MODELS": ""}
        os.chdir(name)
        try:
            with mock.patch.dict(os.environ, nothing):
                yield
        finally:
            os.chdir(before)


_PREPARED: list[TemporaryDirectory[str]] = []


def _prepared() -> str:
    """Return a folder with the files, made once."""
    if not _PREPARED:
        _PREPARED.append(TemporaryDirectory())
        materials(Path(_PREPARED[0].name))
    return _PREPARED[0].name


@contextmanager
def _patience() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TooLong(f"more than {PATIENCE:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check(words: list[str]) -> None:
    """Run a command line; it has to end in time, with a known exit code and without a traceback."""
    begin = time.monotonic()
    code, errors = run(words)
    assert code in (0, 1, 2), (code, errors)
    assert "Traceback" not in errors
    assert code != 2 or errors.strip()
    assert time.monotonic() - begin < 2 * PATIENCE
