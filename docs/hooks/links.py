"""Links to files outside of docs/ (sources, scripts) are shown as text: the site has only the pages."""

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each link that leaves the folder of the pages by its text."""
    return _OUTSIDE.sub(r"\1", markdown)
