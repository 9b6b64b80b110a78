"""The description of a simulation, and the folder of its finished shards."""

import itertools
import json
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caloforge.errors import ShowerFileError, SimulationError
from caloforge.files import locked, written_aside
from caloforge.formats.native import ShowerFile, ShowerWriter
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import Beam
from caloforge.incident.incident import FIELDS
from caloforge.showers import Showers

__all__ = ["DEFAULT_COMMANDS", "VERSION", "Folder", "Job", "Shard", "skipped_in"]

_NAME = re.compile(r"showers-(\d{8,})-(\d{8,})\.h5")

VERSION = 2
"""Of what the shards hold; shards of another version have other columns and can't be added to."""

_COLUMNS = {"absorber", "active", "leaked", "invisible"}
_STEP = 1000  # showers that are copied at once

_PATIENCE = 3.0  # seconds in which the workers of a killed process have ended

DEFAULT_COMMANDS = ("/process/em/transportationWithMsc MultipleSteps",)
"""The same physics with several multiple-scattering steps at once: about 20 % faster."""


@dataclass(frozen=True)
class Job:
    """Everything that decides how shower number i comes out, apart from i.

    Attributes
    ----------
    geometry
        The calorimeter and the cells that are scored.
    beam
        The incident particles.
    physics
        ``em`` or a reference physics list of Geant4.
    seed
        Below 2^64.
    range_cut
        Range in mm below which secondaries are not tracked.
    commands
        Commands of Geant4's user interface that are applied before it builds its physics tables.
    fluorescence
        Whether atomic de-excitation is simulated.
    data
        Folder name of each Geant4 data set, which carries its version where the official data are used.
    geant4_pybind
        Version of the package that carries Geant4.
    """

    geometry: Calorimeter
    beam: Beam
    physics: str
    seed: int
    range_cut: float
    commands: tuple[str, ...]
    fluorescence: bool
    data: dict[str, str]
    geant4_pybind: str

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON's types that holds everything; the keys name what may differ."""
        return {
            "version": VERSION,
            "geometry": self.geometry.to_dict(),
            **self.beam.to_dict(),
            "physics": self.physics,
            "seed": self.seed,
            "range_cut_mm": self.range_cut,
            "commands": list(self.commands),
            "fluorescence": self.fluorescence,
            "geant4_data": self.data,
            "geant4_pybind": self.geant4_pybind,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Job":
        """Build a job from what `to_dict` returned."""
        return cls(
            Calorimeter.from_dict(content["geometry"]),
            Beam.from_dict(content),
            content["physics"],
            content["seed"],
            content["range_cut_mm"],
            tuple(content["commands"]),
            content["fluorescence"],
            content["geant4_data"],
            content["geant4_pybind"],
        )

    def part(self, shard: "Shard") -> "Job":
        """Return a job that makes the showers of one shard alike and lists no other energies."""
        return replace(self, beam=replace(self.beam, spectrum=self.beam.spectrum.part(*shard)))

    def provenance(self, geant4: str) -> dict[str, Any]:
        """Return what a file of these showers says about where they come from."""
        return {
            "stage": "simulate",
            **self.beam.provenance(),
            "physics": self.physics,
            "seed": self.seed,
            "range_cut_mm": self.range_cut,
            "commands": list(self.commands),
            "fluorescence": self.fluorescence,
            "geant4": geant4,
            "geant4_pybind": self.geant4_pybind,
            "geant4_data": self.data,
        }


class Shard(NamedTuple):
    """Showers number start to stop (exclusive)."""

    start: int
    stop: int


class Folder:
    """The shards of one job: a file for each run of showers that is finished, and the job's description.

    A shard appears whole and never changes. Its name says which showers it holds, so shards of any lengths
    fit together. Showers that can't be made are in no shard, but in a list with what Geant4 said.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._job, self._skipped, self._lock = path / "job.json", path / "skipped.json", path / "lock"

    def job(self) -> Job:
        """Read the description of the job."""
        return Job.from_dict(self._description())

    def file(self, shard: Shard) -> Path:
        """Return the name of a shard's file."""
        return self.path / f"showers-{shard.start:08d}-{shard.stop:08d}.h5"

    def finished(self) -> list[Shard]:
        """Return the shards that are there, in the order of their showers.

        Raises
        ------
        SimulationError
            Two of them have the same showers.
        """
        shards = self._shards()
        for first, second in itertools.pairwise(shards):
            if second.start < first.stop:
                raise SimulationError(
                    f"{self.file(first)} and {self.file(second).name} both have shower {second.start}: move "
                    "one of them away, then the same command makes what is missing."
                )
        return shards

    def _shards(self) -> list[Shard]:
        matches = (_NAME.fullmatch(path.name) for path in self.path.iterdir())
        return sorted(Shard(int(match[1]), int(match[2])) for match in matches if match)

    def skipped(self) -> dict[int, str]:
        """Return the numbers of the showers that were given up, ascending, with the reasons."""
        if not self._skipped.exists():
            return {}
        content: dict[str, str] = self._read_json(self._skipped)
        made = self.finished()  # also with such a shower, if it was copied from elsewhere
        return {
            number: content[str(number)]
            for number in sorted(map(int, content))
            if not any(start <= number < stop for start, stop in made)
        }

    def skip(self, number: int, reason: str) -> None:
        """Give a shower up for good."""
        self._write_json(self._skipped, {**self.skipped(), number: reason})

    def missing(self, n: int, size: int) -> list[Shard]:
        """Return shards of at most size showers that complete the settled ones to showers 0 to n."""
        gaps, position = [], 0
        settled = sorted([*self.finished(), *(Shard(number, number + 1) for number in self.skipped())])
        for shard in [*settled, Shard(n, n)]:
            gaps += [
                Shard(start, min(start + size, shard.start)) for start in range(position, shard.start, size)
            ]
            position = shard.stop
        return [Shard(gap.start, min(gap.stop, n)) for gap in gaps if gap.start < n]

    def take(self, out: Path) -> None:
        """Make shards of the showers in a finished file of this job whose own shards are gone.

        Raises
        ------
        SimulationError
            Another job made the file.
        """
        with ShowerFile(out) as file:
            skipped = skipped_in(file)
            shards = _between(skipped, len(file) + len(skipped))
            _check_origin(self.job(), file, shards)
            for number in skipped:
                self.skip(number, f"given up before {out.name} was written")
            start = 0
            for shard in shards:
                stop = start + shard.stop - shard.start
                self._copy(file, start, stop, shard)
                start = stop

    def _copy(self, file: ShowerFile, start: int, stop: int, shard: Shard) -> None:
        """Make a shard of showers start to stop of a file."""
        with ShowerWriter(self.file(shard), file.geometry, _history(file)) as writer:
            for first in range(start, stop, _STEP):
                writer.write(file.read(first, min(first + _STEP, stop)))

    def set_damaged_aside(self) -> tuple[Path, ...]:
        """Rename shards that can't be opened or lack showers, so that these are missing; return the names."""
        return tuple(self._set_aside(shard) for shard in self._shards() if not self._is_whole(shard))

    def _is_whole(self, shard: Shard) -> bool:
        try:
            with ShowerFile(self.file(shard)) as file:
                return len(file) == shard.stop - shard.start
        except ShowerFileError:
            return False

    def _set_aside(self, shard: Shard) -> Path:
        file = self.file(shard)
        return file.rename(f"{file}.damaged")

    def batches(self, n: int, size: int) -> Iterator[Showers]:
        """Read showers 0 to n, those of ``size`` numbers at a time, however they lie in shards.

        Raises
        ------
        SimulationError
            A shard is damaged; it is set aside.
        """
        waiting = deque(self.finished())
        for start in range(0, n, size):
            stop = min(start + size, n)
            while waiting and waiting[0].stop <= start:
                waiting.popleft()
            here = (shard for shard in itertools.islice(waiting, size) if shard.start < stop)
            parts = [self._read(shard, start, stop) for shard in here]
            if parts:
                yield Showers.concatenate(parts)

    def _read(self, shard: Shard, start: int, stop: int) -> Showers:
        try:
            with ShowerFile(self.file(shard)) as file:
                return file.read(max(start - shard.start, 0), stop - shard.start)
        except ShowerFileError as error:
            aside = self._set_aside(shard)
            raise SimulationError(
                f"{error} It is called {aside.name} now: the same command makes its showers again."
            ) from None

    @contextmanager
    def claimed(self, job: Job) -> Iterator[int]:
        """Make the folder this job's, for this process alone, as long as the context lasts.

        Yields the descriptor of the lock, which lasts as long as a process that inherits it. An exception
        removes a folder without showers, unless its message names a log in it.

        Raises
        ------
        SimulationError
            Another process works in the folder, or its shards are of another job.
        """
        self.path.mkdir(exist_ok=True)
        busy = f"Another process simulates into {self.path}: wait for it or choose another output."
        with locked(self._lock, SimulationError(busy), _PATIENCE) as lock:
            try:
                self._remove_leftovers()
                self._adopt(job)
                yield lock
            except BaseException as error:
                self._clear(str(error))
                raise

    def _clear(self, told: str) -> None:
        logs = list(self.path.glob("*.log"))
        if self._shards() or any(str(log) in told for log in logs):
            return
        with suppress(OSError):  # what brought us here is more important
            for path in (self._job, self._skipped, self._lock, *logs):
                path.unlink(missing_ok=True)
            self.path.rmdir()

    def _adopt(self, job: Job) -> None:
        wanted = job.to_dict()
        if self._shards():
            self._check_same(wanted)
        else:
            self._skipped.unlink(missing_ok=True)  # another job may know how to make them
            self._write_json(self._job, wanted)

    def _check_same(self, wanted: dict[str, Any]) -> None:
        found = self._description()
        if found.get("version") != wanted["version"]:
            raise SimulationError(
                f"The showers in {self.path} were made by another version of caloforge, whose files have "
                "other columns: choose another output, or delete that folder to begin anew."
            )
        found, wanted = _essence(found), _essence(wanted)
        changes = [
            _change(key, found.get(key), wanted[key]) for key in wanted if found.get(key) != wanted[key]
        ]
        if changes:
            raise SimulationError(
                f"The showers in {self.path} were made by another job ({'; '.join(changes)}): "
                "choose another output, or delete that folder to begin anew."
            )

    def _description(self) -> dict[str, Any]:
        return self._read_json(self._job)

    def _read_json(self, path: Path) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SimulationError(
                f"{path} can't be read ({error}), so the shards in its folder can't be identified: "
                "choose another output, or delete that folder to begin anew."
            ) from None
        return content

    def _write_json(self, path: Path, content: dict[Any, Any]) -> None:
        with written_aside(path) as partial:
            partial.write_text(json.dumps(content, indent=1), encoding="utf-8")

    def _remove_leftovers(self) -> None:
        """Delete what a process that was killed had not finished."""
        for partial in self.path.glob(".*.partial-*"):
            partial.unlink(missing_ok=True)


def skipped_in(file: ShowerFile) -> list[int]:
    """Return the numbers of the showers that a finished file lacks, ascending.

    Raises
    ------
    SimulationError
        The file has something else where they should be.
    """
    said = file.provenance.get("skipped", [])
    numbers = sorted({number for number in said if type(number) is int}) if isinstance(said, list) else []
    if numbers != said or (numbers and not 0 <= numbers[0] <= numbers[-1] < len(file) + len(numbers)):
        raise SimulationError(
            f"{file.path} does not say which showers it lacks ('skipped' in its provenance is damaged): "
            "choose another output."
        )
    return numbers


def _between(skipped: list[int], n: int) -> list[Shard]:
    """Return the runs of showers 0 to n without those that were skipped."""
    runs = itertools.pairwise([-1, *skipped, n])
    return [Shard(before + 1, after) for before, after in runs if after > before + 1]


def _history(file: ShowerFile) -> dict[str, Any]:
    """Return the provenance that the shards of a finished file had."""
    return {key: value for key, value in file.provenance.items() if key != "skipped"}


def _check_origin(job: Job, file: ShowerFile, shards: list[Shard]) -> None:
    """Refuse a file that another job made: by what it says of itself, and by its particles."""
    changes: list[str] = []
    for part in _history(file).get("parts", [_history(file)]):
        found, wanted = (
            _origin(part, file.geometry),
            _origin(job.provenance(part.get("geant4")), job.geometry),
        )
        names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
        changes += [_change(name, found.get(name, "none"), wanted.get(name, "none")) for name in names]
    made, n = file.incident(), len(file) and shards[-1].stop
    numbers = np.concatenate([np.zeros(0, np.int64), *(np.arange(*shard) for shard in shards)])
    expected = job.beam.sample(job.seed, 0, n)[numbers]
    if not all(np.array_equal(getattr(made, name), getattr(expected, name)) for name in FIELDS):
        changes.append("other incident particles")
    if set(file.column_names) != _COLUMNS:
        changes.append("another account of the energy")
    if changes:
        raise SimulationError(
            f"{file.path} was made by another job ({'; '.join(dict.fromkeys(changes))}) and has no shards: "
            "choose another output, or move that file away."
        )


def _origin(provenance: dict[str, Any], geometry: Calorimeter) -> dict[str, Any]:
    """Return what must be equal of what a file says; its particles are compared one by one."""
    described = {key: value for key, value in provenance.items() if key not in ("caloforge", "energy_GeV")}
    return {"geometry": _core(geometry.to_dict()), **described}


def _core(geometry: dict[str, Any]) -> dict[str, Any]:
    return {key: geometry[key] for key in ("stack", "visible", "layers")}


def _essence(job: dict[str, Any]) -> dict[str, Any]:
    """What must be equal for showers to belong together: not how a calorimeter or an energy is described."""
    energy = {key: value for key, value in job["energy"].items() if key != "text"}
    return {**job, "geometry": _core(job["geometry"]), "energy": energy}


def _change(name: str, found: object, wanted: object) -> str:
    """Name a difference, with the values where they are short."""
    short = all(isinstance(value, str | int | float) for value in (found, wanted))
    words = name.replace("_", " ")
    return f"{words} {found}, now {wanted}" if short else f"another {words}"
