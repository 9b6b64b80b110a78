import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from caloforge.files import locked, written_aside
from caloforge.formats._output import HDF5Output


def test_the_name_appears_at_the_end(tmp_path):
    path = tmp_path / "out.txt"
    with written_aside(path) as partial:
        partial.write_text("new")
        assert not path.exists()
        assert partial.parent == tmp_path
        assert partial.name.startswith(".out.txt.partial-")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(error), written_aside(path) as partial:  # noqa: PT012
        partial.write_text("new")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_keeps_pointing_to_the_file(tmp_path):
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "folder" / "file")
    with written_aside(link) as partial:
        partial.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "folder" / "file").read_text() == "new"


def test_what_is_no_file_is_not_replaced(tmp_path):
    for target in (tmp_path, os.devnull):
        with pytest.raises(FileExistsError), written_aside(target):
            pass
    with pytest.raises(FileNotFoundError, match="no such folder"), written_aside(tmp_path / "none" / "file"):
        pass


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


def test_a_lock_keeps_others_out_until_it_is_left(tmp_path):
    busy = ValueError("busy")
    for _ in range(2):
        with (
            locked(tmp_path / "lock", busy),
            pytest.raises(ValueError, match="busy"),
            locked(tmp_path / "lock", busy),
        ):
            pass
