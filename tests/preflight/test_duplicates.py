"""Near-duplicates by difference hash, against brute force and against real changes of a picture."""

import io
import random
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segpipe.preflight.duplicates import mirror, near_duplicates, nearest_within
from segpipe.preparation.sample_job import difference_hash
from segpipe.preparation.sample_stats import SampleStats
from segpipe.raw.sample import Sample, Window


def stats(split: str, name: str, dhash: int | None, brightness: float = 0.4) -> SampleStats:
    sample = Sample(name, name, f"images/{split}/{name}.png", None)
    side = (48, 64)
    return SampleStats(sample, split, image_side=side, brightness=brightness, dhash=dhash)


def photo(seed: int) -> Image.Image:
    """A picture with areas of all sizes."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize((192, 96), Image.Resampling.BICUBIC)


def hash_of(picture: Image.Image) -> int:
    return difference_hash(np.asarray(picture.resize((64, 48)).convert("L")))


def hashes(*values: int) -> NDArray[np.uint64]:
    return np.array(values, np.uint64)


def test_the_nearest_is_that_of_a_loop_over_all_pairs() -> None:
    draw = random.Random(3)
    first = [draw.getrandbits(64) for _ in range(200)]
    # Some are made near ones, so that there is something to find at every distance.
    second = [
        draw.choice(first) ^ (1 << draw.randrange(64)) ^ draw.getrandbits(3) for _ in range(700)
    ]
    second += [draw.getrandbits(64) for _ in range(100)]
    for far in (0, 2, 4):
        expected = {}
        for m, value in enumerate(second):
            distances = [(value ^ other).bit_count() for other in first]
            if min(distances) <= far:
                expected[m] = min(distances)
        found = nearest_within(hashes(*first), hashes(*second), far)
        assert {m: distance for m, _, distance in found} == expected
        assert all((second[m] ^ first[n]).bit_count() == d for m, n, d in found)
    assert found
    assert nearest_within(hashes(), hashes(1, 2), 4) == []
    assert nearest_within(hashes(1), hashes(), 4) == []


def test_twenty_five_thousand_samples_take_seconds() -> None:
    draw = np.random.default_rng(0)
    first, second = (draw.integers(0, 2**63, n, np.uint64) for n in (20_000, 5_000))
    second[::500] = first[:10]
    start = time.process_time()
    found = nearest_within(first, second, 4)
    assert time.process_time() - start < 10
    assert {m for m, _, distance in found if distance == 0} == set(range(0, 5_000, 500))


def test_mirroring_a_hash_is_hashing_the_mirrored_picture() -> None:
    for seed in range(20):
        # Areas as large as the hash's own, all of different brightness within a row.
        areas = np.stack(
            [np.random.default_rng(seed * 8 + row).permutation(256)[:9] for row in range(8)]
        )
        grey = np.kron(areas.astype(np.uint8), np.ones((4, 4), np.uint8))
        mirrored = mirror(hashes(difference_hash(grey)))[0]
        assert int(mirrored) == difference_hash(np.ascontiguousarray(grey[:, ::-1]))


def stored_anew(picture: Image.Image) -> Image.Image:
    memory = io.BytesIO()
    picture.save(memory, "JPEG", quality=40)
    return Image.open(memory)


@pytest.mark.parametrize(
    "change",
    [
        stored_anew,
        lambda picture: picture.resize((96, 48)),
        lambda picture: picture.point(lambda value: int(255 * (value / 255) ** 0.8)),
        lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    ],
    ids=["JPEG", "smaller", "brighter", "mirrored"],
)
def test_changed_copies_are_found_and_others_are_not(
    change: Callable[[Image.Image], Image.Image],
) -> None:
    train = [stats("train", f"t{seed}", hash_of(photo(seed))) for seed in range(40)]
    others = [stats("val", f"v{seed}", hash_of(photo(seed))) for seed in range(100, 140)]
    assert near_duplicates([*train, *others]) == []
    copies = [stats("val", f"c{seed}", hash_of(change(photo(seed)))) for seed in range(10)]
    (finding,) = near_duplicates([*train, *others, *copies])
    assert finding.severity == "warning"
    pairs = {tuple(item.split(":")[0].split(" and ")) for item in finding.items}
    assert pairs == {(f"train/t{seed}", f"val/c{seed}") for seed in range(10)}


def test_exact_copies_are_named_as_such_and_come_first() -> None:
    same, near = hash_of(photo(1)), hash_of(photo(2))
    samples = [
        stats("train", "a", same),
        stats("train", "b", near),
        stats("val", "c", near ^ 3),
        stats("test", "d", same),
    ]
    (finding,) = near_duplicates(samples)
    assert finding.items == (
        "train/a and test/d: the same picture",
        "train/b and val/c: nearly the same picture (2 of 64 bits of their hashes differ)",
    )
    assert finding.pictures == ("train/a", "test/d", "train/b", "val/c")


def test_copies_within_a_split_are_its_own_affair() -> None:
    assert near_duplicates([stats("train", name, hash_of(photo(1))) for name in "abc"]) == []


def test_pictures_of_fog_do_not_all_look_alike() -> None:
    train = [stats("train", f"t{n}", 1 << n, brightness=0.3 + n / 1000) for n in range(50)]
    val = [stats("val", f"v{n}", 1 << n, brightness=0.6 + n / 1000) for n in range(50)]
    black = [stats(split, "black", 0, brightness=0.0) for split in ("train", "val")]
    unread = [stats(split, "unread", None) for split in ("train", "val")]
    assert near_duplicates([*train, *val, *black, *unread]) == []
    # The very same one is found nevertheless: brightness, size and labels agree too.
    (finding,) = near_duplicates(
        [*train, *val, stats("val", "x", 1 << 7, brightness=0.3 + 7 / 1000)]
    )
    assert finding.items == ("train/t7 and val/x: the same picture",)


def test_windows_of_rasters_are_compared_like_pictures() -> None:
    def window(split: str, name: str) -> SampleStats:
        sample = Sample(name, name, f"images/{name}.tif", None, window=Window(0, 0, 48, 64))
        return SampleStats(sample, split, brightness=0.5, dhash=hash_of(photo(5)))

    assert len(near_duplicates([window("train", "a"), window("val", "b")])) == 1
