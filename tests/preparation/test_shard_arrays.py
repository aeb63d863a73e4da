"""Which files of prepared data differ after one sample was added, removed, changed or left out."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from segpipe.dataset import shards
from segpipe.dataset.layout import read_index
from segpipe.dataset.reader import open_dataset
from segpipe.labels.exclusion import excluded_labels
from segpipe.labels.load import load_scheme
from segpipe.params.prepare import CopyParams, PrepareParams, SplitParams
from segpipe.preparation import shard_arrays
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.sources.folder.samples import list_samples
from tests.forge import make_folder, save, scene

SHARDS = 8
PREPARE = PrepareParams(height=16, width=24)
COPIED = PrepareParams(height=16, width=24, copies=CopyParams(count=2))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 4 to 8 KB, so that 24 to 42 rows of 1.5 KB are eight of them."""
    monkeypatch.setattr(shards, "_LEAST_AVERAGE", 4096)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "raw", train=24, val=3, height=24, width=32)


def prepared(
    raw: Path, target: Path, prepare: PrepareParams = PREPARE, without: tuple[str, ...] = ()
) -> dict[str, bytes]:
    """Prepare; return the content of all files by name."""
    target.mkdir()
    scheme = load_scheme("classes.csv", {}, raw)
    context = PrepareContext(raw, scheme, PICTURES, prepare, excluded_labels(scheme, without))
    prepare_data(list_samples(raw, SplitParams()).samples, context, target)
    files = (path for path in target.rglob("*") if path.is_file())
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in files}


