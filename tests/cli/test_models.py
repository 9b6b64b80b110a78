"""``caloforge models``."""

from pathlib import Path

import pytest

from caloforge.cli import models
from caloforge.geometry import Calorimeter
from caloforge.inference import zoo
from tests import small_weights
from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that stands for the user's own."""
    monkeypatch.setattr(zoo, "home", lambda: tmp_path / "user" / "models")
    return zoo.home()


def row(out: str, name: str) -> list[str]:
    line = next(line for line in out.splitlines() if name in line)
    return line.split()


def test_the_table_has_every_model(run: Run) -> None:
    code, out, _ = run("models")
    assert code == 0
    assert row(out, "fast_eplus") == [
        *("fast_eplus", "e+", "calogan", "1-100", "0°"),
        *("0.549±0.012", "0.0065/0.0061", "7.96", "0.1.0"),
    ]
    assert row(out, "calogan_piplus")[5:7] == ["-", "-"]
    assert "Intel(R) Xeon(R) Processor" in out


def test_an_added_model_is_in_the_table_and_generates(
    run: Run, tmp_path: Path, small: Calorimeter, home: Path
) -> None:
    record = small_weights.write(tmp_path / "mine.json", small)
    code, out, _ = run("models", "add", record)
    assert (code, out) == (0, f"mine: added ({home})\n")
    _, out, _ = run("models")
    assert row(out, "mine") == ["mine", "gamma", "small", "1-100", "0°", "-", "-", "-", "-"]
    code, _, err = run("generate", "--model", "mine", "-p", "gamma", "-n", 10, "-o", tmp_path / "a.h5")
    assert code == 0, err


def test_a_card_is_shown_as_it_is_to_a_pipe(run: Run) -> None:
    code, out, _ = run("models", "show", "calogan_eplus")
    assert code == 0
    assert out == zoo.locate("calogan_eplus").with_suffix(".md").read_text(encoding="utf-8")


def test_a_card_is_laid_out_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.console, "_force_terminal", True)
    code, out, _ = run("models", "show", "fast_eplus")
    assert code == 0
    assert "Against Geant4" in out
    assert "## Against" not in out
    assert "| ---" not in out


def test_mistakes_are_sentences(run: Run, tmp_path: Path, small: Calorimeter, home: Path) -> None:
    code, _, err = run("models", "show", "fast_epuls")
    assert (code, "Did you mean 'fast_eplus'" in err) == (2, True)
    record = small_weights.write(tmp_path / "mine.json", small)
    assert run("models", "add", record)[0] == 0
    code, _, err = run("models", "show", "mine")
    assert (code, "mine has no card" in err) == (2, True)
    record.with_suffix(".onnx").write_bytes(b"cut")
    code, _, err = run("models", "add", tmp_path)
    assert (code, "sha256 differs" in err) == (2, True)


def test_help_has_examples(run: Run) -> None:
    for words in ((), ("show",), ("add",)):
        assert "Example: caloforge models" in run("models", *words, "--help")[1]
