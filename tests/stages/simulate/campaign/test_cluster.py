"""Simulation on Dask clusters: they make the very files that this computer's processes make."""

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caloforge import clusters
from caloforge.errors import ClusterError, InputError, SimulationError
from caloforge.formats.native import read
from caloforge.geometry import Calorimeter
from caloforge.incident.spectrum import Spectrum
from caloforge.stages.simulate.campaign.job import Folder
from caloforge.stages.simulate.run import Summary, simulate

distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
dask = pytest.importorskip("dask")

from caloforge.stages.simulate.campaign import dask_worker  # noqa: E402

pytestmark = pytest.mark.usefixtures("geant4")

FINE = Calorimeter.load("calogan_fine")
POSITRON = -11
ABOUT_1_GEV = Spectrum.uniform(500, 1500)


def run(out: Path, n: int, energies: Spectrum = ABOUT_1_GEV, **options: object) -> Summary:
    settings: dict[str, object] = {"physics": "em", "seed": 5, "workers": 2} | options
    return simulate(FINE, POSITRON, energies, n, out, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler whose two workers are threads of this process."""
    options = {
        "threads_per_worker": 1,
        "processes": False,
        "dashboard_address": "localhost:0",
        "protocol": "tcp://",
    }
    with distributed.LocalCluster(n_workers=2, **options) as cluster:
        yield cluster.scheduler_address


DASK = (
    b"spawn_main",
    b"dask worker",
)  # as Python calls a worker, and as setproctitle does where it is installed


def children(parent: int, *commands: bytes) -> list[int]:
    """Return the process ids of a process's children with one of these on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            mother = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            line = (entry / "cmdline").read_bytes()
            if mother == parent and any(command in line for command in commands):
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def kill_a_busy_dask_worker(killed: list[int]) -> None:
    """Wait until a Dask worker has a Geant4 process that simulates, and kill the Dask worker."""
    while not killed:
        time.sleep(0.1)
        for worker in children(os.getpid(), *DASK):
            if children(worker, b"caloforge.stages.simulate.geant4.worker"):
                time.sleep(0.3)  # it has begun, and is far from done
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
                return


def test_a_dask_worker_that_is_killed_loses_no_shower(tmp_path: Path) -> None:
    out, killed = tmp_path / "showers.h5", []
    about_20_gev = Spectrum.uniform(19e3, 21e3)
    killer = threading.Thread(target=kill_a_busy_dask_worker, args=(killed,), daemon=True)
    killer.start()
    done = run(out, 16, about_20_gev, cluster="local")
    assert killed
    assert (done.showers, done.simulated, done.skipped) == (16, 16, ())
    run(tmp_path / "quiet.h5", 16, about_20_gev)
    assert out.read_bytes() == (tmp_path / "quiet.h5").read_bytes()
    assert children(os.getpid(), *DASK) == []


def test_a_scheduler_that_runs_makes_the_same_files(
    tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, sent = distributed.Client.submit, []

    def watched(
        client: object, task: object, job: dict[str, dict[str, list[float]]], *rest: object, **options: object
    ) -> object:
        sent.append(job["energy"]["values"])
        return submit(client, task, job, *rest, **options)

    monkeypatch.setattr(distributed.Client, "submit", watched)
    energies = Spectrum.listed(np.linspace(500, 1500, 1001))
    run(tmp_path / "near.h5", 6, energies)
    run(tmp_path / "far.h5", 4, energies, cluster=scheduler)
    done = run(tmp_path / "far.h5", 6, energies, cluster=scheduler)
    assert sorted(sent) == [[500, 501], [502, 503], [504, 505]]  # those of a shard, not all that are listed
    assert done.simulated == 2
    assert len(done.seconds_per_shower) == 2
    assert (tmp_path / "near.h5").read_bytes() == (tmp_path / "far.h5").read_bytes()


DIES_IN_SHOWER_2 = """
import os, signal
write = os.write
def write_and_die(pipe, report):
    done = write(pipe, report)
    if report == b'{"begins": 2}\\n':
        os.kill(os.getpid(), signal.SIGKILL)
    return done
os.write = write_and_die
"""


def test_a_shower_that_crashes_everywhere_is_skipped(
    tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(DIES_IN_SHOWER_2)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run(tmp_path / "showers.h5", 4, cluster=scheduler, workers=1)
    assert (done.showers, done.simulated, done.skipped, done.crashes) == (3, 3, (2,), 3)
    monkeypatch.delenv("PYTHONPATH")
    quiet = run(tmp_path / "quiet.h5", 4)
    np.testing.assert_array_equal(read(done.path).cells, read(quiet.path).cells[[0, 1, 3]])
    (log,) = (tmp_path / "showers.h5.shards").glob("worker-*.log")
    assert "Geant4 version" in log.read_text()


def test_what_geant4_refuses_there_ends_in_the_same_sentence(tmp_path: Path, scheduler: str) -> None:
    with pytest.raises(InputError, match=r"Geant4 refuses the command '/rubbish'"):
        run(tmp_path / "showers.h5", 2, cluster=scheduler, commands=("/rubbish",))
    assert list(tmp_path.iterdir()) == []


def test_other_data_than_the_job_was_described_with_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path / "showers.h5", 1)
    job = Folder(done.path.with_name("showers.h5.shards")).job()
    dask_worker.find_data(job)
    with pytest.raises(SimulationError, match="has another Geant4 or other data"):
        dask_worker.find_data(replace(job, data={"G4LEDATA": "G4EMLOW0.1"}))


def test_a_scheduler_that_does_not_answer_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "_ANSWER", 0.5)
    with pytest.raises(ClusterError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:1 "):
        run(tmp_path / "showers.h5", 2, cluster="tcp://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_can_not_be_leaves_nothing_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "_ANSWER", 5)
    begin = time.monotonic()
    with pytest.raises(ClusterError, match=r"tls://127\.0\.0\.1:1 \(TLS expects"):
        run(tmp_path / "showers.h5", 2, cluster="tls://127.0.0.1:1")
    gc.collect()
    assert time.monotonic() - begin < 3
    assert list(tmp_path.iterdir()) == []


def test_a_scheduler_without_workers_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "_LOOK_EVERY", 0.1)
    monkeypatch.setattr(clusters, "_PATIENCE", 0.3)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address="localhost:0") as nobody,
        pytest.raises(ClusterError, match="has had no workers"),
    ):
        run(tmp_path / "showers.h5", 2, cluster=nobody.scheduler_address)


