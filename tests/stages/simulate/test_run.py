"""Geant4 itself: few showers of 1 GeV, which take about 10 ms each, and half a second to begin."""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from caloforge.errors import InputError, SimulationError
from caloforge.formats.native import read
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import parse_direction, parse_position
from caloforge.incident.spectrum import Spectrum
from caloforge.showers import Showers
from caloforge.stages.simulate.campaign.job import DEFAULT_COMMANDS, Folder
from caloforge.stages.simulate.geant4 import data
from caloforge.stages.simulate.run import simulate

pytestmark = pytest.mark.usefixtures("geant4")

FINE = Calorimeter.load("calogan_fine")
GRID = {"bins": 96, "range": [-240.0, 240.0]}
SLICED = Calorimeter.from_dict(
    FINE.to_dict() | {"layers": [{"z": [0.0, 12.0], "eta": GRID, "phi": GRID, "repeat": 40}]}
)
ABOUT_1_GEV = Spectrum.uniform(500, 1500)
POSITRON, MUON, GAMMA, PION, PROTON = -11, 13, 22, 211, 2212
TWO_ELECTRON_MASSES, CHARGED_PION_MASS = 1.022, 139.570  # MeV


def showers(out: Path, n: int, pdg: int = POSITRON, *, workers: int = 1, physics: str = "em") -> Showers:
    simulate(FINE, pdg, ABOUT_1_GEV, n, out, physics=physics, seed=5, workers=workers)
    return read(out)


