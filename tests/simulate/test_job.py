import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.beam import Beam, parse_direction, parse_position
from caloforge.errors import SimulationError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.simulate.job import DEFAULT_COMMANDS, Folder, Job, Shard
from caloforge.spectrum import Spectrum

GEOMETRY = Calorimeter.load("calogan")
BEAM = Beam(-11, Spectrum.parse("1:100"))
JOB = Job(
    GEOMETRY, BEAM, "em", 7, 0.7, DEFAULT_COMMANDS, False, {"G4LEDATA": "G4EMLOW8.8"}, "0.1.3"
)  # fmt: skip


def put(folder: Folder, *shards: tuple[int, int]) -> None:
    """Write shards in which the first cell of each shower holds its number."""
    for start, stop in shards:
        cells = np.zeros((stop - start, GEOMETRY.n_cells))
        cells[:, 0] = np.arange(start, stop)
        Showers(GEOMETRY, cells, 1000.0, -11).save(folder.file(Shard(start, stop)))


def read(folder: Folder, start: int, stop: int) -> list[int]:
    """Return the numbers of the showers that a folder gives for start to stop."""
    showers = folder.read(start, stop)
    assert showers is not None
    return [int(number) for number in showers.cells[:, 0]]


@pytest.mark.parametrize(
    "beam",
    [
        Beam(22, Spectrum.parse("log:1:100")),
        Beam(211, Spectrum.parse("10,50,100"), parse_direction("30", "0:360"), parse_position("-5:5", "1")),
    ],
)
def test_a_job_survives_json(beam: Beam) -> None:
    job = replace(JOB, beam=beam)
    assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job


@given(
    n=st.integers(1, 60),
    size=st.integers(1, 20),
    bounds=st.sets(st.integers(0, 60), max_size=8),
    hopeless=st.sets(st.integers(0, 60), max_size=4),
)
def test_finished_skipped_and_missing_make_every_shower_once(
    n: int, size: int, bounds: set[int], hopeless: set[int]
) -> None:
    class Some(Folder):
        def finished(self) -> list[Shard]:
            edges = sorted(bounds)
            return [Shard(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]

        def skipped(self) -> dict[int, str]:
            there = {number for shard in self.finished() for number in range(*shard)}
            return dict.fromkeys(sorted(hopeless - there), "it crashed")

    folder = Some(Path("nowhere"))
    missing = folder.missing(n, size)
    made = [number for shard in [*folder.finished(), *missing] for number in range(*shard)]
    assert sorted(number for number in [*made, *folder.skipped()] if number < n) == list(range(n))
    assert all(0 < shard.stop - shard.start <= size and shard.stop <= n for shard in missing)


def test_showers_are_read_across_shards(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    put(folder, (0, 3), (3, 4), (4, 9))
    assert folder.finished() == [(0, 3), (3, 4), (4, 9)]
    assert read(folder, 2, 6) == [2, 3, 4, 5]


def test_skipped_showers_stay_skipped_and_are_left_out(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.claimed(JOB):
        put(folder, (0, 3), (4, 6))
        folder.skip(12, "it crashed again")
        folder.skip(3, "it crashed")
    with folder.claimed(JOB):
        assert folder.skipped() == {3: "it crashed", 12: "it crashed again"}
        assert folder.missing(20, 5) == [(6, 11), (11, 12), (13, 18), (18, 20)]
        assert read(folder, 2, 6) == [2, 4, 5]
        assert folder.read(3, 4) is None


def test_what_could_not_be_made_before_anything_else_is_tried_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.claimed(JOB):
        folder.skip(0, "it crashed")
    with folder.claimed(JOB):
        assert folder.skipped() == {}


def test_a_folder_is_taken_by_one_process_at_a_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "shards")
    with (
        folder.claimed(JOB),
        pytest.raises(SimulationError, match="Another process simulates into"),
        Folder(folder.path).claimed(JOB),
    ):
        pass
    with folder.claimed(JOB):
        assert folder.job() == JOB


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"beam": replace(BEAM, pdg=211)}, "particle -11, now 211"),
        ({"physics": "FTFP_BERT", "seed": 8}, "physics em, now FTFP_BERT; seed 7, now 8"),
        ({"beam": replace(BEAM, spectrum=Spectrum.parse("50"))}, "another energy"),
        ({"beam": replace(BEAM, spectrum=Spectrum.parse("log:1:100"))}, "another energy"),
        ({"beam": replace(BEAM, direction=parse_direction("30", "0"))}, "another direction"),
        ({"beam": replace(BEAM, position=parse_position("1", "0"))}, "another position"),
        ({"range_cut": 1.0}, "range cut mm 0.7, now 1.0"),
        ({"commands": ()}, "another commands"),
        ({"geometry": Calorimeter.load("calogan_fine")}, "another geometry"),
        ({"data": {"G4LEDATA": "G4EMLOW8.9"}}, "another geant4 data"),
    ],
)
def test_shards_of_another_job_are_refused(tmp_path: Path, change: dict[str, object], named: str) -> None:
    folder = Folder(tmp_path)
    with folder.claimed(JOB):
        put(folder, (0, 1))
    other = replace(JOB, **change)  # type: ignore[arg-type]
    with pytest.raises(SimulationError, match=r"made by another job \(" + named), folder.claimed(other):
        pass
    with folder.claimed(JOB):
        pass


def test_shards_of_another_version_are_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.claimed(JOB):
        put(folder, (0, 1))
    old = json.loads((tmp_path / "job.json").read_text())
    del old["version"]
    (tmp_path / "job.json").write_text(json.dumps(old))
    with pytest.raises(SimulationError, match="by another version of caloforge"), folder.claimed(JOB):
        pass


def test_a_job_without_showers_binds_nobody(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.claimed(JOB):
        pass
    other = replace(JOB, seed=8)
    with folder.claimed(other):
        assert folder.job() == other


def test_another_description_of_the_same_calorimeter_is_the_same_job(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.claimed(JOB):
        put(folder, (0, 1))
    renamed = Calorimeter.from_dict(GEOMETRY.to_dict() | {"description": "in other words"})
    with folder.claimed(replace(JOB, geometry=renamed)):
        assert folder.job() == JOB


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / ".showers-00000000-00000003.h5.partial-1"
    leftover.touch()
    with Folder(tmp_path).claimed(JOB):
        assert not leftover.exists()


def test_shards_without_a_description_are_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    put(folder, (0, 1))
    with pytest.raises(SimulationError, match=r"job\.json can't be read"), folder.claimed(JOB):
        pass


def test_a_folder_is_cleared_only_when_it_holds_no_showers(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "shards")
    with folder.claimed(JOB):
        put(folder, (0, 1))
        folder.clear()
        assert folder.finished() == [(0, 1)]
        folder.file(Shard(0, 1)).unlink()
        folder.clear()
    assert not folder.path.exists()