def test_a_scheduler_that_dies_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_LOOK_EVERY", 0.1)
    about_10_gev = Spectrum.uniform(9e3, 11e3)
    options = {"threads_per_worker": 1, "processes": False, "dashboard_address": "localhost:0"}
    with distributed.LocalCluster(n_workers=1, **options) as cluster:

        def end(done: float, total: float, note: str = "") -> None:
            if done:
                cluster.close()

        with pytest.raises(ClusterError, match="connection to the Dask scheduler was lost"):
            run(tmp_path / "showers.h5", 30, about_10_gev, cluster=cluster.scheduler_address, progress=end)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "foo://bar",
            r"foo://bar is not the address of a Dask scheduler \(unknown address scheme 'foo'.*tcp://HOST",
        ),
        ("tcp://bar", r"tcp://bar is not the address .*missing port"),
        ("slrum", r"'slrum' is not among the clusters\. Did you mean 'slurm'\?.*tcp://HOST:PORT"),
        ("slurm", "the command sbatch is missing"),
    ],
)
def test_clusters_that_can_not_be_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=sentence):
        run(tmp_path / "showers.h5", 2, cluster=name)
    assert list(tmp_path.iterdir()) == []


SUBMIT = """#!/bin/sh
cp "$1" {folder}/job-$$.sh
setsid sh {folder}/job-$$.sh > {folder}/job-$$.log 2>&1 &
echo "Submitted batch job $!"
"""
CANCEL = """#!/bin/sh
kill -- -"$1"
"""


def test_a_batch_system_gets_jobs_that_are_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue")
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, script in {"sbatch": SUBMIT.format(folder=commands), "scancel": CANCEL}.items():
        (commands / name).write_text(script)
        (commands / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    with pytest.raises(InputError, match=r"what cores and memory a job of slurm has: .*jobqueue\.yaml"):
        run(tmp_path / "far.h5", 4, cluster="slurm", workers=1)
    profile = {"cores": 1, "memory": "1GB", "interface": "lo", "local-directory": str(commands)}
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in profile.items()}):
        run(tmp_path / "far.h5", 4, cluster="slurm", workers=1)
        run(tmp_path / "near.h5", 4)
        assert len(list(commands.glob("job-*.sh"))) == 1
        assert (tmp_path / "near.h5").read_bytes() == (tmp_path / "far.h5").read_bytes()
        (commands / "sbatch").write_text("#!/bin/sh\necho 'no such account' >&2; exit 1\n")
        with pytest.raises(InputError, match=r"slurm does not take jobs: .*no such account"):
            run(tmp_path / "none.h5", 4, cluster="slurm", workers=1)
