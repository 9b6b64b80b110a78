"""CONTRIBUTING.md is followed step by step: its observable and its model are found, and do what it says."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from caloforge import catalog
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.observables import every
from caloforge.showers import Showers
from tests.test_plugins import install

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
INDENTED = re.compile(r"^   ```python\n(.*?)^   ```", re.MULTILINE | re.DOTALL)
BLOCKS = [textwrap.dedent(block) for block in INDENTED.findall(PAGE)]
FILES = dict(zip(re.findall(r"`src/caloforge/(\w+/\w+)\.py`:?", PAGE), BLOCKS, strict=False))


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the page's files where a package of one's own has them."""
    package = tmp_path / "contributed"
    package.mkdir()
    (package / "__init__.py").touch()
    groups: dict[str, dict[str, str]] = {}
    for place, block in FILES.items():
        folder, name = place.split("/")
        (package / f"{name}.py").write_text(block)
        groups[f"caloforge.{folder}"] = {name: f"contributed.{name}"}
    install(tmp_path, "contributed", groups)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    catalog.refresh()
    yield
    monkeypatch.undo()
    catalog.refresh()


def test_the_page_has_an_observable_and_a_model() -> None:
    assert list(FILES) == ["observables/hottest_share", "models/even_split"]
    assert len(BLOCKS) == 3


@pytest.mark.usefixtures("followed")
def test_the_observable_is_one_of_all(calogan: Calorimeter) -> None:
    (share,) = (one for one in every(calogan) if one.name == "hottest_share")
    cells = np.zeros((2, 504))
    cells[0, :3] = 1, 3, 4
    found = share(Showers(calogan, cells, Incident(22, 1e4)))
    assert found[0] == 0.5
    assert np.isnan(found[1])


@pytest.mark.usefixtures("followed")
def test_the_model_trains_and_generates(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    exec(BLOCKS[2], {})
    assert capsys.readouterr().out == "<100 showers in calogan>\n"
