"""caloforge evaluate and compare on the command line."""

import json
from pathlib import Path

import pytest

from caloforge import observables
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.observables.base import Observable
from caloforge.stages.evaluate.report import figures


@pytest.fixture
def showers(make_showers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder with two samples; few observables, so that little has to be drawn."""
    every = observables.every

    def few(geometry: Calorimeter) -> tuple[Observable, ...]:
        return tuple(one for one in every(geometry) if one.name in ("response", "shower_depth"))

    monkeypatch.setattr(observables, "every", few)
    write(make_showers(400, seed=1), tmp_path / "geant4.h5")
    write(make_showers(400, seed=2), tmp_path / "generated.h5")
    return tmp_path


def test_two_files_are_enough(run, showers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = figures.figures  # all pictures are drawn in tests/stages/evaluate/report/test_page.py
    monkeypatch.setattr(figures, "figures", lambda *samples: every(*samples)[:1])
    files = (showers / "geant4.h5", showers / "generated.h5")
    code, out, err = run("evaluate", *files, "-o", showers / "report", "--no-classifiers", "--repeats", 2)
    assert code == 0, err
    assert str(showers / "report" / "index.html") in out
    assert "Too few" not in out
    content = json.loads((showers / "report" / "metrics.json").read_text(encoding="utf-8"))
    assert content["settings"]["repeats"] == 2
    code, out, err = run(
        "compare", showers / "report", "-o", showers / "leaderboard.html", "--metric", "separation"
    )
    assert code == 0, err
    assert out.startswith("1. ")
    assert (showers / "leaderboard.html").is_file()


def test_amplification_is_a_command_of_its_own(run, showers: Path) -> None:
    files = [showers / name for name in ("generated.h5", "generated.h5", "geant4.h5")]
    code, out, err = run("evaluate", "amplification", *files, "-o", showers / "worth.html", "--repeats", 2)
    assert code == 0, err
    assert "worth" in out
    assert (showers / "worth.html").is_file()


def test_classes_needs_two_particles(run, showers: Path) -> None:
    files = (showers / "geant4.h5", showers / "generated.h5")
    arguments = ("--reference", *files, "--generated", *files, "-o", showers / "classes.html")
    code, _, err = run("evaluate", "classes", *arguments)
    assert (code, "give two particles" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "--help"], "caloforge evaluate REFERENCE GENERATED"),
        (["evaluate", "report", "--help"], "--no-classifiers"),
        (["evaluate", "a.h5", "b.h5", "--help"], "--match-energies"),
        (["evaluate", "amplification", "--help"], "truth"),
        (["evaluate", "classes", "--help"], "--generated"),
        (["evaluate", "reliability", "--help"], "Exit code 0 when no shower failed, 1 when one did"),
        (["compare", "--help"], "--speed"),
    ],
)
def test_help_says_what_there_is(run, arguments: list[str], said: str) -> None:
    code, out, _ = run(*arguments)
    assert code == 0
    assert said in out


def test_mistakes_end_in_a_sentence(run, showers: Path, make_showers, calogan_fine) -> None:
    code, _, err = run("evaluate", showers / "geant4.h5", showers / "none.h5")
    assert (code, "does not exist" in err) == (2, True)
    write(make_showers(3, calogan_fine), showers / "fine.h5")
    code, _, err = run("evaluate", showers / "geant4.h5", showers / "fine.h5")
    assert (code, "caloforge rebin" in err) == (2, True)
    code, _, err = run("compare", showers)
    assert (code, "can't be read" in err) == (2, True)


def test_what_can_not_be_used_is_said_before_the_work(run, showers: Path) -> None:
    files = (showers / "geant4.h5", showers / "generated.h5")
    (showers / "text.h5").write_text("no showers", encoding="utf-8")
    code, _, err = run("evaluate", *files, "--training", showers / "text.h5", "-o", showers / "report")
    assert code == 2
    assert "text.h5 is not an HDF5 file" in err
    assert "Comparing" not in err
    code, _, err = run("evaluate", *files, "-o", showers / "text.h5")
    assert code == 2
    assert "choose another name" in err


@pytest.mark.parametrize(
    "words",
    [
        ("report", "a.h5", "b.h5", "--repeats"),
        ("amplification", "a.h5", "b.h5", "c.h5", "--repeats"),
        ("classes", "--reference", "a.h5", "b.h5", "--generated", "c.h5", "d.h5", "--trials"),
    ],
)
def test_so_many_repeats_that_they_never_end_are_refused_before_anything_is_read(run, words) -> None:
    code, _, err = run("evaluate", *words, 10**12)
    assert code == 2
    assert "less than or equal to 1000" in err


def test_reliability_of_a_shipped_model(run, tmp_path: Path) -> None:
    arguments = ("--model", "calogan_piplus", "-n", 300, "--threads", 1, "-o", tmp_path / "page.html")
    code, out, err = run("evaluate", "reliability", *arguments, "--energy", "10:30")
    assert code == 0, err
    assert out.startswith("passed: calogan_piplus: 300 showers of pi+, 10:30 GeV")
    content = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))
    assert [one["showers"] for one in content["models"]] == [300]


def test_a_second_reference_of_a_particle_is_refused(run, tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    assert run("generate", "-p", "e+", "-n", 1200, "-o", file)[0] == 0
    page = tmp_path / "page.html"
    arguments = ("-m", "fast_eplus", "-n", 10, "--reference", file, "--reference", file, "-o", page)
    code, _, err = run("evaluate", "reliability", *arguments)
    assert code == 2
    assert "is a second reference for the same particle" in " ".join(err.split())
    assert not page.exists()


def test_a_generator_that_fails_ends_in_exit_code_1(run, tmp_path: Path) -> None:
    arguments = (
        "-p",
        "e+",
        "-m",
        "calogan_eplus",
        "-m",
        "calogan_gamma",
        "-n",
        300,
        "-o",
        tmp_path / "page.html",
    )
    code, out, _ = run("evaluate", "reliability", *arguments)
    assert code == 1
    assert out.startswith("FAILED: calogan_eplus: 300 showers of e+, 1:100 GeV: ")
    assert "calogan_gamma" not in out
    assert str(tmp_path / "page.json") in out


def test_models_that_there_are_none_of(run, showers: Path) -> None:
    arguments = ("-o", showers / "page.html", "-n", 10)
    code, _, err = run("evaluate", "reliability", "-m", "calogan_eplus", "--quality", "precise", *arguments)
    assert (code, "There are: calogan_eplus (e+, quality not said)." in err) == (2, True)
    make = ("--reference", showers / "geant4.h5", "-m", "calogan_gamma")
    code, out, err = run("evaluate", "reliability", *make, *arguments)
    assert (code, out, "too few to say what an outlier is" in err) == (2, "", True)


def test_a_reference_of_another_particle(run, showers: Path, make_showers) -> None:
    write(make_showers(1200), showers / "many.h5")
    arguments = (
        "-m",
        "calogan_gamma",
        "-n",
        10,
        "--reference",
        showers / "many.h5",
        "-o",
        showers / "page.html",
    )
    code, out, err = run("evaluate", "reliability", *arguments)
    assert (code, out, "that none of the models makes" in err) == (2, "", True)
