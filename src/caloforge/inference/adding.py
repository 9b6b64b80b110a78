"""Adds trained models to the user's own folder, complete and verified, or not at all."""

import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from caloforge.errors import CatalogError, CheckpointError
from caloforge.files import sha256
from caloforge.inference import zoo
from caloforge.inference.model import TrainedModel
from caloforge.inference.record import read_record

__all__ = ["add"]


def add(source: str) -> list[Path]:
    """Copy or download trained models into `zoo.home`; return the paths of their records there.

    Parameters
    ----------
    source
        A folder with one or several models, the record (.json) of one, or the URL of a record, with its
        graph and its card next to it.

    Raises
    ------
    CatalogError
        No model was found, or another one has its name.
    CheckpointError
        A model is damaged or can't be downloaded. Nothing is added then.
    """
    home = zoo.home()
    home.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that the moves below stay on one disk, where they are atomic.
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=home) as folder:
        aside = Path(folder)
        found = [_download(source, aside)] if _is_url(source) else _records(Path(source))
        for path in found:
            _check(path)
        ready = [
            _copied(file, aside) for file in dict.fromkeys(file for path in found for file in _files(path))
        ]
        for file in ready:
            file.replace(home / file.name)
    return [home / path.name for path in found]


def _is_url(source: str) -> bool:
    try:
        return urlsplit(source).scheme in ("http", "https")
    except ValueError:
        raise CatalogError(
            f"{source} is not a possible URL: give one such as https://example.org/NAME.json, or a folder."
        ) from None


def _records(source: Path) -> list[Path]:
    """Return the records of a folder, or the one that is named."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise CatalogError(
            f"The folder {source} does not exist: give one with trained models, or the URL of a record."
        )
    found = [path for path in sorted(source.glob("*.json")) if zoo.describes_a_graph(path)]
    if not found:
        raise CatalogError(
            f"{source} has no trained model: give a folder with what 'caloforge export' wrote (.json, .onnx, "
            ".md), or the URL of a record (https://.../NAME.json)."
        )
    return found


def _check(path: Path) -> None:
    """Refuse a model that is damaged, or whose name is another's already."""
    model = TrainedModel.load(path)
    _ = model.runtime  # which refuses a graph that does not fit the record
    _check_names(path, model.graph)


def _check_names(path: Path, graph: Path) -> None:
    mine = zoo.home() / path.name
    for other in (zoo.records().get(path.stem, mine), mine):
        if other.exists() and other.read_bytes() != path.read_bytes():
            raise CatalogError(
                f"There is another model with the name '{path.stem}' ({other}): give this one a new name, or "
                "remove that one."
            )
    # Two records may name the same graph, but only if its content is the same.
    there = zoo.home() / graph.name
    if not mine.exists() and there.exists() and sha256(there) != sha256(graph):
        raise CatalogError(f"{there} is of another model: give the graph of this one a new name.")


def _files(path: Path) -> list[Path]:
    """Return the files of a model, the record last: a model without its record is not found."""
    card = path.with_suffix(".md")
    return [path.with_name(read_record(path)["graph"]), *([card] if card.is_file() else []), path]


def _copied(file: Path, folder: Path) -> Path:
    """Copy a file to a folder unless it is already there; return its path."""
    there = folder / file.name
    if there != file:
        shutil.copyfile(file, there)
    return there


def _download(url: str, folder: Path) -> Path:
    """Fetch a record with its graph and card into a folder; return the record's path."""
    path = folder / Path(unquote(urlsplit(url).path)).name
    if path.suffix != ".json":
        raise CatalogError(f"{url} is not the URL of a record, which ends in NAME.json.")
    _fetch(url, path)
    record = read_record(path)
    graph = path.with_name(record["graph"])
    _fetch(urljoin(url, graph.name), graph, record["sha256"])
    _fetch(urljoin(url, path.with_suffix(".md").name), path.with_suffix(".md"), needed=False)
    return path


def _fetch(url: str, path: Path, digest: str | None = None, needed: bool = True) -> None:
    """Download a file; one that is not needed may be missing there."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    known = None if digest is None else f"sha256:{digest}"
    try:
        pooch.retrieve(url, known, fname=path.name, path=path.parent)
    except OSError as error:
        if error.errno is not None:  # an error of the disk; those of the network have no number
            raise
        status = getattr(getattr(error, "response", None), "status_code", None)
        if needed or status != 404:
            raise CheckpointError(f"{url} can't be downloaded: {error}") from None
    except ValueError:  # pooch raises it for a wrong checksum
        raise CheckpointError(
            f"{url} is not the file that its record describes (sha256 differs): it was altered or cut."
        ) from None
