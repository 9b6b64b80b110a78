"""Models are taken over whole and verified, or not at all."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest
import requests

from caloforge.errors import CatalogError, CheckpointError
from caloforge.geometry import Calorimeter
from caloforge.inference import zoo
from caloforge.inference.adding import add
from caloforge.inference.model import TrainedModel
from tests import small_weights


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and writes no log."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that stands for the user's own."""
    folder = tmp_path / "user" / "models"
    monkeypatch.setattr(zoo, "home", lambda: folder)
    monkeypatch.delenv(zoo.VARIABLE, raising=False)
    return folder


@pytest.fixture
def source(tmp_path: Path, small: Calorimeter) -> Path:
    """Return a folder with two models, one of them with a card, and figures."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("one", "two"):
        small_weights.write(folder / f"{name}.json", small)
    (folder / "one.md").write_text("# one")
    (folder / "figures.json").write_text("{}")
    return folder


@pytest.fixture
def url(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the folder; return its address."""
    monkeypatch.setenv("NO_PROXY", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=source))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def edit(record: Path, **values: object) -> None:
    record.write_text(json.dumps(json.loads(record.read_text()) | values))


def test_a_folder_is_copied(home: Path, source: Path) -> None:
    assert [path.name for path in add(str(source))] == ["one.json", "two.json"]
    assert files(home) == {"one.json", "one.onnx", "one.md", "two.json", "two.onnx"}
    assert TrainedModel.load("two").graph == home / "two.onnx"


def test_one_record_of_a_folder_is_copied(home: Path, source: Path) -> None:
    add(str(source / "one.json"))
    assert files(home) == {"one.json", "one.onnx", "one.md"}


def test_a_record_is_downloaded_with_what_it_names(home: Path, url: str) -> None:
    add(f"{url}/one.json")
    assert files(home) == {"one.json", "one.onnx", "one.md"}
    add(f"{url}/two.json?raw=true")  # has no card
    assert files(home) == {"one.json", "one.onnx", "one.md", "two.json", "two.onnx"}
    assert TrainedModel.load("one").graph.read_bytes()


def test_the_same_model_is_added_again_and_mended(home: Path, source: Path) -> None:
    add(str(source))
    (home / "one.onnx").write_bytes(b"cut")
    add(str(source))
    assert (home / "one.onnx").read_bytes() == (source / "one.onnx").read_bytes()


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (lambda folder: (folder / "two.onnx").write_bytes(b"cut"), CheckpointError, "sha256 differs"),
        (
            lambda folder: (folder / "two.onnx").unlink(),
            CheckpointError,
            r"two\.onnx is missing",
        ),
        (lambda folder: edit(folder / "two.json", noise="quanta"), CheckpointError, "install a newer"),
        (lambda folder: edit(folder / "two.json", geometry={"name": "a"}), CheckpointError, "missing"),
        (
            lambda folder: edit(folder / "two.json", graph="../user/a.onnx"),
            CheckpointError,
            "bare name of a file",
        ),
        (lambda folder: edit(folder / "two.json", graph=".."), CheckpointError, "bare name of a file"),
    ],
)
def test_with_a_damaged_model_nothing_is_added(home: Path, source: Path, damage, error, said) -> None:
    damage(source)
    with pytest.raises(error, match=said):
        add(str(source))
    assert files(home) == set()


@pytest.mark.parametrize(
    ("damage", "name", "said"),
    [
        (lambda folder: (folder / "two.onnx").write_bytes(b"cut"), "two.json", r"two\.onnx is not the file"),
        (lambda folder: (folder / "two.onnx").unlink(), "two.json", r"two\.onnx can't be downloaded: 404"),
        (lambda folder: None, "three.json", r"three\.json can't be downloaded: 404"),
        (lambda folder: None, "figures.json", "not the record of a trained model"),
        (lambda folder: edit(folder / "two.json", graph="../a.onnx"), "two.json", "bare name of a file"),
    ],
)
def test_of_a_failed_download_nothing_stays(home: Path, source: Path, url: str, damage, name, said) -> None:
    damage(source)
    with pytest.raises(CheckpointError, match=said):
        add(f"{url}/{name}")
    assert files(home) == set()


@pytest.mark.parametrize(
    ("error", "said"), [(OSError(28, "No space left"), OSError), (requests.HTTPError("503"), CheckpointError)]
)
def test_a_card_may_be_missing_but_nothing_else_may_fail(
    home: Path, url: str, monkeypatch: pytest.MonkeyPatch, error: OSError, said: type[Exception]
) -> None:
    retrieve = pooch.retrieve

    def fails_at_the_card(url: str, *given: object, **named: object) -> str:
        if url.endswith(".md"):
            raise error
        return str(retrieve(url, *given, **named))

    monkeypatch.setattr(pooch, "retrieve", fails_at_the_card)
    with pytest.raises(
        said, match="No space left" if said is OSError else r"one\.md can't be downloaded: 503"
    ):
        add(f"{url}/one.json")
    assert files(home) == set()


def test_a_server_that_is_not_there_is_told(home: Path) -> None:
    with pytest.raises(CheckpointError, match="can't be downloaded"):
        add("http://127.0.0.1:9/one.json")
    with pytest.raises(CatalogError, match="not the URL of a record"):
        add("https://127.0.0.1:9/one.onnx")
    with pytest.raises(CatalogError, match=r"https://\[ is not a possible URL: give one such as"):
        add("https://[")
    assert files(home) == set()


def test_a_folder_without_models_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="has no trained model"):
        add(str(tmp_path))
    with pytest.raises(CatalogError, match=r"The folder .*none does not exist"):
        add(str(tmp_path / "none"))


def test_another_model_of_the_name_is_kept(home: Path, source: Path, small: Calorimeter) -> None:
    add(str(source / "one.json"))
    before = (home / "one.json").read_bytes()
    edit(source / "one.json", quality="fast")
    with pytest.raises(CatalogError, match="another model with the name 'one'"):
        add(str(source))
    assert (home / "one.json").read_bytes() == before
    assert "two.json" not in files(home)
    small_weights.write(source / "fast_eplus.json", small)
    with pytest.raises(CatalogError, match="another model with the name 'fast_eplus'"):
        add(str(source / "fast_eplus.json"))


def test_the_graph_of_another_model_is_kept(home: Path, source: Path, small: Calorimeter) -> None:
    add(str(source / "one.json"))
    graph = (home / "one.onnx").read_bytes()
    small_weights.write(source / "one.json", small, noise="normal").rename(source / "new.json")
    with pytest.raises(CatalogError, match="is of another model"):
        add(str(source / "new.json"))
    assert (home / "one.onnx").read_bytes() == graph
