"""HDF5 files that appear whole or not at all."""

import errno
import resource
import signal
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest

from caloforge.formats._output import HDF5Output, _CalmFile


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


def test_the_first_failure_is_kept_and_no_write_follows_it(tmp_path, small_files):
    with _CalmFile(tmp_path / "a", "w+") as file:
        assert file.write(b"x" * 150_000) == 150_000
        assert file.failure is None
        assert file.write(b"y" * 100_000) == 100_000  # of which half fit
        first = file.failure
        assert first.errno == errno.EFBIG
        file.truncate(300_000)
        file.write(b"z")
        assert file.failure is first
    assert (tmp_path / "a").read_bytes() == b"x" * 150_000 + b"y" * 50_000


def test_a_file_that_can_not_be_made_longer_has_failed(tmp_path, small_files):
    with _CalmFile(tmp_path / "a", "w+") as file:
        file.truncate(200_000)
        assert file.failure is None
        file.truncate(200_001)
        assert file.failure.errno == errno.EFBIG


@pytest.mark.parametrize("append", [False, True])
def test_a_file_is_begun_anew_unless_it_is_appended_to(tmp_path, append):
    path = tmp_path / "out.h5"
    for name in ("first", "second"):
        with HDF5Output(path, append=append and path.exists()) as output:
            output.file[name] = 1.0
    with h5py.File(path) as file:
        assert list(file) == (["first", "second"] if append else ["second"])
    with pytest.raises(TypeError):
        HDF5Output(path, append)  # which nobody who reads it would understand


def test_an_error_while_writing_is_not_hidden(tmp_path):
    (tmp_path / "out.h5").write_bytes(b"before")
    with pytest.raises(KeyError, match="here"), HDF5Output(tmp_path / "out.h5") as output:  # noqa: PT012
        output.file["a"] = 1.0
        raise KeyError("here")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_killed_while_writing(tmp_path):
    path = tmp_path / "out.h5"
    script = f"""
        import os, signal
        from caloforge.formats._output import HDF5Output, _CalmFile
        with HDF5Output({str(path)!r}) as output:
            output.file["numbers"] = range(100_000)
            output.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
