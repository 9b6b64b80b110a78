"""A worker process and its parent; Geant4 itself is in test_run."""

import subprocess
import sys
import time
from pathlib import Path

WORKER = """
import sys, time
from caloforge.stages.simulate.geant4.worker import Reports
reports = Reports()
sys.stdin.readline()
reports.end_with_reader()
print("works", file=sys.stderr, flush=True)
time.sleep(60)  # a long shower, in which nothing is reported or read
"""
PARENT = f"""
import subprocess, sys
pipe = subprocess.PIPE
worker = subprocess.Popen([sys.executable, "-c", {WORKER!r}], stdin=pipe, stdout=pipe)
print(worker.pid, flush=True)
worker.stdin.write(b"\\n")
worker.stdin.flush()
worker.wait()
"""


def test_a_worker_ends_with_its_parent_also_in_a_shower() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=pipe, stderr=pipe, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        worker = Path("/proc", parent.stdout.readline().strip())
        assert parent.stderr.readline() == "works\n"
        parent.kill()
        deadline = time.monotonic() + 5
        while worker.exists() and "Z (zombie)" not in (worker / "status").read_text():
            assert time.monotonic() < deadline, "the worker lives on"
            time.sleep(0.02)


def test_a_worker_does_not_begin_when_its_parent_ended_before() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as worker:
        assert worker.stdout is not None
        worker.stdout.close()
        _, said = worker.communicate("\n", timeout=20)
        assert worker.returncode == 1
        assert said == ""
