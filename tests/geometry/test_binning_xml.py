"""Read-outs from the binning files of the CaloChallenge."""

from pathlib import Path

import pytest

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter

LAYERS = """
  <Layer id="0" r_edges="0,5,10.5" n_bin_alpha="1" />
  <Layer id="1" r_edges="0" n_bin_alpha="1" />
  <Layer id="2" r_edges="0,2,4,8" n_bin_alpha="10" />
"""


def write(path: Path, *particles: tuple[str, str]) -> Path:
    bins = "".join(f'<Bin name="{name}">{layers}</Bin>' for name, layers in particles)
    path.write_text(f"<Bins>{bins}</Bins>", encoding="utf-8")
    return path


def test_voxels_are_read_and_empty_layers_left_out(tmp_path: Path) -> None:
    read_out = Calorimeter.load(write(tmp_path / "binning.xml", ("photon", LAYERS)))
    assert read_out.name == "binning"
    assert read_out.shapes == ((1, 2), (10, 3))
    assert [layer.r.edges.tolist() for layer in read_out.layers] == [[0, 5, 10.5], [0, 2, 4, 8]]
    assert read_out.stack == ()
    assert read_out.depth == 2


def test_a_layer_of_one_ring_has_voxels(tmp_path: Path) -> None:
    one = '<Layer id="0" r_edges="0,5" n_bin_alpha="3" />'
    read_out = Calorimeter.load(write(tmp_path / "binning.xml", ("photon", one)))
    assert read_out.shapes == ((3, 1),)
    assert read_out.visible == ("active",)


def test_several_particles_with_the_same_voxels_are_one_read_out(tmp_path: Path) -> None:
    path = write(tmp_path / "binning.xml", ("photon", LAYERS), ("electron", LAYERS))
    assert Calorimeter.load(str(path)).n_cells == 32


def test_different_voxels_have_to_be_told_apart(tmp_path: Path) -> None:
    other = '<Layer id="0" r_edges="0,1" n_bin_alpha="1" />'
    path = write(tmp_path / "binning.xml", ("photon", LAYERS), ("pion", other))
    with pytest.raises(GeometryError, match="different voxels for photon, pion"):
        Calorimeter.load(path)
    path.write_text(path.read_text().replace('<Bin name="pion">', "<Bin>"), encoding="utf-8")
    with pytest.raises(GeometryError, match="different voxels for photon, without a name"):
        Calorimeter.load(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("<Bins>", "not a CaloChallenge binning file"),
        ("<Bins></Bins>", "describes no voxels"),
        ("<Bins><Bin><Layer r_edges='0,x' n_bin_alpha='1'/></Bin></Bins>", "could not convert"),
        ("<Bins><Bin><Layer r_edges='0,1'/></Bin></Bins>", "n_bin_alpha"),
        ("<Bins><Bin><Layer r_edges='1,2' n_bin_alpha='1'/></Bin></Bins>", "begin on the axis"),
        ("<Bins><Bin><Layer r_edges='0,2,1' n_bin_alpha='1'/></Bin></Bins>", "must ascend"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "binning.xml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(GeometryError, match=sentence):
        Calorimeter.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="No such file"):
        Calorimeter.load(tmp_path / "binning.xml")
