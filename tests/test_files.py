"""Files that appear whole or not at all, and locks."""

import os

import pytest

from caloforge.files import locked, written_aside


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


def test_a_lock_keeps_others_out_until_it_is_left(tmp_path):
    busy = ValueError("busy")
    for _ in range(2):
        with (
            locked(tmp_path / "lock", busy),
            pytest.raises(ValueError, match="busy"),
            locked(tmp_path / "lock", busy),
        ):
            pass
