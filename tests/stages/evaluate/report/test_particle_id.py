"""The layout of Table II, and its numbers as JSON."""

import json
from pathlib import Path

import numpy as np

from caloforge.stages.evaluate.particle_id import ParticleSeparation
from caloforge.stages.evaluate.report.particle_id import section, sentences, table, write


def test_the_table_has_mean_and_standard_deviation(tmp_path: Path) -> None:
    result = ParticleSeparation(("e+", "pi+"), np.array([[[0.9, 1.0], [0.5, 0.5]]] * 2), (60, 20, 20))
    head, rows = table(result).head, table(result).rows
    assert head == ["e+ vs pi+", "tested on reference", "tested on generated"]
    assert rows[0] == ["trained on reference", "95.0 ± 7.1 %", "50.0 ± 0.0 %"]
    assert rows[1][0] == "trained on generated"
    assert "2 trials" in section(result).text
    assert sentences(result)[0].startswith(
        "Trained on reference showers: 95.0 ± 7.1 % right on the reference,"
    )
    assert json.loads(json.dumps(result.to_dict()))["accuracy"][0]["trials"] == [0.9, 1.0]
    write(tmp_path / "page.html", result)
    assert "e+ and pi+ told apart" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "page.json").read_text(encoding="utf-8")) == result.to_dict()
