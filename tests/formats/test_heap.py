"""Collections of texts as the specification of HDF5 lays them out, whole and with damaged sizes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.formats._heap import has_broken_texts

HEADER = 16
LOOKED_AT = 1 << 20


def sized(first: bytes, size: int) -> bytes:
    """Return a header: eight bytes that say what it is of, and a size."""
    return first.ljust(8, b"\0") + size.to_bytes(8, "little")


def entry(number: int, text: bytes) -> bytes:
    return sized(number.to_bytes(2, "little") + b"\1", len(text)) + text + bytes(-len(text) % 8)


def collection(texts: list[bytes], free: int = 0) -> bytes:
    """Return texts, with so many bytes that are free behind them."""
    entries = b"".join(entry(number, text) for number, text in enumerate(texts, 1))
    rest = (sized(b"", free) if free >= HEADER else b"").ljust(free, b"\0")
    return sized(b"GCOL\1", HEADER + len(entries) + free) + entries + rest


def broken(path: Path, *parts: bytes) -> bool:
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"".join(parts))
    return has_broken_texts(path)


texts = st.lists(st.binary(max_size=40).filter(lambda text: b"GCOL" not in text), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(first=texts, second=texts, free=st.sampled_from([0, 8, 15, 16, 17, 64]), behind=st.integers(0, 64))
def test_whole_collections_are_gone_through(
    tmp_path: Path, first: list[bytes], second: list[bytes], free: int, behind: int
) -> None:
    assert not broken(
        tmp_path / "a", collection(first, free), bytes(behind), collection(second), b"\xff" * 40
    )


@pytest.mark.parametrize("bit", range(12, 64))
def test_a_bit_that_makes_a_text_longer_than_its_collection_is_found(tmp_path: Path, bit: int) -> None:
    content = bytearray(collection([b"abc", b"x" * 20, b""], 32))
    place = HEADER + len(entry(1, b"abc")) + 8  # of the second text's size
    content[place + bit // 8] ^= 1 << bit % 8
    assert broken(tmp_path / "a", bytes(content))
    assert broken(tmp_path / "a", collection([b"whole"]), bytes(content))


@pytest.mark.parametrize(("size", "found"), [(0, True), (8, True), (15, True), (16, False), (17, True)])
def test_what_is_free_has_a_header_and_ends_with_the_collection(
    tmp_path: Path, size: int, found: bool
) -> None:
    content = collection([b"abc"], 16)
    assert broken(tmp_path / "a", content[:-8] + size.to_bytes(8, "little")) == found


def test_what_is_free_is_known_by_its_number_alone(tmp_path: Path) -> None:
    content = collection([b"abc"], 24)
    for place in range(2, 8):  # of its count of references, and what is reserved
        other = content[: place - 24] + b"\xff" + content[place - 23 :]
        assert not broken(tmp_path / "a", other)
    assert broken(tmp_path / "a", content[:-24] + b"\1" + content[-23:])


def test_a_text_may_end_with_its_collection_and_not_behind_it(tmp_path: Path) -> None:
    content = collection([b"abcdefgh"])
    assert not broken(tmp_path / "a", content, bytes(100))
    longer = content[: HEADER + 8] + (9).to_bytes(8, "little") + content[HEADER + 16 :]
    assert broken(tmp_path / "a", longer, bytes(100))


def test_texts_are_looked_at_near_both_ends_of_a_long_file(tmp_path: Path) -> None:
    good, bad = collection([b"abc"], 16), collection([b"abc"], 16)[:-8] + bytes(8)
    between = bytes(LOOKED_AT)
    assert broken(tmp_path / "a", bad, between, good)
    assert broken(tmp_path / "a", good, between, bad)
    assert not broken(tmp_path / "a", good, between, good)


def test_a_collection_that_goes_on_where_nobody_looks_is_not_broken(tmp_path: Path) -> None:
    content = collection([b"x" * LOOKED_AT, b"y"])
    assert not broken(tmp_path / "a", content, bytes(2 * LOOKED_AT))
