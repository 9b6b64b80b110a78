"""The picture of the profile: what is drawn, in which units, and for whom."""

import numpy as np
import pytest

from caloforge import plots
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.physics import shower_profile as profile
from caloforge.showers import Showers


def test_axes_have_units_and_the_textbook_is_there(make_showers) -> None:
    left, right = plots.profile(make_showers(4)).axes
    assert left.get_xlabel() == "depth $t$ along $z$  [$X_0$ = 15.6 mm]"
    assert "per $X_0$" in left.get_ylabel()
    assert right.get_xlabel() == "radius  [$R_M$ = 35.5 mm]"
    names = [text.get_text() for text in left.get_legend().get_texts()]
    assert names[0].startswith("PDG: maximum at")
    assert "PDG, mean of each layer" in names


def test_the_steps_are_the_mean_profile(make_showers) -> None:
    showers = make_showers(5)
    left = plots.profile(showers).axes[0]
    found = profile.longitudinal(showers)
    drawn = [patch.get_data() for patch in left.patches if hasattr(patch, "get_data")]
    np.testing.assert_allclose(drawn[-1].values, found.share)
    np.testing.assert_allclose(drawn[-1].edges, found.edges)


def test_nothing_is_cut_off(make_showers) -> None:
    showers = make_showers(5, Calorimeter.load("ild_ecal"), occupancy=0.01)
    figure = plots.profile(showers)
    assert figure.axes[0].get_ylim()[1] > profile.longitudinal(showers).share.max()
    assert "visible share" in figure.get_supxlabel()


def test_two_samples_stand_beside_each_other(make_showers) -> None:
    figure = plots.profile(make_showers(5), make_showers(6, seed=2))
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert [name.split(":")[0] for name in names[:2]] == ["unknown source (first)", "unknown source (second)"]
    assert figure.get_supxlabel().count("geometry calogan") == 2
    assert plots.png([figure])


def test_hadrons_are_left_out_and_not_drawn_alone(make_showers, calogan) -> None:
    showers = make_showers(4)
    mixed = Showers(calogan, showers.cells, Incident([11, 211, 22, 2212], showers.energy))
    assert "2 showers" in plots.profile(mixed).get_supxlabel()
    pions = Showers(calogan, showers.cells, Incident(211, showers.energy))
    for pair in ((pions,), (showers, pions)):
        with pytest.raises(InputError, match="applies only to e-, e"):
            plots.profile(*pair)
    with pytest.raises(InputError, match="no showers to draw"):
        plots.profile(showers[:0])
