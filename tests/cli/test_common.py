"""Errors as sentences, progress bars."""

import errno

import pytest

from caloforge.cli.common import extra, messages, progress_bar, sentence
from caloforge.errors import InputError, MissingExtra


def test_expected_errors_become_sentences_and_others_stay() -> None:
    assert sentence(InputError("No.")) == "No."
    full = OSError(errno.ENOSPC, "No space left on device", "a.h5")
    assert sentence(full) == "a.h5: No space left on device. Free some space and run the same command again."
    assert sentence(KeyError("a")) is None


def test_a_missing_library_is_answered_with_the_way_to_get_it() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'caloforge\[train\]'"), extra("train"):
        import no_such_library  # type: ignore[import-not-found]  # noqa: F401


def test_a_fault_of_ours_is_no_missing_library() -> None:
    with pytest.raises(ImportError) as caught, extra("train"):
        from caloforge import no_such_name  # type: ignore[attr-defined]  # noqa: F401
    assert not isinstance(caught.value, MissingExtra)


def test_bars_of_a_job_follow_each_other() -> None:
    with (
        messages.capture() as shown,
        progress_bar("First", "showers") as first,
        progress_bar("Second", "steps") as second,
    ):
        for done in range(3):
            first(done, 2)
        second(5, 5)
    assert shown.get().index("First") < shown.get().index("Second")
