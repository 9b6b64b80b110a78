"""Tables of text."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Cell", "Table", "markdown"]


class Cell(str):
    """A cell of a table with more than its text.

    Attributes
    ----------
    level
        How good it is, by which it is coloured: ``same``, ``unsure``, ``near``, ``far``,
        ``unknown``; or empty. ``words`` is for sentences.
    order
        The number by which rows are sorted, where the text is none.
    hint
        Shown where the pointer rests.
    """

    level: str
    order: float | None
    hint: str

    def __new__(cls, text: str, level: str = "", order: float | None = None, hint: str = "") -> "Cell":
        """Return the text with further properties of the cell."""
        cell = super().__new__(cls, text)
        cell.level, cell.order, cell.hint = level, order, hint
        return cell


@dataclass(frozen=True)
class Table:
    """A table: its head, and rows with equally many cells; the first cell is the name of the row.

    Any cell may be a `Cell`. Rows of a sortable table follow a click on its head.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    sortable: bool = False


def markdown(table: Table) -> str:
    """Return a table as Markdown: numbers to the right of their columns, names to the left."""
    lines: list[Sequence[str]] = [table.head, ["---", *["---:"] * (len(table.head) - 1)], *table.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
