"""``caloforge show``: which pictures it writes, and how it refuses."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from caloforge.cli import app, show
from caloforge.errors import CaloforgeError, InputError, ShowerFileError
from caloforge.formats.native import write
from caloforge.incident.incident import Incident
from caloforge.showers import Showers


@pytest.fixture
def file(make_showers, tmp_path: Path) -> Path:
    write(make_showers(5), tmp_path / "some.h5")
    return tmp_path / "some.h5"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["show", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_pictures_are_written_beside_the_file(file: Path) -> None:
    printed = run(file, "--shower", 3).split()
    expected = {f"some_{name}.png" for name in ("layers", "3d", "average", "profile")}
    assert {Path(path).name for path in printed} == expected
    assert names(file.parent) == expected | {"some.h5"}


def test_progress_is_shown_while_it_draws(file: Path) -> None:
    result = CliRunner().invoke(app, ["show", str(file)])
    assert "Drawing: 4 of 4 pictures" in result.stderr
    assert "Writing: 4 of 4 files" in result.stderr


def test_another_file_adds_shapes(file: Path, make_showers) -> None:
    write(make_showers(4, seed=2), file.with_name("other.h5"))
    run(file, "--reference", file.with_name("other.h5"))
    assert "some_shapes.png" in names(file.parent)


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_all_pictures_go_into_the_named_file(file: Path, ending: str) -> None:
    out = file.with_name(f"picture.{ending}")
    assert run(file, "-o", out).strip() == str(out)
    assert names(file.parent) == {"some.h5", out.name}


def test_what_has_no_profile_is_told(make_showers, capsys) -> None:
    showers = make_showers(2)
    pions = Showers(showers.geometry, showers.cells, Incident(211, showers.energy))
    assert set(show._figures(pions[:1], pions, None)) == {"layers", "3d", "average"}
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("The profile was not drawn: The textbook profile applies only to e-")


def test_a_shower_keeps_its_number(file: Path) -> None:
    alone, sample = show._read(file, 3)
    figures = show._figures(alone, sample, None)
    assert figures["layers"].get_supxlabel().split("  ·  ")[1] == "shower 3"
    assert figures["average"].get_supxlabel().endswith("some.h5")


def test_large_files_are_read_in_part_and_this_is_said(file: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(show, "_MOST_CELLS", 1100)
    alone, sample = show._read(file, 4)
    assert (len(alone), len(sample)) == (1, 2)
    assert "first 2 of 5 showers" in capsys.readouterr().err


def test_mistakes_end_in_one_sentence_and_leave_nothing(file: Path, make_showers, calogan_fine) -> None:
    write(make_showers(1, calogan_fine), file.with_name("fine.h5"))
    write(make_showers(1)[:0], file.with_name("none.h5"))
    before = names(file.parent)
    mistakes: list[tuple[list[object], type[CaloforgeError], str]] = [
        ([file, "-o", file.with_name("x.jpg")], InputError, "ends in '.jpg'"),
        ([file, "--shower", 5], InputError, "no shower 5 in .*0 to 4"),
        ([file, "--shower", -1], InputError, "no shower -1"),
        ([file, "--reference", file.with_name("fine.h5")], InputError, "different cells"),
        ([file.with_name("none.h5")], InputError, "holds no showers"),
        ([file.with_name("absent.h5")], ShowerFileError, "does not exist"),
    ]
    for arguments, kind, text in mistakes:
        with pytest.raises(kind, match=text):
            run(*arguments)
    assert names(file.parent) == before
