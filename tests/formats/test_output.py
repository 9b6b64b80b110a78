"""HDF5 files that appear whole or not at all."""

import errno
import resource
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from caloforge.formats._output import HDF5Output


@pytest.fixture
def small_files():
    """Let no file grow beyond 200 kB, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("rounds", [1, 10])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, small_files, rounds):
    """With one round HDF5 holds the data back until the file is closed, with ten it writes before."""
    path = tmp_path / "out.h5"
    noise = np.random.default_rng(1).random(60_000)
    with pytest.raises(OSError, match=r"out\.h5") as caught, HDF5Output(path) as output:  # noqa: PT012
        for number in range(rounds):
            output.file.create_dataset(f"noise/{number}", data=noise, chunks=(60_000,), compression="gzip")
    assert caught.value.errno == errno.EFBIG
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_noticed_early(tmp_path, small_files):
    with pytest.raises(OSError, match=r"out\.h5"), HDF5Output(tmp_path / "out.h5") as output:  # noqa: PT012
        output.check()
        output.file["noise"] = np.random.default_rng(1).random(60_000)
        output.check()
        pytest.fail("the check found nothing")


def test_killed_while_writing(tmp_path):
    path = tmp_path / "out.h5"
    script = f"""
        import os, signal
        from caloforge.formats._output import HDF5Output
        with HDF5Output({str(path)!r}) as output:
            output.file["numbers"] = range(100_000)
            output.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
