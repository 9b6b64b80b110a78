"""All pictures of a sample."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.plots import plot
from caloforge.showers import Showers
from tests.conftest import MakeShowers


def test_a_second_sample_adds_shapes(make_showers: MakeShowers) -> None:
    alone, both = plot(make_showers(20)), plot(make_showers(20), make_showers(20, seed=2), shower=3)
    assert list(alone) == ["layers", "3d", "average", "profile"]
    assert list(both) == ["layers", "3d", "average", "shapes", "profile"]
    assert all(figure.axes for figure in both.values())
    assert "shower 3" in both["layers"].get_label()


def test_without_material_there_is_no_profile(small: Calorimeter) -> None:
    bare = Calorimeter("bare", "for tests", "none", (), ("active",), small.layers)
    assert "profile" not in plot(Showers(bare, np.ones((2, bare.n_cells)), Incident(22, 1e3)))


def test_what_can_not_be_drawn_is_refused(make_showers: MakeShowers, small: Calorimeter) -> None:
    with pytest.raises(InputError, match="There is no shower 5"):
        plot(make_showers(5), shower=5)
    with pytest.raises(InputError, match="no showers to draw"):
        plot(make_showers(5)[[]])
    with pytest.raises(InputError, match="different cells"):
        plot(make_showers(5), make_showers(5, small))
