"""The commands info, rebin and convert, run as a user runs them."""

import h5py
import numpy as np

from caloforge.formats.calogan import ENTRY
from caloforge.showers import Showers, read


def test_info_says_what_is_in_a_file(run, make_showers, tmp_path):
    showers = make_showers(30)
    file = tmp_path / "mine[1].h5"
    Showers(
        showers.geometry, showers.cells, showers.energy, [22] * 10 + [211] * 20, provenance={"seeds": [1, 2]}
    ).save(file)
    code, out, _ = run("info", file)
    assert code == 0
    for part in ("mine[1].h5", "30 showers", "gamma", "pi+", "calogan", "3 x 96", "504", "[1, 2]", "MB"):
        assert part in out
    some = showers[10:]
    response = (some.cells.sum(axis=1, dtype=float) / some.energy).mean()
    assert f"{response:.4f}" in out


def test_info_on_a_published_file(run, make_showers, tmp_path):
    ENTRY.write(make_showers(3), tmp_path / "published.h5")
    with h5py.File(tmp_path / "published.h5", "r+") as file:
        del file.attrs["particle"]
    code, out, _ = run("info", tmp_path / "published.h5")
    assert code == 0
    assert "layout 'calogan'" in out
    assert "not stated" in out


def test_info_on_no_showers(run, make_showers, tmp_path):
    make_showers(0).save(tmp_path / "empty.h5")
    code, out, _ = run("info", tmp_path / "empty.h5")
    assert code == 0
    assert "0 showers" in out


def test_rebin(run, make_showers, calogan_fine, calogan, tmp_path):
    fine = make_showers(5, calogan_fine)
    fine.save(tmp_path / "fine.h5")
    code, out, _ = run("rebin", tmp_path / "fine.h5", "calogan", "-o", tmp_path / "coarse.h5")
    assert code == 0
    assert "5 showers on calogan" in out
    assert np.array_equal(read(tmp_path / "coarse.h5").cells, fine.rebin(calogan).cells)
    assert read(tmp_path / "coarse.h5").provenance == fine.rebin(calogan).provenance


def test_convert_there_and_back(run, make_showers, tmp_path):
    showers = make_showers(5)
    showers.save(tmp_path / "a.h5")
    assert run("convert", tmp_path / "a.h5", "-o", tmp_path / "b.h5", "--format", "calogan")[0] == 0
    assert ENTRY.recognises(tmp_path / "b.h5")
    assert run("convert", tmp_path / "b.h5", "-o", tmp_path / "c.h5", "--format", "calogan")[0] == 0
    back = read(tmp_path / "c.h5")
    assert np.array_equal(back.cells, showers.cells)
    assert np.array_equal(back.pdg, showers.pdg)
    assert (
        run(
            "convert", tmp_path / "b.h5", "-o", tmp_path / "d.h5", "--format", "calogan", "--particle", "pi+"
        )[0]
        == 0
    )
    assert set(read(tmp_path / "d.h5").pdg) == {211}


def test_mistakes_end_in_a_sentence(run, make_showers, tmp_path):
    make_showers(2).save(tmp_path / "ours.h5")
    ENTRY.write(make_showers(2), tmp_path / "published.h5")
    with h5py.File(tmp_path / "published.h5", "r+") as file:
        del file.attrs["particle"]
    (tmp_path / "text.h5").write_text("energy")
    before, out = sorted(tmp_path.iterdir()), tmp_path / "out.h5"
    for arguments, sentence in [
        (("info", tmp_path / "none.h5"), "does not exist"),
        (("info", tmp_path / "text.h5"), "not an HDF5 file"),
        (("rebin", tmp_path / "ours.h5", "calogan_fine", "-o", out), "not an edge of calogan"),
        (("rebin", tmp_path / "ours.h5", "calogn", "-o", out), "Did you mean 'calogan'"),
        (("rebin", tmp_path / "published.h5", "calogan", "-o", out), "caloforge convert"),
        (("rebin", tmp_path / "ours.h5", "calogan", "-o", tmp_path / "none" / "out.h5"), "no such folder"),
        (("convert", tmp_path / "published.h5", "-o", out, "--format", "calogan"), "--particle e+"),
        (
            ("convert", tmp_path / "published.h5", "-o", out, "--format", "calogan", "--particle", "x"),
            "no known particle",
        ),
        (("convert", tmp_path / "ours.h5", "-o", out, "--format", "calo"), "not among the formats"),
        (("convert", tmp_path / "text.h5", "-o", out, "--format", "calogan"), "not an HDF5 file"),
    ]:
        code, _, messages = run(*arguments)
        assert code == 2, arguments
        assert sentence in messages
        assert "Traceback" not in messages
        assert sorted(tmp_path.iterdir()) == before
