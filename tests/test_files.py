"""Files that appear whole or not at all, and locks."""

import os
import subprocess
import sys

import pytest

from caloforge.errors import InputError
from caloforge.files import check_replaced, locked, written_aside


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


def test_only_an_ordinary_file_is_replaced(tmp_path):
    with pytest.raises(FileExistsError, match="not an ordinary file"), written_aside(os.devnull):
        pass
    with pytest.raises(IsADirectoryError, match="name a file"), written_aside(tmp_path):
        pass
    with pytest.raises(FileNotFoundError, match="no such folder"), written_aside(tmp_path / "none" / "file"):
        pass


def test_a_lock_keeps_others_out_until_it_is_left(tmp_path):
    busy = ValueError("busy")
    for _ in range(2):
        with (
            locked(tmp_path / "lock", busy),
            pytest.raises(ValueError, match="busy"),
            locked(tmp_path / "lock", busy),
        ):
            pass


def test_leftovers_of_dead_processes_are_removed_and_others_stay(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in ("out.txt", "[o]ut.txt"):
        dead = tmp_path / f".{name}.partial-{ended.pid}"
        others = [tmp_path / f".{name}.partial-{os.getppid()}", tmp_path / f".{name}.partial-mine"]
        others.append(tmp_path / f".x{name}.partial-{ended.pid}")
        for path in (dead, *others):
            path.write_text("half")
        with written_aside(tmp_path / name) as partial:
            partial.write_text("whole")
        assert not dead.exists()
        assert all(path.exists() for path in others)


def test_a_file_is_replaced_only_if_that_is_wanted_and_it_is_not_read(tmp_path):
    path, source, link = (tmp_path / name for name in ("a.h5", "b.h5", "link"))
    check_replaced(path, overwrite=False, inputs=[source])
    path.write_text("a")
    with pytest.raises(InputError, match=r"a\.h5 exists: .*--overwrite"):
        check_replaced(path, overwrite=False, inputs=[source])
    check_replaced(path, overwrite=True, inputs=[source])
    link.symlink_to(path)
    with pytest.raises(InputError, match="name another output"):
        check_replaced(path, overwrite=True, inputs=[source, link])
