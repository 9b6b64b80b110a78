import errno
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import SimulationError
from caloforge.formats.native import ShowerFile, write
from caloforge.formats.native import read as formats_read
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import Beam, parse_direction, parse_position
from caloforge.incident.incident import FIELDS, Incident
from caloforge.incident.spectrum import Spectrum
from caloforge.showers import Showers
from caloforge.stages.simulate.campaign.job import DEFAULT_COMMANDS, Folder, Job, Shard

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
        write(Showers(GEOMETRY, cells, Incident(-11, 1000.0)), folder.file(Shard(start, stop)))


def finished(path: Path, numbers: list[int], job: Job = JOB, **more: object) -> None:
    """Write a file of some of a job's showers, in which the first cell of each holds its number."""
    cells = np.zeros((len(numbers), GEOMETRY.n_cells))
    cells[:, 0] = numbers
    columns = {name: np.ones(len(numbers)) for name in ("absorber", "active", "leaked", "invisible")}
    incident = job.beam.sample(job.seed, 0, 100)[np.array(numbers, int)]
    history = {**job.provenance("11.4"), "caloforge": "0.1", **more}
    write(Showers(GEOMETRY, cells, incident, columns, history), path)


@pytest.mark.parametrize("skipped", [[], [0], [3, 4, 9]])
def test_a_finished_file_gives_its_shards_back(tmp_path: Path, skipped: list[int]) -> None:
    numbers = [number for number in range(10) if number not in skipped]
    out, folder = tmp_path / "out.h5", Folder(tmp_path / "out.h5.shards")
    finished(out, numbers, **({"skipped": skipped} if skipped else {}))
    with folder.claimed(JOB):
        folder.take(out)
    assert [number for step in read(folder, 10, 4) for number in step] == numbers
    assert list(folder.skipped()) == skipped
    assert folder.missing(12, 50) == [Shard(10, 12)]
    with ShowerFile(out) as file, ShowerFile(folder.file(folder.finished()[0])) as shard:
        assert shard.provenance == {key: file.provenance[key] for key in file.provenance if key != "skipped"}


def test_a_file_that_was_made_by_several_versions_gives_its_shards_back(tmp_path: Path) -> None:
    out, folder = tmp_path / "out.h5", Folder(tmp_path / "out.h5.shards")
    finished(out, list(range(3)))
    parts = [{**JOB.provenance("11.4"), "caloforge": version} for version in ("0.1", "0.2")]
    write(replace(formats_read(out), provenance={"parts": parts}), out)
    with folder.claimed(JOB):
        folder.take(out)
    assert formats_read(folder.file(Shard(0, 3))).provenance == {"parts": parts}


@pytest.mark.parametrize(
    ("job", "more", "sentence"),
    [
        (replace(JOB, seed=8), {}, "seed 7, now 8; other incident particles"),
        (replace(JOB, geometry=Calorimeter.load("calogan_fine")), {}, "another geometry"),
        (JOB, {"rebinned_from": "calogan_fine"}, "rebinned from calogan_fine, now none"),
        (replace(JOB, beam=Beam(-11, Spectrum.parse("1:99"))), {}, r"\(other incident particles\)"),
        (JOB, {"skipped": [7]}, "does not say which showers it lacks"),
        (JOB, {"skipped": "all"}, "does not say which showers it lacks"),
    ],
)
def test_a_file_of_another_job_is_left_alone(
    tmp_path: Path, job: Job, more: dict[str, object], sentence: str
) -> None:
    out, folder = tmp_path / "out.h5", Folder(tmp_path / "out.h5.shards")
    finished(out, [0, 1, 2], **more)
    with pytest.raises(SimulationError, match=sentence), folder.claimed(job):
        folder.take(out)
    assert list(tmp_path.iterdir()) == [out]


