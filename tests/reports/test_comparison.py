"""The figures of two samples side by side."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.incident.incident import Incident
from caloforge.reports.comparison import comparison
from caloforge.showers import Showers


def test_comparison_has_all_figures_of_both_samples(make_showers, calogan) -> None:
    showers = make_showers(30)
    twice = Showers(calogan, showers.cells * 2, Incident(22, showers.energy), provenance={"model": "twice"})
    table = comparison(twice, showers)
    assert list(table.head) == ["mean of", "twice", "unknown source", "difference"]
    assert all(len(row) == 4 for row in table.rows)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["showers"] == ["30", "30", ""]
    assert rows["response"][2].startswith("100 ± ")
    mean = (showers.cells.sum(axis=1) / showers.energy).mean()
    assert float(rows["response"][1].split()[0]) == pytest.approx(mean, rel=0.02)
    assert [name for name in rows if name.startswith("width in η")] == [
        f"width in η, layer {n} [cells]" for n in range(3)
    ]


@pytest.mark.parametrize("n", [1, 2])
def test_empty_showers_can_be_compared(make_showers, calogan, n: int) -> None:
    empty = Showers(calogan, np.zeros((n, calogan.n_cells)), Incident(22, 1e4))
    rows = {row[0]: row[1:] for row in comparison(empty, make_showers(1)).rows}
    assert rows["shower depth [layers]"][0] == "undefined"
    assert rows["response"][0] == "0"


def test_other_cells_are_refused(make_showers, calogan_fine) -> None:
    with pytest.raises(InputError, match="different cells"):
        comparison(make_showers(1), make_showers(1, calogan_fine))