@pytest.fixture(scope="module")
def positrons(geant4: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 30 showers that nothing disturbed; several tests compare theirs with it."""
    out = tmp_path_factory.mktemp("usual") / "showers.h5"
    showers(out, 30)
    return out


def copied(file: Path, folder: Path) -> tuple[Path, Path]:
    """Copy a file and its shards into a folder; return where they are."""
    shards = shutil.copytree(f"{file}.shards", folder / f"{file.name}.shards")
    return Path(shutil.copy(file, folder)), Path(shards)


@pytest.mark.parametrize(
    ("pdg", "physics", "rest"),
    [
        (POSITRON, "em", TWO_ELECTRON_MASSES),
        (GAMMA, "FTFP_BERT", 0.0),
        (PION, "FTFP_BERT", CHARGED_PION_MASS),
        (PROTON, "FTFP_BERT", 0.0),
    ],
)
def test_energy_is_accounted_for(tmp_path: Path, pdg: int, physics: str, rest: float) -> None:
    made = showers(tmp_path / "showers.h5", 5, pdg, physics=physics)
    parts = [made.columns[name] for name in ("absorber", "active", "leaked", "invisible")]
    np.testing.assert_allclose(sum(parts), made.energy + rest, rtol=1e-6)
    np.testing.assert_allclose(made.cells.sum(1, dtype=float), parts[0] + parts[1], rtol=1e-6)
    assert all((part >= 0).all() for part in parts[:3])
    assert (made.pdg == pdg).all()
    assert len(np.unique(made.energy)) == 5
    assert set(made.columns) == {"absorber", "active", "leaked", "invisible"}


def test_positrons_shower_where_they_should(positrons: Path) -> None:
    made = read(positrons)
    response = made.cells.sum(1) / made.energy
    assert 0.95 < response.mean() < 1.01
    assert made.columns["active"].sum() / made.energy.sum() == pytest.approx(0.19, abs=0.03)
    first = FINE.split(made.cells)[0].sum(axis=0)  # (phi, eta)
    for axis, edges in ((1, FINE.layers[0].phi.edges), (0, FINE.layers[0].eta.edges)):
        centre = np.average((edges[1:] + edges[:-1]) / 2, weights=first.sum(axis=axis))
        assert abs(centre) < 5


@pytest.mark.parametrize(("theta", "phi"), [("25", "-90"), ("25", "0"), ("0", "0")])
def test_muons_follow_the_direction_from_the_position(tmp_path: Path, theta: str, phi: str) -> None:
    out = tmp_path / "showers.h5"
    aim = parse_direction(theta, phi)
    place = parse_position("-62.5", "40:50")  # the middle of a cell, and any place
    simulate(SLICED, MUON, Spectrum.listed(1e4), 6, out, physics="em", direction=aim, position=place)
    made = read(out)
    places = made.incident.position.T
    np.testing.assert_array_equal(places[0], np.full(6, -62.5, np.float32))
    assert (places[1] >= 40).all()
    assert np.ptp(places[1]) > 0
    np.testing.assert_allclose(made.incident.direction, [[aim[0].low, aim[1].low]] * 6, rtol=1e-6)
    # A straight line through each layer's cell with most energy, from where the muon met the front face.
    depths = [np.mean(layer.z) for layer in SLICED.layers]
    way = []
    for layer, image in zip(SLICED.layers, SLICED.split(made.cells), strict=True):
        peaks = image.reshape(len(made), -1).argmax(1)
        passed = np.stack([centres.ravel()[peaks] for centres in layer.centres])
        way.append(np.median(passed - places, axis=1))
    slopes, begins = np.polyfit(depths, way, 1)
    across = math.tan(aim[0].low) * np.array([math.cos(aim[1].low), math.sin(aim[1].low)])
    np.testing.assert_allclose(begins, 0, atol=2.5)  # mm, half a cell
    np.testing.assert_allclose(slopes, across, atol=0.02)


def test_a_position_beside_the_calorimeter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not on the front face of calogan_fine"):
        simulate(FINE, GAMMA, ABOUT_1_GEV, 1, tmp_path / "out.h5", position=parse_position("250", "0"))


def test_cells_hold_what_is_visible(tmp_path: Path, positrons: Path) -> None:
    active = Calorimeter.from_dict(FINE.to_dict() | {"visible": ["active"]})
    simulate(active, POSITRON, ABOUT_1_GEV, 3, tmp_path / "active.h5", physics="em", seed=5)
    both, seen = read(positrons)[:3], read(tmp_path / "active.h5")
    np.testing.assert_array_equal(seen.columns["active"], both.columns["active"])
    np.testing.assert_allclose(seen.cells.sum(1, dtype=float), both.columns["active"], rtol=1e-6)


def test_showers_do_not_depend_on_workers_or_on_what_was_before(tmp_path: Path) -> None:
    two, grown = tmp_path / "two.h5", tmp_path / "grown.h5"
    showers(two, 5, PION, physics="FTFP_BERT", workers=2)  # 0 to 2, 3 to 4
    for n in (2, 5):
        showers(grown, n, PION, physics="FTFP_BERT")
    assert two.read_bytes() == grown.read_bytes()


def test_the_time_of_each_new_shower_is_told_but_for_the_first_of_a_worker(tmp_path: Path) -> None:
    out = tmp_path / "showers.h5"
    simulate(FINE, POSITRON, Spectrum.listed([100, 3000]), 2, out, physics="em", seed=5)
    done = simulate(FINE, POSITRON, Spectrum.listed([100, 3000]), 8, out, physics="em", seed=5)
    times = done.seconds_per_shower
    assert np.isnan(times).tolist() == [True] + [False] * 5
    assert (times[1::2] > 5 * times[2::2].mean()).all()  # those of 3 GeV against those of 0.1 GeV
    assert done.simulated == 6
    typical = 1e3 * times[1:].sum() / (3 * 3.0 + 2 * 0.1)  # ms for showers number 3 to 7
    assert done.ms_per_GeV == pytest.approx(typical)


def test_the_cost_is_not_that_of_the_preparations(tmp_path: Path) -> None:
    out = tmp_path / "showers.h5"
    for _ in ("made", "there already"):
        done = simulate(FINE, POSITRON, Spectrum.listed([3000]), 1, out, physics="em", seed=5)
        assert math.isnan(done.ms_per_GeV)


def test_commands_reach_geant4_and_the_provenance(tmp_path: Path, positrons: Path) -> None:
    out = tmp_path / "showers.h5"
    simulate(FINE, POSITRON, ABOUT_1_GEV, 2, out, physics="em", seed=5, commands=())
    usual, other = read(positrons)[:2], read(out)
    assert usual.provenance["commands"] == list(DEFAULT_COMMANDS)
    assert other.provenance["commands"] == []
    assert not np.array_equal(usual.cells, other.cells)


def test_the_seed_and_the_number_make_a_shower(tmp_path: Path, positrons: Path) -> None:
    energy = read(positrons).energy[0]  # of shower 0 with seed 5
    out = tmp_path / "showers.h5"
    simulate(FINE, POSITRON, Spectrum.listed(energy), 2, out, physics="em", seed=6)
    rows = [read(positrons).cells[0], *read(out).cells]
    assert not any(np.array_equal(a, b) for i, a in enumerate(rows) for b in rows[:i])


def test_the_range_cut_reaches_geant4(tmp_path: Path, positrons: Path) -> None:
    out = tmp_path / "showers.h5"
    simulate(FINE, POSITRON, ABOUT_1_GEV, 2, out, physics="em", seed=5, range_cut=7.0)
    fine, coarse = read(positrons)[:2], read(out)
    assert np.count_nonzero(coarse.cells) < np.count_nonzero(fine.cells)


def test_a_damaged_shard_is_made_again(
    tmp_path: Path, positrons: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from caloforge.cli.simulate import _say

    out, shards = copied(positrons, tmp_path)
    out.unlink()
    (shard,) = shards.glob("*.h5")
    shard.write_bytes(b"")
    done = simulate(FINE, POSITRON, ABOUT_1_GEV, 30, out, physics="em", seed=5)
    assert (done.simulated, done.damaged) == (30, (shards / f"{shard.name}.damaged",))
    assert out.read_bytes() == positrons.read_bytes()
    _say(done)
    assert "1 damaged shards were simulated again" in capsys.readouterr().out


def test_shards_with_the_same_showers_are_never_joined(tmp_path: Path, positrons: Path) -> None:
    out, shards = copied(positrons, tmp_path)
    out.unlink()
    shutil.copy(positrons, shards / "showers-00000010-00000040.h5")
    with pytest.raises(SimulationError, match="both have shower 10"):
        simulate(FINE, POSITRON, ABOUT_1_GEV, 40, out, physics="em", seed=5)
    assert not out.exists()


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder: give the name of a file"):
        simulate(FINE, POSITRON, ABOUT_1_GEV, 1, tmp_path, physics="em")


def test_finished_shards_stay_untouched_when_a_file_grows(tmp_path: Path, positrons: Path) -> None:
    out, shards = copied(positrons, tmp_path)
    (shard,) = shards.glob("*.h5")
    before = shard.stat().st_mtime_ns, shard.stat().st_ino
    done = simulate(FINE, POSITRON, ABOUT_1_GEV, 31, out, physics="em", seed=5)
    assert (done.showers, done.simulated, done.damaged) == (31, 1, ())
    assert (shard.stat().st_mtime_ns, shard.stat().st_ino) == before
    out.unlink()
    done = simulate(FINE, POSITRON, ABOUT_1_GEV, 31, out, physics="em", seed=5)
    assert (done.showers, done.simulated, len(read(out))) == (31, 0, 31)


def workers_of(folder: Path) -> list[int]:
    """Return the process ids of the workers of a shards folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if b"caloforge.stages.simulate.geant4.worker" in command and str(folder).encode() in command:
            found.append(int(entry.name))
    return found


def test_a_killed_worker_is_replaced_and_nothing_is_lost(tmp_path: Path, positrons: Path) -> None:
    out, killed = tmp_path / "showers.h5", []

    def kill_once(done: float, total: float, note: str = "") -> None:
        if done >= 3 and not killed:
            killed.extend(workers_of(tmp_path / "showers.h5.shards"))
            os.kill(killed[0], signal.SIGKILL)

    done = simulate(FINE, POSITRON, ABOUT_1_GEV, 30, out, physics="em", seed=5, progress=kill_once)
    assert done.crashes == 1
    assert out.read_bytes() == positrons.read_bytes()


DIES_IN_SHOWER_4 = """
import os, signal
write = os.write
def write_and_die(pipe, report):
    done = write(pipe, report)
    if report == b'{"begins": 4}\\n':
        os.kill(os.getpid(), signal.SIGKILL)
    return done
os.write = write_and_die
"""


def test_a_shower_in_which_geant4_always_crashes_is_skipped_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, positrons: Path
) -> None:
    out, told = tmp_path / "showers.h5", []
    (tmp_path / "sitecustomize.py").write_text(DIES_IN_SHOWER_4)
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", str(tmp_path))
        watched = {"progress": lambda done, total, note="": told.append(done)}
        done = simulate(FINE, POSITRON, ABOUT_1_GEV, 6, out, physics="em", seed=5, **watched)
    assert (done.showers, done.simulated, done.skipped, done.crashes) == (5, 5, (4,), 3)
    assert told[-1] == 6
    made, quiet = read(out), read(positrons)
    np.testing.assert_array_equal(made.cells, quiet.cells[[0, 1, 2, 3, 5]])
    assert made.provenance == {**quiet.provenance, "skipped": [4]}
    with pytest.raises(InputError, match="already has 6 showers, more than the 5 asked for"):
        showers(out, 5)
    grown = showers(out, 7)  # also where nothing kills it any more
    np.testing.assert_array_equal(grown.cells, quiet.cells[[0, 1, 2, 3, 5, 6]])


