"""Where the rows of a split lie, and arrays that lie in several files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segpipe.dataset import shards
from segpipe.dataset.layout import Row
from segpipe.dataset.shards import (
    MASKS,
    ShardedArray,
    shard_count,
    shard_of,
    shard_path,
    shard_places,
)
from segpipe.raw.sample import Sample

MIB = 1 << 20
NAMES = [f"street_{number:03d}" for number in range(57)]


def rows(names: list[str], copies: int = 0) -> list[Row]:
    return [Row(Sample(name, "", "", None), copy) for name in names for copy in range(copies + 1)]


@pytest.mark.parametrize("power", range(1, 16))
def test_the_number_of_shards_changes_only_where_the_size_doubles(power: int) -> None:
    border = 24 * MIB << power
    assert shard_count(border - 1) == 1 << (power - 1)
    assert shard_count(border) == shard_count(2 * border - 1) == 1 << power
    for size in (border, border + border // 3, 2 * border - 1):
        assert 24 * MIB <= size / shard_count(size) < 48 * MIB


def test_small_data_is_one_shard() -> None:
    assert [shard_count(size) for size in (0, 1, 24 * MIB, 48 * MIB - 1)] == [1] * 4


def test_a_doubled_number_divides_each_shard_in_two() -> None:
    for number in (1, 2, 4, 64):
        for name in NAMES:
            assert shard_of(name, 2 * number) - shard_of(name, number) in (0, number)


def test_samples_spread_evenly() -> None:
    held = np.bincount([shard_of(f"image {number}", 16) for number in range(16_000)], minlength=16)
    assert held.min() > 850  # the mean is 1000, and five standard deviations are 153
    assert held.max() < 1150


@pytest.mark.parametrize("copies", [0, 2])
def test_rows_are_sorted_within_their_shard_wherever_they_stand_in_the_split(copies: int) -> None:
    expected: dict[int, list[tuple[str, int]]] = {}
    for name in NAMES:
        digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        expected.setdefault(int(digest, 16) % 8, []).extend((name, n) for n in range(copies + 1))
    for order in (NAMES, NAMES[::-1], sorted(NAMES, key=lambda name: name[::-1])):
        split = rows(order, copies)
        shard_N, place_N = shard_places(split, 8)
        for row, shard, place in zip(split, shard_N, place_N, strict=True):
            assert expected[int(shard)][int(place)] == (row.sample.name, row.copy)


def written(folder: Path, copies: int = 1) -> tuple[NDArray[np.uint8], ShardedArray]:
    """A plain array of random rows, and the same in shards."""
    split = rows(NAMES, copies)
    places = shard_places(split, 8)
    plain = np.random.default_rng(0).integers(0, 256, (len(split), 3, 4, 5), np.uint8)
    for shard in range(8):
        held = np.flatnonzero(places[0] == shard)
        held = held[np.argsort(places[1][held])]
        np.save(shard_path(folder, MASKS, shard), plain[held])
    return plain, ShardedArray(folder, MASKS, places, (3, 4, 5), np.uint8)


@pytest.mark.parametrize(
    "key",
    [
        *(0, -1, np.int64(7), (3, -1), (3, -2, slice(1, 3), 2), slice(None), slice(4, 40, 7)),
        *([5, 5, 0], np.array([90, 3]), (np.array([90, 3, 4]), slice(-2, None)), (slice(9), 0)),
        *(np.arange(114) % 5 == 0, [], (slice(0), slice(1))),
    ],
)
def test_it_is_indexed_as_one_array(key: Any, tmp_path: Path) -> None:
    plain, array = written(tmp_path)
    if isinstance(key, list) and not key:
        key = np.array([], np.int64)
    np.testing.assert_array_equal(array[key], plain[key])
    assert array[key].shape == plain[key].shape
    assert (array.shape, array.dtype, len(array)) == (plain.shape, plain.dtype, len(plain))


def test_it_is_iterated_as_one_array_and_ends(tmp_path: Path) -> None:
    plain, array = written(tmp_path)
    np.testing.assert_array_equal(np.stack(list(array)), plain)
    with pytest.raises(IndexError):
        array[len(plain)]


def mapped(folder: Path) -> int:
    maps = Path("/proc/self/maps").read_text().splitlines()
    return len({line.split()[-1] for line in maps if str(folder) in line})


def test_one_row_is_a_view_and_few_files_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_MOST_OPEN", 3)
    plain, array = written(tmp_path)
    assert mapped(tmp_path) == 0, "files are mapped when a row of theirs is asked for"
    row = array[5, 1:]
    assert mapped(tmp_path) == 1
    assert not row.flags.owndata
    assert not row.flags.writeable
    array[:]
    assert mapped(tmp_path) <= 4, "three, and the one that `row` lies in"
    np.testing.assert_array_equal(row, plain[5, 1:])


@pytest.mark.parametrize("damage", ["missing", "short", "empty", "more rows", "sides", "type"])
def test_a_damaged_file_is_named_before_a_row_is_read(damage: str, tmp_path: Path) -> None:
    plain, _ = written(tmp_path)
    path = shard_path(tmp_path, MASKS, 6)
    held = np.load(path)
    match damage:
        case "missing":
            path.unlink()
        case "short":
            path.write_bytes(path.read_bytes()[:-1])
        case "empty":
            path.write_bytes(b"")
        case "more rows":
            np.save(path, np.concatenate([held, held[:1]]))
        case "sides":
            np.save(path, held[:, :2])
        case "type":
            np.save(path, held.astype(np.int8))
    with pytest.raises((OSError, ValueError), match=path.name):
        ShardedArray(tmp_path, MASKS, shard_places(rows(NAMES, 1), 8), plain.shape[1:], np.uint8)