def read(folder: Folder, n: int, size: int) -> list[list[int]]:
    """Return the numbers of the showers that a folder gives for 0 to n, size numbers at a time."""
    return [[int(number) for number in showers.cells[:, 0]] for showers in folder.batches(n, size)]


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
    assert read(folder, 8, 3) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_shards_with_the_same_showers_are_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    put(folder, (0, 75), (80, 90), (50, 80))
    for look in (folder.finished, lambda: folder.missing(100, 50)):
        with pytest.raises(
            SimulationError, match=r"00-00000075\.h5 and showers-00000050-.* both have shower 50"
        ):
            look()


@pytest.mark.parametrize("damage", ["empty", "truncated", "other"])
def test_a_damaged_shard_is_set_aside_and_missing(tmp_path: Path, damage: str) -> None:
    folder = Folder(tmp_path)
    put(folder, (0, 3), (3, 5))
    file = folder.file(Shard(0, 3))
    content = {
        "empty": b"",
        "truncated": file.read_bytes()[:3000],
        "other": folder.file(Shard(3, 5)).read_bytes(),
    }
    file.write_bytes(content[damage])
    (aside,) = folder.set_damaged_aside()
    assert aside.read_bytes() == content[damage]
    assert folder.missing(5, 9) == [(0, 3)]
    assert folder.set_damaged_aside() == ()


def test_a_shard_that_turns_out_damaged_when_it_is_read_does_not_block(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    put(folder, (0, 3))
    with h5py.File(folder.file(Shard(0, 3)), "r+") as file:
        file["cells/indptr"][1] = 1 << 40
    assert folder.set_damaged_aside() == ()
    with pytest.raises(
        SimulationError, match=r"is damaged.* called showers-.*\.damaged now: the same command"
    ):
        read(folder, 3, 3)
    assert folder.missing(3, 9) == [(0, 3)]


def test_skipped_showers_stay_skipped_and_are_left_out(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.claimed(JOB):
        put(folder, (0, 3), (4, 6))
        folder.skip(12, "it crashed again")
        folder.skip(3, "it crashed")
    with folder.claimed(JOB):
        assert folder.skipped() == {3: "it crashed", 12: "it crashed again"}
        assert folder.missing(20, 5) == [(6, 11), (11, 12), (13, 18), (18, 20)]
        assert read(folder, 6, 1) == [[0], [1], [2], [4], [5]]
        put(folder, (12, 13))  # from a computer on which it did not crash
        assert folder.skipped() == {3: "it crashed"}


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


@pytest.mark.parametrize("useful", ["showers", "log", "something else", ""])
def test_a_folder_stays_after_a_failure_only_where_it_is_of_use(tmp_path: Path, useful: str) -> None:
    folder = Folder(tmp_path / "shards")
    log = folder.path / "worker-0.log"
    with pytest.raises(SimulationError), folder.claimed(JOB):  # noqa: PT012
        log.write_text("what Geant4 said")
        folder.skip(0, "it crashed")
        if useful == "showers":
            put(folder, (0, 1))
        if useful == "something else":
            (folder.path / "notes").touch()
        raise SimulationError(f"Everything it said is in {log}." if useful == "log" else "It crashed.")
    assert folder.path.exists() == bool(useful)
    assert log.exists() == (useful in ("showers", "log"))


def test_a_folder_that_somebody_else_works_in_is_never_cleared(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.claimed(JOB):
        with pytest.raises(SimulationError), Folder(tmp_path).claimed(JOB):
            pass
        assert folder.job() == JOB


def test_a_full_disk_is_said_with_the_name_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    folder = Folder(tmp_path / "shards")
    with pytest.raises(OSError, match="No space left") as caught, folder.claimed(JOB):
        pass
    assert caught.value.filename == str(folder.path / "job.json")
    assert not folder.path.exists()


def test_a_part_of_a_job_makes_the_same_showers(tmp_path: Path) -> None:
    job = replace(JOB, beam=Beam(22, Spectrum.listed(np.arange(1, 100_000))))
    part = job.part(Shard(500, 700))
    whole, same = job.beam.sample(7, 500, 700), part.beam.sample(7, 500, 700)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(whole, name), getattr(same, name))
    assert len(json.dumps(part.to_dict())) < 10_000
