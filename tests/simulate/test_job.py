import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import SimulationError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.simulate.job import Folder, Job, Shard
from caloforge.spectrum import Spectrum

GEOMETRY = Calorimeter.load("calogan")
JOB = Job(
    GEOMETRY, -11, Spectrum.parse("1:100"), "em", 7, 0.7, False, {"G4LEDATA": "G4EMLOW8.8"}, "0.1.3"
)  # fmt: skip


def put(folder: Folder, *shards: tuple[int, int]) -> None:
    """Write shards in which the first cell of each shower holds its number."""
    for start, stop in shards:
        cells = np.zeros((stop - start, GEOMETRY.n_cells))
        cells[:, 0] = np.arange(start, stop)
        Showers(GEOMETRY, cells, 1000.0, -11).save(folder.file(Shard(start, stop)))


@pytest.mark.parametrize("text", ["1:100", "50", "10,50,100"])
def test_a_job_survives_json(text: str) -> None:
    job = replace(JOB, spectrum=Spectrum.parse(text))
    assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job


@given(st.integers(1, 60), st.integers(1, 20), st.sets(st.integers(0, 60), max_size=8))
def test_finished_and_missing_shards_make_every_shower_once(n: int, size: int, bounds: set[int]) -> None:
    class Some(Folder):
        def finished(self) -> list[Shard]:
            edges = sorted(bounds)
            return [Shard(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]

    folder = Some(Path("nowhere"))
    missing = folder.missing(n, size)
    made = [number for shard in [*folder.finished(), *missing] for number in range(*shard)]
    assert sorted(number for number in made if number < n) == list(range(n))
    assert all(0 < shard.stop - shard.start <= size and shard.stop <= n for shard in missing)


def test_showers_are_read_across_shards(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    put(folder, (0, 3), (3, 4), (4, 9))
    assert folder.finished() == [(0, 3), (3, 4), (4, 9)]
    assert folder.read(2, 6).cells[:, 0].tolist() == [2, 3, 4, 5]


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
        ({"pdg": 211}, "particle -11, now 211"),
        ({"physics": "FTFP_BERT", "seed": 8}, "physics em, now FTFP_BERT; seed 7, now 8"),
        ({"spectrum": Spectrum.parse("50")}, "another energy"),
        ({"range_cut": 1.0}, "range cut 0.7, now 1.0"),
        ({"geometry": Calorimeter.load("calogan_fine")}, "another geometry"),
        ({"data": {"G4LEDATA": "G4EMLOW8.9"}}, "another Geant4 data"),
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
