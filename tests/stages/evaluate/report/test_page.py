"""The page holds everything, and opens offline."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from caloforge.progress import Progress
from caloforge.stages.evaluate import Evaluation, load
from caloforge.stages.evaluate.report import verdict_text, write


def test_report_is_complete_and_opens_offline(shifted: Evaluation, tmp_path: Path) -> None:
    told: list[tuple[float, float]] = []

    @contextmanager
    def listen(title: str, unit: str) -> Iterator[Progress]:
        yield lambda done, total, note="": told.append((done, total))

    quick = replace(shifted, observables=shifted.observables[:4])
    page, metrics, pdf = write(quick, tmp_path / "report", listen)
    text = page.read_text(encoding="utf-8")
    assert load(metrics) == shifted.results
    assert pdf.read_bytes().startswith(b"%PDF")
    assert len(list((tmp_path / "report" / "figures").glob("*.png"))) == text.count("<figure>") > 8
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    assert 'class="sortable"' in text
    assert verdict_text(shifted.results).split(":")[0] in text
    assert "Nearest neighbours" in text
    (total,) = {total for _, total in told}  # it never changes
    done = [done for done, _ in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