PARENT = """
import sys
from caloforge import Calorimeter, simulate
from caloforge.incident.spectrum import Spectrum
simulate(Calorimeter.load("calogan_fine"), -11, Spectrum.uniform(100, 200), 160, sys.argv[1], seed=5,
         physics="em", workers=2, progress=lambda done, total, note: print(done, flush=True))
"""


def test_a_killed_parent_leaves_no_orphans_and_the_same_call_goes_on(tmp_path: Path) -> None:
    out, folder = tmp_path / "showers.h5", tmp_path / "showers.h5.shards"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(out)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        while int(parent.stdout.readline()) < 130:
            pass
        parent.kill()
    deadline = time.monotonic() + 10
    while workers_of(folder):
        assert time.monotonic() < deadline, "workers live on without their parent"
        time.sleep(0.05)
    assert not out.exists()
    kept = sum(stop - start for start, stop in Folder(folder).finished())
    faint = Spectrum.uniform(100, 200)
    done = simulate(FINE, POSITRON, faint, 160, out, physics="em", seed=5)
    assert done.simulated == 160 - kept < 160
    simulate(FINE, POSITRON, faint, 160, tmp_path / "quiet.h5", physics="em", seed=5)
    assert out.read_bytes() == (tmp_path / "quiet.h5").read_bytes()


