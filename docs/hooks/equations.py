"""LaTeX becomes MathML when the site is built: browsers show that by themselves, without a script."""

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert

# What pymdownx.arithmatex writes: \( \) within a line, \[ \] for an equation of its own.
_EQUATION = re.compile(r'<(span|div) class="arithmatex">\s*\\[(\[](.*?)\\[)\]]\s*</\1>', re.DOTALL)


def on_page_content(html: str, **_: Any) -> str:
    """Replace each equation of a page."""
    return _EQUATION.sub(_mathml, html)


def _mathml(found: re.Match[str]) -> str:
    tag, latex = found.groups()
    return convert(unescape(latex).strip(), display="inline" if tag == "span" else "block")
