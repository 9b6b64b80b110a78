"""``caloforge demo``: what a new user sees first."""

from pathlib import Path

from caloforge.showers import read
from tests.cli.conftest import Run


def test_the_demo_leaves_showers_pictures_and_a_page(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("demo", "-o", tmp_path / "demo")
    assert code == 0
    assert str(tmp_path / "demo" / "index.html") in out
    page = (tmp_path / "demo" / "index.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 8
    assert "http" not in page.replace("http://www.w3.org", "")
    assert len(read(tmp_path / "demo" / "calogan_gamma.h5")) == 300
    assert (tmp_path / "demo" / "eplus_average.png").is_file()
