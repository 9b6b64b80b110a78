"""The commands info, rebin and convert, run as a user runs them."""

import h5py
import numpy as np
import pytest

from caloforge.formats.base import recognise
from caloforge.formats.calogan import ENTRY
from caloforge.formats.native import read, write
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import FIELDS, Incident
from caloforge.showers import Showers


def write_datasets(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values


def forget(path):
    """Make a file as if it had been written elsewhere, by people who did not say the particle."""
    with h5py.File(path, "r+") as file:
        del file["caloforge"]


def test_info_says_what_is_in_a_file(run, make_showers, tmp_path):
    showers = make_showers(30)
    file = tmp_path / "mine[1].h5"
    write(
        Showers(
            showers.geometry,
            showers.cells,
            Incident([22] * 10 + [211] * 20, showers.energy),
            provenance={"seeds": [1, 2]},
        ),
        file,
    )
    code, out, _ = run("info", file)
    assert code == 0
    for part in ("mine[1].h5", "30 showers", "gamma", "pi+", "calogan", "3 x 96", "504", "[1, 2]", "MB"):
        assert part in out
    some = showers[10:]
    response = (some.cells.sum(axis=1, dtype=float) / some.energy).mean()
    assert f"{response:.4f}" in out


def test_info_on_a_published_file(run, make_showers, tmp_path):
    ENTRY.write(make_showers(3), tmp_path / "published.h5")
    forget(tmp_path / "published.h5")
    code, out, _ = run("info", tmp_path / "published.h5")
    assert code == 0
    assert "layout 'calogan'" in out
    assert "not stated" in out


def test_info_on_no_showers(run, make_showers, tmp_path):
    write(make_showers(0), tmp_path / "empty.h5")
    code, out, _ = run("info", tmp_path / "empty.h5")
    assert code == 0
    assert "0 showers" in out


def test_rebin(run, make_showers, calogan_fine, calogan, tmp_path):
    fine = make_showers(5, calogan_fine)
    write(fine, tmp_path / "fine.h5")
    code, out, _ = run("rebin", tmp_path / "fine.h5", "calogan", "-o", tmp_path / "coarse.h5")
    assert code == 0
    assert "5 showers on calogan" in out
    assert np.array_equal(read(tmp_path / "coarse.h5").cells, fine.rebin(calogan).cells)
    assert read(tmp_path / "coarse.h5").provenance == fine.rebin(calogan).provenance


def test_rebin_cuts_a_core_out_and_says_what_it_leaves_out(run, make_showers, tmp_path):
    whole = make_showers(5, Calorimeter.load("ild_ecal"), occupancy=0.01)
    write(whole, tmp_path / "whole.h5")
    code, out, _ = run("rebin", tmp_path / "whole.h5", "ild_ecal_core", "--crop", "-o", tmp_path / "core.h5")
    core, expected = read(tmp_path / "core.h5"), whole.crop(Calorimeter.load("ild_ecal_core"))
    energy = core.columns["outside"].sum() / whole.cells.sum(dtype=float)
    filled = 1 - (core.cells > 0).sum() / (whole.cells > 0).sum()
    said = f"24,000 of 27,000 cells, with {energy:.2%} of the energy and {filled:.1%} of all cells that hold"
    assert code == 0
    assert said in " ".join(out.split())
    assert np.array_equal(core.cells, expected.cells)
    assert np.array_equal(core.energy, whole.energy)
    assert core.provenance == {**whole.provenance, "cropped_from": "ild_ecal"}


def test_rebin_empties_cells_below_a_threshold(run, make_showers, calogan_fine, calogan, tmp_path):
    fine = make_showers(5, calogan_fine)
    write(fine, tmp_path / "fine.h5")
    whole = fine.rebin(calogan)
    # That of a summed cell, so that one cell is exactly at it.
    threshold = float(np.median(whole.cells[whole.cells > 0]))
    code, _, _ = run(
        "rebin", tmp_path / "fine.h5", "calogan", "--threshold", threshold, "-o", tmp_path / "cut.h5"
    )
    cut = read(tmp_path / "cut.h5")
    assert code == 0
    assert np.array_equal(cut.cells, whole.cells * (whole.cells >= threshold))
    assert cut.provenance == {**whole.provenance, "threshold_MeV": threshold}


@pytest.mark.parametrize("layout", ["calogan", "calochallenge", "showerdata"])
def test_convert_there_and_back(run, make_showers, tmp_path, layout):
    showers = make_showers(5)
    write(showers, tmp_path / "a.h5")
    code, out, _ = run("convert", tmp_path / "a.h5", tmp_path / "b.h5", "--format", layout)
    assert code == 0
    assert "b.h5: 5 showers in calogan" in out
    assert recognise(tmp_path / "b.h5") == layout
    assert run("convert", tmp_path / "b.h5", tmp_path / "c.h5")[0] == 0
    back = read(tmp_path / "c.h5")
    assert np.array_equal(back.cells, showers.cells)
    for name in FIELDS:
        assert np.array_equal(getattr(back.incident, name), getattr(showers.incident, name))
    assert back.columns.keys() == showers.columns.keys()
    assert back.provenance == showers.provenance


def test_convert_from_one_foreign_layout_to_another(run, make_showers, tmp_path):
    write(make_showers(5), tmp_path / "a.h5")
    for source, target, layout in [("a", "b", "calogan"), ("b", "c", "showerdata"), ("c", "d", "calogan")]:
        files = (tmp_path / f"{source}.h5", tmp_path / f"{target}.h5")
        assert run("convert", *files, "--format", layout)[0] == 0
    assert np.array_equal(ENTRY.read(tmp_path / "d.h5").cells, make_showers(5).cells)


def test_convert_is_told_what_a_file_does_not_say(run, make_showers, tmp_path):
    ENTRY.write(make_showers(3), tmp_path / "published.h5")
    forget(tmp_path / "published.h5")
    assert run("convert", tmp_path / "published.h5", tmp_path / "a.h5", "--particle", "pi+")[0] == 0
    assert set(read(tmp_path / "a.h5").pdg) == {211}
    (tmp_path / "binning.xml").write_text(
        '<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,5,10" n_bin_alpha="4"/></Bin></Bins>'
    )
    write_datasets(tmp_path / "voxels.h5", incident_energies=np.ones((2, 1)), showers=np.ones((2, 8)))
    arguments = ("--particle", "gamma", "--geometry", tmp_path / "binning.xml")
    assert run("convert", tmp_path / "voxels.h5", tmp_path / "b.h5", *arguments)[0] == 0
    assert read(tmp_path / "b.h5").geometry.shapes == ((4, 2),)


def test_convert_no_showers(run, make_showers, tmp_path):
    write(make_showers(0), tmp_path / "a.h5")
    assert run("convert", tmp_path / "a.h5", tmp_path / "b.h5", "--format", "calochallenge")[0] == 0
    assert run("convert", tmp_path / "b.h5", tmp_path / "c.h5")[0] == 0
    assert len(read(tmp_path / "c.h5")) == 0


def test_mistakes_end_in_a_sentence(run, make_showers, calogan_fine, tmp_path):
    write(make_showers(2), tmp_path / "ours.h5")
    ENTRY.write(make_showers(2), tmp_path / "published.h5")
    forget(tmp_path / "published.h5")
    write(make_showers(2, calogan_fine), tmp_path / "fine.h5")
    write_datasets(tmp_path / "voxels.h5", incident_energies=np.ones((2, 1)), showers=np.ones((2, 368)))
    (tmp_path / "text.h5").write_text("energy")
    before, out = sorted(tmp_path.iterdir()), tmp_path / "out.h5"
    for arguments, sentence in [
        (("info", tmp_path / "none.h5"), "does not exist"),
        (("info", tmp_path / "text.h5"), "not an HDF5 file"),
        (("rebin", tmp_path / "ours.h5", "calogan_fine", "-o", out), "not an edge of calogan"),
        (("rebin", tmp_path / "fine.h5", "ild_ecal_core", "--crop", "-o", out), "not made of the same slabs"),
        (("rebin", tmp_path / "fine.h5", "calogan", "--threshold", "0", "-o", out), "a number above 0"),
        (("rebin", tmp_path / "ours.h5", "calogn", "-o", out), "Did you mean 'calogan'"),
        (("rebin", tmp_path / "ours.h5", "calogan", "-o", tmp_path / "none" / "out.h5"), "no such folder"),
        (("convert", tmp_path / "published.h5", out), "--particle e+"),
        (("convert", tmp_path / "published.h5", out, "--particle", "x"), "not a known particle"),
        (("convert", tmp_path / "ours.h5", out, "--format", "calo"), "not among the formats"),
        (("convert", tmp_path / "text.h5", out), "not an HDF5 file"),
        (("convert", tmp_path / "ours.h5", out, "--particle", "pi-"), "says that its particle is e+"),
        (
            ("convert", tmp_path / "ours.h5", out, "--geometry", "calogan_fine"),
            "says that its showers",
        ),
        (("convert", tmp_path / "voxels.h5", out), "OUT --geometry"),
        (("convert", tmp_path / "voxels.h5", out, "--geometry", "calogan"), "368 voxels, not 504"),
        (("convert", tmp_path / "fine.h5", out, "--format", "calogan"), "caloforge rebin"),
        (("convert", tmp_path / "ours.h5", out, "--format", "par04"), "same rings and sectors"),
    ]:
        code, _, messages = run(*arguments)
        assert code == 2, arguments
        assert sentence in messages
        assert "Traceback" not in messages
        assert sorted(tmp_path.iterdir()) == before


def test_rebin_does_not_replace_what_it_reads(run, make_showers, calogan_fine, tmp_path):
    file = tmp_path / "fine.h5"
    write(make_showers(2, calogan_fine, occupancy=0.01), file)
    before = file.read_bytes()
    code, _, err = run("rebin", file, "calogan", "-o", file)
    assert code == 2
    assert "name another output" in err
    assert file.read_bytes() == before


def test_what_exists_is_replaced_only_with_overwrite(run, make_showers, calogan_fine, tmp_path):
    file, out = tmp_path / "fine.h5", tmp_path / "out.pdf"
    write(make_showers(2, calogan_fine, occupancy=0.01), file)
    before = file.read_bytes()
    for words in (("rebin", file, "calogan", "-o"), ("convert", file), ("show", file, "-o")):
        out.write_text("mine")
        code, _, err = run(*words, out)
        assert (code, "out.pdf exists: name another output, or add --overwrite" in err) == (2, True)
        assert out.read_text() == "mine"
        assert run(*words, out, "--overwrite")[0] == 0
        assert out.read_bytes() != b"mine"
    for words in (("rebin", file, "calogan", "-o"), ("convert", file)):
        code, _, err = run(*words, file, "--overwrite")
        assert (code, "is what this command reads" in err) == (2, True)
    assert file.read_bytes() == before
