"""Wrong input: one sentence, exit code 2, and nothing under the final name."""

import resource
import shutil
from pathlib import Path

import pytest

from caloforge import catalog
from caloforge.inference import zoo
from tests.cli.conftest import Run

GENERATE = ("generate", "--particle", "gamma", "-n", "10")


def check(result: tuple[int, str, str], answer: str, folder: Path, left: tuple[str, ...] = ()) -> None:
    code, out, err = result
    assert code == 2
    assert "Traceback" not in err
    assert answer in " ".join(err.split())
    assert "showers" not in out
    assert sorted(path.name for path in folder.iterdir()) == sorted(left)


@pytest.mark.parametrize("energy", ["0", "-5", "nan", "100:1", "1:inf", "much"])
def test_energies(run: Run, tmp_path: Path, energy: str) -> None:
    check(run(*GENERATE, f"--energy={energy}", "-o", tmp_path / "a.h5"), "GeV", tmp_path)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (("--particle", "gama"), "'gama' is not a known particle"),
        (("--particle", "neutron"), "No shipped model was trained for neutron"),
        (("-n", "0"), "must be at least 1"),
        (("-n", "-3"), "must be at least 1"),
        (("--batch", "0"), "must be at least 1"),
        (("--seed", "-1"), "The seed -1 is not possible"),
        (("--seed", str(2**130)), "is not possible"),
        (("--model", "calogan_gama"), "Did you mean 'calogan_gamma'"),
        (("--model", "no.json"), "no.json is missing"),
        (("--geometry", "atlas"), "'atlas' is not among the geometries"),
        (("--geometry", "ild_ecal"), "caloforge simulate ild_ecal --particle gamma"),
        (("--model", "calogan_gamma", "--geometry", "ild_ecal"), "makes showers in calogan, not in ild_ecal"),
        (("--threads", "100000"), "100000 threads are not possible"),
        (("-n", "1000000000000"), "on the disk"),
        (("--model", "calogan_gamma", "--quality", "fast"), "give one or the other"),
        (("--quality", "best"), "'best' is not one of 'fast', 'precise'"),
        (("--energy", "1000"), "reach too far beyond. Ask for 0.5 to 150 GeV"),
    ],
)
def test_requests(run: Run, tmp_path: Path, options: tuple[str, ...], answer: str) -> None:
    check(run(*GENERATE, *options, "-o", tmp_path / "a.h5"), answer, tmp_path)


def test_a_folder_that_is_not_there(run: Run, tmp_path: Path) -> None:
    check(run(*GENERATE, "-o", tmp_path / "no" / "a.h5"), "no such folder", tmp_path)


def test_a_full_disk(run: Run, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        result = run("generate", "--particle", "gamma", "-n", 1000, "-o", tmp_path / "a.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    check(result, "a.h5: File too large", tmp_path)


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    check(run("info", tmp_path / "no.h5"), "does not exist", tmp_path)


def test_a_text_with_the_name_of_a_shower_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("hello")
    check(run("info", tmp_path / "text.h5"), "not an HDF5 file", tmp_path, ("text.h5",))
    training = run("train", "calogan", "-d", tmp_path / "text.h5", "-o", tmp_path / "run")
    check(training, "not an HDF5 file", tmp_path, ("text.h5",))


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("atention=false", "Did you mean 'attention'"),
        ("latent=0", "latent"),
        ("latent", "not TOML"),
        ("energy_range=[5.0, 1.0]", "ascending"),
    ],
)
def test_keys_of_a_configuration(run: Run, tmp_path: Path, setting: str, answer: str) -> None:
    data = catalog.load("samples", "calogan_gamma")
    result = run("train", "calogan", "-d", data, "--held-out", 10, "-o", tmp_path / "run", "--set", setting)
    check(result, answer, tmp_path)


def test_an_unknown_model(run: Run, tmp_path: Path) -> None:
    data = catalog.load("samples", "calogan_gamma")
    check(run("train", "calogen", "-d", data, "-o", tmp_path / "run"), "Did you mean 'calogan'", tmp_path)


def test_altered_weights(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "weights"
    own.mkdir()
    record = zoo.locate("calogan_gamma")
    for path in (record, record.with_suffix(".onnx")):
        shutil.copy(path, own / path.name)
    with (own / "calogan_gamma.onnx").open("r+b") as file:
        file.seek(10_000)
        file.write(b"altered")
    result = run(*GENERATE, "--model", own / "calogan_gamma.json", "-o", tmp_path / "a.h5")
    check(result, "sha256 differs", tmp_path, ("weights",))


def test_an_existing_file_is_kept_unless_it_may_be_replaced(run: Run, tmp_path: Path) -> None:
    path, energies = tmp_path / "a.h5", tmp_path / "energies.txt"
    path.write_text("mine")
    energies.write_text("10\n20\n")
    generate = (*GENERATE, "--energy", energies)
    check(
        run(*generate, "-o", path),
        "a.h5 exists: name another output, or add --overwrite",
        tmp_path,
        ("a.h5", "energies.txt"),
    )
    check(
        run(*generate, "-o", energies, "--overwrite"),
        "is what this command reads",
        tmp_path,
        ("a.h5", "energies.txt"),
    )
    assert (path.read_text(), energies.read_text()) == ("mine", "10\n20\n")
    assert run(*generate, "-o", path, "--overwrite")[0] == 0
    assert path.read_bytes() != b"mine"


@pytest.mark.parametrize(
    "command",
    [
        ("generate", "-p", "gamma", "-n", "10", "-o"),
        ("simulate", "calogan", "-p", "e+", "--energy", "1", "-n", "1", "-o"),
        ("rebin", "a.h5", "calogan", "-o"),
        ("convert", "a.h5"),
        ("show", "a.h5", "-o"),
        ("export", "run", "-o"),
        ("info", "calogan", "--toml"),
        ("compare", "report", "-o"),
        ("evaluate", "classes", "--reference", "a.h5", "b.h5", "--generated", "a.h5", "b.h5", "-o"),
        ("evaluate", "amplification", "a.h5", "b.h5", "c.h5", "-o"),
        ("evaluate", "reliability", "-n", "1", "-o"),
    ],
)
@pytest.mark.parametrize("output", ["", ".", "/"])
def test_a_folder_where_a_file_is_to_be_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    check(run(*command, output), "is a folder: name a file to write", tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        ("train", "calogan", "-d", "a.h5", "-o"),
        ("demo", "-o"),
        ("evaluate", "a.h5", "b.h5", "-o"),
        ("benchmark", "generate", "-o"),
        ("benchmark", "simulate", "-o"),
        ("benchmark", "settings", "-o"),
    ],
)
def test_a_folder_without_a_name(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    check(run(*command, ""), "folder to write to is empty", tmp_path)
