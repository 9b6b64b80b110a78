"""Hostile command lines: an exit code of 0, 1 or 2 within seconds, and never a traceback.

``python runs/fuzz_commands.py`` tries a thousand.
"""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.cli.command_lines import QUICK, check, command_lines, run


@pytest.mark.filterwarnings("default")
@settings(max_examples=130, suppress_health_check=[HealthCheck.too_slow])
@given(command_lines(QUICK))
def test_no_quick_command_line_ends_in_a_traceback(words: list[str]) -> None:
    check(words)


@pytest.mark.filterwarnings("default")
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(command_lines())
def test_no_command_line_ends_in_a_traceback(words: list[str]) -> None:
    check(words)


@pytest.mark.parametrize("name", ["huge", "fine", "far", "dict", "nested", "digits"])
def test_impossible_calorimeters_are_one_sentence(name: str) -> None:
    code, errors = run(["info", f"{name}.toml"])
    assert code == 2
    assert errors.startswith(f"Error: {name}.toml")
    assert errors.count("\n") == 1


def test_a_name_that_is_no_text_is_printed_all_the_same() -> None:
    code, _ = run(["generate", "-p", "e+", "-n", "2", "-o", "\udcff.h5"])
    assert code == 0
