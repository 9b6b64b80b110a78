"""Errors as sentences, progress bars."""

import errno
from pathlib import Path

import numpy as np
import pytest

from caloforge.cli.common import extra, messages, progress_bar, sentence
from caloforge.errors import InputError, MissingExtra


def test_expected_errors_become_sentences_and_others_stay() -> None:
    assert sentence(InputError("No.")) == "No."
    full = OSError(errno.ENOSPC, "No space left on device", "a.h5")
    assert sentence(full) == "a.h5: No space left on device. Free some space and run the same command again."
    assert sentence(KeyError("a")) is None


def test_too_little_memory_is_a_sentence() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, np.uint8)
    said = sentence(caught.value)
    assert said is not None
    assert said.startswith("There is not enough memory (Unable to allocate 1.00 EiB")
    assert sentence(MemoryError()) == "There is not enough memory (for this): ask for less at once."


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    hidden = tmp_path / ".a.h5.partial-123"
    denied = PermissionError(errno.EACCES, "Permission denied", str(hidden))
    assert sentence(denied) == f"{tmp_path / 'a.h5'}: Permission denied."


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


def test_a_line_has_no_more_digits_than_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caloforge.cli.common._LINE_EVERY", 0)
    with messages.capture() as shown, progress_bar("Classifier", "trainings") as progress:
        for done in (0.5 + 0.64, 1.0, 6):
            progress(done, 6)
    lines = [line.split(" trainings")[0] for line in shown.get().splitlines()]
    assert lines == ["Classifier: 1.14 of 6", "Classifier: 1.0 of 6", "Classifier: 6 of 6"]
