"""``caloforge info`` on calorimeters."""

from caloforge.geometry import Calorimeter


def test_info_describes_a_calorimeter_of_the_catalogue(run):
    code, out, _ = run("info", "calogan")
    assert code == 0
    for part in ("80 x (2 mm G4_Pb (absorber) + 4 mm G4_lAr (active))", "12 x 12", "phi x eta", "504"):
        assert part in out


def test_info_writes_a_calorimeter_to_begin_with(run, tmp_path):
    code, out, _ = run("info", "calogan", "--toml", tmp_path / "mine.toml")
    assert code == 0
    assert "mine.toml: the description of calogan" in out
    assert Calorimeter.load(tmp_path / "mine.toml") == Calorimeter.load("calogan")


def test_info_on_a_binning_file_says_that_it_has_no_material(run, tmp_path):
    layer = '<Layer id="0" r_edges="0,5" n_bin_alpha="4" />'
    (tmp_path / "binning.xml").write_text(f"<Bins><Bin>{layer}</Bin></Bins>", encoding="utf-8")
    code, out, _ = run("info", tmp_path / "binning.xml")
    assert code == 0
    assert "alpha x r" in out
    assert "materials are not described" in out


def test_a_calorimeter_that_is_not_there_is_named(run, tmp_path):
    code, _, err = run("info", tmp_path / "none.toml")
    assert code == 2
    assert "none.toml can't be read" in err