def test_a_file_is_never_overwritten_by_something_else(tmp_path: Path, positrons: Path) -> None:
    out, shards = copied(positrons, tmp_path)
    content = out.read_bytes()
    with pytest.raises(InputError, match=r"already has 30 showers, more than the 29 asked for"):
        showers(out, 29)
    with pytest.raises(SimulationError, match="seed 5, now 6"):
        simulate(FINE, POSITRON, ABOUT_1_GEV, 30, out, physics="em", seed=6)
    shutil.rmtree(shards)
    with pytest.raises(SimulationError, match=r"showers.h5 was made by another job \(seed 5, now 6; other"):
        simulate(FINE, POSITRON, ABOUT_1_GEV, 31, out, physics="em", seed=6)
    assert out.read_bytes() == content
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("n", [30, 33])
def test_a_file_whose_shards_are_gone_grows_as_if_they_were_there(
    tmp_path: Path, positrons: Path, n: int
) -> None:
    (tmp_path / "whole").mkdir()
    whole, _ = copied(positrons, tmp_path / "whole")
    alone = Path(shutil.copy(positrons, tmp_path))
    for out in (whole, alone):
        done = simulate(FINE, POSITRON, ABOUT_1_GEV, n, out, physics="em", seed=5)
        assert (done.showers, done.simulated) == (n, n - 30)
    assert alone.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"physics": "FTFP_BERTT"},
            r"'FTFP_BERTT' is not among the physics lists\. Did you mean 'FTFP_BERT'\?",
        ),
        ({"n": 10.0}, r"number of showers is 10.0 \(float\)"),
        ({"seed": None}, "seed is None"),
        ({"particle": "positorn"}, "is not a known particle"),
        ({"position": 3}, "give two coordinates"),
        ({"n": 0}, "0 showers can't be simulated"),
        ({"workers": 0}, "0 workers are not possible: give 1 to"),
        ({"seed": -1}, "The seed -1 is not possible"),
        ({"seed": 1 << 64}, "is not possible"),
        ({"range_cut": float("nan")}, "A range cut of nan mm is not possible"),
        ({"commands": ["/process/em/nonsense 1"]}, "Geant4 refuses the command '/process/em/nonsense 1'"),
        ({"commands": ["/process/em/fluo 7 7"]}, "Geant4 refuses the command '/process/em/fluo 7 7'"),
    ],
)
def test_wrong_values_end_in_one_sentence_and_leave_nothing(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    values: dict[str, object] = {"particle": POSITRON, "n": 1, "physics": "em"} | change
    with pytest.raises(InputError, match=sentence):
        simulate(FINE, energy=ABOUT_1_GEV, out=tmp_path / "out.h5", **values)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_material_that_geant4_does_not_have_is_named(tmp_path: Path) -> None:
    content = FINE.to_dict()
    content["stack"][0]["slabs"][0]["material"] = "G4_Unobtainium"
    with pytest.raises(InputError, match="Geant4 has no material 'G4_Unobtainium'"):
        simulate(Calorimeter.from_dict(content), POSITRON, ABOUT_1_GEV, 1, tmp_path / "out.h5")


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    from caloforge.cli import app

    out = tmp_path / "showers.h5"
    arguments = [
        "simulate",
        "calogan_fine",
        "--particle",
        "gamma",
        "--energy",
        "1",
        "-n",
        "3",
        "-o",
        str(out),
    ]
    arguments += ["--direction", "10", "0:90", "--position", "-5:5", "-3", "--range-cut", "1.5"]
    ended = CliRunner().invoke(app, [*arguments, "--physics", "em", "--seed", "5"])
    assert ended.exit_code == 0
    assert "3 showers, 3 of them new" in re.sub(r"\s+", " ", ended.output)
    made = read(out)
    assert made.pdg.tolist() == [GAMMA] * 3
    assert made.provenance["physics"] == "em"
    assert made.provenance["direction_deg"] == "10 0:90"
    assert made.provenance["position_mm"] == "-5:5 -3"
    assert made.provenance["range_cut_mm"] == 1.5
    assert made.provenance["geant4"].startswith("geant4-1")


def test_missing_data_end_in_a_sentence_not_in_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in data.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GEANT4_DATA_DIR", str(tmp_path))
    with pytest.raises(SimulationError, match="Geant4 data are missing for em: G4EMLOW"):
        simulate(FINE, POSITRON, ABOUT_1_GEV, 1, tmp_path / "out.h5", physics="em")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_ends_in_a_sentence_and_the_same_call_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "showers.h5"
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (15000, 15000)); "
        "from caloforge.cli import main; main()"
    )
    arguments = ["simulate", "calogan_fine", "--particle", "e+", "--energy", "1", "-n", "12", "-o", str(out)]
    arguments += ["--physics", "em"]
    ended = subprocess.run([sys.executable, "-c", limited, *arguments], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not out.exists()
    simulate(FINE, POSITRON, Spectrum.listed(1000.0), 12, out, physics="em")
    assert len(read(out)) == 12


def test_names_and_text_do_what_objects_do(tmp_path: Path) -> None:
    simulate(
        "calogan_fine", "e+", "0.5:1.5", 2, str(tmp_path / "text.h5"), physics="em", direction=(0.0, 0.0)
    )
    simulate(FINE, POSITRON, ABOUT_1_GEV, 2, tmp_path / "objects.h5", physics="em")
    assert (tmp_path / "text.h5").read_bytes() == (tmp_path / "objects.h5").read_bytes()
