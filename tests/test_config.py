"""Configurations: strict, frozen, from TOML."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from caloforge import config
from caloforge.errors import ConfigError


@config.strict_dataclass
class Inner:
    depth: Annotated[int, Field(ge=1)] = 3


@config.strict_dataclass
class Outer:
    rate: float = 2e-4
    inner: tuple[Inner, ...] = (Inner(),)


def test_a_file_and_a_mapping_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("rate = 0.5\n[[inner]]\ndepth = 7\n")
    assert config.load(Outer, path) == config.load(Outer, {"rate": 0.5, "inner": [{"depth": 7}]})


def test_a_configuration_survives_the_way_through_plain_values() -> None:
    given = Outer(rate=0.1, inner=(Inner(2), Inner(5)))
    assert config.load(Outer, config.to_dict(given)) == given


def test_toml_is_read_as_it_was_written() -> None:
    edges = [float(number) for number in range(60)]
    content = {
        "name": 'brackets = [ and "quotes"',
        "roles": ["active, in part", "absorber"],
        "none": [],
        "layers": [{"z": [0.0, 1e-9], "eta": {"edges": edges}}, {"z": [1.0, 2.0], "repeat": 3}],
    }
    text = config.to_toml(content)
    assert tomllib.loads(text) == content
    assert 'roles = ["active, in part", "absorber"]' in text
    assert "[[layers]]\nz = [1.0, 2.0]\nrepeat = 3\n" in text
    assert max(map(len, text.splitlines())) < 110


def test_a_configuration_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Outer().rate = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("rat = 1.0", "unknown key 'rat'. Did you mean 'rate'"),
        ("[[inner]]\ndeph = 1", "Did you mean 'depth'"),
        ("zebra = 1", "Known keys: rate, inner"),
        ("rate = 'fast'", "'rate'"),
        ("[[inner]]\ndepth = 0", "greater than or equal to 1"),
        ("rate = = 1", "not a TOML file"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, content: str, answer: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"a\.toml") as caught:
        config.load(Outer, path)
    assert answer in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.toml"):
        config.load(Outer, tmp_path / "no.toml")
