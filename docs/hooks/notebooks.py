"""Notebooks become pages: cells as they are, with their results if they are executed first.

They are executed where `extra.execute_notebooks` of mkdocs.yml is true, as in runs/docs.sh.
"""

import base64
import tempfile
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, and its pictures."""
    for path in sorted(Path(config.docs_dir, "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if config.extra["execute_notebooks"]:
            execute(notebook)
        pictures: dict[str, bytes] = {}
        page = "\n\n".join(_text(cell, path.stem, pictures) for cell in notebook.cells)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
        for name, picture in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=picture))
    return files


def execute(notebook: nbformat.NotebookNode) -> None:
    """Execute a notebook in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()


def _text(cell: nbformat.NotebookNode, stem: str, pictures: dict[str, bytes]) -> str:
    if cell.cell_type == "markdown":
        return str(cell.source)
    parts = [f"```python\n{cell.source}\n```"]
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            name = f"{stem}_{len(pictures) + 1}.png"
            pictures[name] = base64.b64decode(data["image/png"])
            parts.append(f"![Output of the cell above]({name})")
        elif text := output.get("text") or data.get("text/plain"):
            parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts)