def differing(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    """The names of files that are not the same in both."""
    return {name for name in before | after if before.get(name) != after.get(name)}


def files_of(name: str, *kinds: str, number: int = SHARDS) -> set[str]:
    """The files in which a training sample lies, by the rule of docs/data-format.md."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    shard = int.from_bytes(digest, "big") % number
    return {f"train/{kind}-{shard:05d}.npy" for kind in kinds or ("images", "masks")}


def add(raw: Path, name: str) -> None:
    image, mask = scene(77, 24, 32)
    save(raw / f"images/train/{name}.png", image)
    save(raw / f"masks/train/{name}.png", mask)


# What is small, and speaks of the content of all samples or of their names.
CONTENT = {"dataset.json", "sums.json", "train/digests.npy"}
INDEX = CONTENT | {"train/index.csv"}


def test_the_split_lies_in_several_shards(raw: Path, tmp_path: Path) -> None:
    files = prepared(raw, tmp_path / "p")
    split = open_dataset(tmp_path / "p").split("train")
    expected = set().union(*(files_of(row.sample.name) for row in split.rows))
    assert {name for name in files if name.startswith(("train/images", "train/masks"))} == expected
    assert len(expected) > SHARDS
    assert open_dataset(tmp_path / "p").shards == {"train": SHARDS, "val": 1}
    assert prepared(raw, tmp_path / "again") == files


@pytest.mark.parametrize("name", ["a", "drive0_0045", "drive1_013b", "zebra"])
@pytest.mark.parametrize("prepare", [PREPARE, COPIED], ids=["plain", "copied"])
def test_an_added_sample_changes_its_shard_alone(
    name: str, prepare: PrepareParams, raw: Path, tmp_path: Path
) -> None:
    before = prepared(raw, tmp_path / "before", prepare)
    add(raw, name)
    after = prepared(raw, tmp_path / "after", prepare)
    number = open_dataset(tmp_path / "after").shards["train"]
    assert number == (SHARDS if prepare is PREPARE else 2 * SHARDS)
    assert differing(before, after) == files_of(name, number=number) | INDEX
    # The order of the others, and what they hold, is the same.
    old, new = (open_dataset(tmp_path / when).split("train") for when in ("before", "after"))
    others = [place for place, row in enumerate(new.rows) if row.sample.name != name]
    assert [new.rows[place] for place in others] == old.rows
    np.testing.assert_array_equal(new.images_NTHWC[others], old.images_NTHWC[:])
    np.testing.assert_array_equal(new.masks_Nhw[others], old.masks_Nhw[:])


def test_a_removed_sample_changes_its_shard_alone(raw: Path, tmp_path: Path) -> None:
    before = prepared(raw, tmp_path / "before")
    for name in ("drive0_006", "drive1_023"):
        shutil.copytree(raw, tmp_path / name)
        for kind in ("images", "masks"):
            (tmp_path / name / kind / "train" / f"{name}.png").unlink()
        # 23 rows of 1536 bytes are still eight shards of 4096 bytes and more.
        after = prepared(tmp_path / name, tmp_path / f"without {name}")
        assert differing(before, after) == files_of(name) | INDEX


def test_a_changed_picture_or_mask_changes_that_file_alone(raw: Path, tmp_path: Path) -> None:
    before = prepared(raw, tmp_path / "before")
    image, mask = scene(6, 24, 32)
    save(raw / "images/train/drive0_006.png", 255 - image)
    after = prepared(raw, tmp_path / "image")
    assert differing(before, after) == files_of("drive0_006", "images") | CONTENT
    save(raw / "masks/train/drive0_006.png", mask[::-1].copy())
    both = prepared(raw, tmp_path / "both")
    assert differing(after, both) == files_of("drive0_006", "masks") | CONTENT


def test_the_order_of_the_list_moves_no_row(raw: Path, tmp_path: Path) -> None:
    before = prepared(raw, tmp_path / "before")
    listing = list_samples(raw, SplitParams()).samples
    turned = {split: members[::-1] for split, members in listing.items()}
    (tmp_path / "after").mkdir()
    context = PrepareContext(raw, load_scheme("classes.csv", {}, raw), PICTURES, PREPARE)
    prepare_data(turned, context, tmp_path / "after")
    for name, content in before.items():
        if name.startswith(("train/images", "train/masks")):
            assert (tmp_path / "after" / name).read_bytes() == content
    names = [row.sample.name for row in read_index(tmp_path / "after/train/index.csv")]
    assert names == [sample.name for sample in listing["train"]][::-1]


@pytest.mark.parametrize("prepare", [PREPARE, COPIED], ids=["plain", "copied"])
def test_what_is_left_out_leaves_the_bytes_of_data_without_it(
    prepare: PrepareParams, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (raw / "classes.csv").open("a") as labels:
        labels.write("7,tram,0,80,100\n")
    # All of one shard, which then has no file, and some of others.
    number = SHARDS if prepare is PREPARE else 2 * SHARDS
    first, names = files_of("drive0_000", number=number), [*map(_name, range(24))]
    left_out = {name for name in names if files_of(name, number=number) == first}
    left_out |= {"drive1_011", "drive0_014"}
    without = shutil.copytree(raw, tmp_path / "without")
    for name in left_out:
        mask = scene(0, 24, 32)[1]
        mask[0, 0] = 7
        save(raw / f"masks/train/{name}.png", mask)
        for kind in ("images", "masks"):
            (without / kind / "train" / f"{name}.png").unlink()
    found = prepared(raw, tmp_path / "p", prepare, ("tram",))
    # With fewer samples there would be fewer shards.
    monkeypatch.setattr(shard_arrays, "shard_count", lambda size: number if size > 9000 else 1)
    expected = prepared(without, tmp_path / "expected", prepare)
    assert not first & found.keys()
    counted = {"dataset.json", "sums.json"}
    assert differing(found, expected) == counted, "dataset.json counts what is left out"
    split, other = (open_dataset(tmp_path / name).split("train") for name in ("p", "expected"))
    assert split.rows == other.rows
    np.testing.assert_array_equal(split.images_NTHWC[:], other.images_NTHWC[:])
    np.testing.assert_array_equal(split.masks_Nhw[:], other.masks_Nhw[:])


def _name(number: int) -> str:
    return f"drive{number % 2}_{number:03d}"
