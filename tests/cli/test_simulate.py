import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caloforge.stages.simulate import run as stage

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("cost", "words"), [(7.654, "7.65 ms of processor time per GeV, 4 s in all"), (math.nan, "\n4 s in all")]
)
def test_the_cost_is_said_where_it_is_known(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cost: float, words: str
) -> None:
    done = stage.Summary(
        path=tmp_path / "a.h5",
        showers=2,
        simulated=2,
        skipped=(),
        damaged=(),
        ms_per_GeV=cost,
        seconds=4.2,
        crashes=0,
        seconds_per_shower=np.full(2, cost),
    )
    monkeypatch.setattr(stage, "simulate", lambda *_, **__: done)
    arguments = ("-p", "e+", "--energy", "1", "-n", "2", "-o", tmp_path / "a.h5")
    code, output, _ = run("simulate", "calogan", *arguments)
    assert code == 0
    assert words in output
    assert "nan" not in output
