"""The user's own folder of large rasters."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe.params.prepare import RasterParams, SplitParams
from segpipe.raw.rasters.windows import ownership_mask
from segpipe.raw.sample import SPLITS, Window
from segpipe.runtime.errors import DataError
from segpipe.sources.listing import Listing
from segpipe.sources.rasters.fetch import fetch
from segpipe.sources.rasters.samples import list_samples
from tests.raw.rasters.geotiffs import coarser, write_tif

BY_FOLDER = SplitParams()
RANDOM = np.random.default_rng(2)


def pair(root: Path, name: str, height: int = 40, width: int = 60, ratio: int = 1) -> None:
    write_tif(root / f"images/{name}.tif", RANDOM.integers(0, 9000, (3, height, width), np.uint16))
    labels = RANDOM.integers(0, 3, (height // ratio, width // ratio), np.uint8)
    write_tif(root / f"masks/{name}.tif", labels, transform=coarser(ratio))


def make_rasters(
    root: Path, names: tuple[str, ...] = ("train/a", "train/b", "val/c"), **size: Any
) -> Path:
    for name in names:
        pair(root, name, **size)
    return root


def listing_of(root: Path, split: SplitParams = BY_FOLDER, **rasters: Any) -> Listing:
    return list_samples(root, split, 16, 24, RasterParams(**rasters))


def told(listing: Listing) -> dict[str, str]:
    return {finding.kind: str(finding) for finding in listing.findings}


def test_windows_are_samples_and_the_raster_is_their_group(tmp_path: Path) -> None:
    listing = listing_of(make_rasters(tmp_path))
    assert not listing.findings and listing.truth_ratio == 1
    assert [len(listing.samples[part]) for part in SPLITS] == [18, 9, 0]
    last = listing.samples["train"][8]
    assert last.name == "a/y24_x36" and last.group == "train/a"
    assert last.window == Window(24, 36, 16, 24, skip_top=8, skip_left=12)
    assert (last.image, last.mask) == ("images/train/a.tif", "masks/train/a.tif")


@pytest.mark.parametrize("ratio", [1, 4])
def test_evaluation_counts_every_pixel_once_and_training_overlaps(
    tmp_path: Path, ratio: int
) -> None:
    names = ("train/a", "val/c", "test/d")
    listing = list_samples(
        make_rasters(tmp_path, names, ratio=ratio), BY_FOLDER, 16, 24, RasterParams(overlap=7)
    )
    assert listing.truth_ratio == ratio and not listing.findings
    for part in SPLITS:
        seen = np.zeros((40 // ratio, 60 // ratio), int)
        scored = seen.copy()
        for sample in listing.samples[part]:
            window = sample.window
            assert window is not None
            place = (
                slice(window.top // ratio, (window.top + 16) // ratio),
                slice(window.left // ratio, (window.left + 24) // ratio),
            )
            seen[place] += 1
            scored[place] += ownership_mask(window, ratio)
        assert seen.min() >= 1
        if part != "train":
            assert (scored == 1).all()
    lefts = sorted({one.window.left for one in listing.samples["train"] if one.window})
    assert max(np.diff(lefts)) <= 24 - 7
    assert sorted({one.window.left for one in listing.samples["val"] if one.window}) == [0, 24, 36]


def test_lists_ratio_and_groups(tmp_path: Path) -> None:
    root = make_rasters(tmp_path, ("north_1", "north_2", "south_1", "deep/south_2"))
    (root / "train.txt").write_text("north_1\ndeep/south_2\n")
    (root / "val.txt").write_text("south_1\n")
    listing = listing_of(root, SplitParams(by="lists"))
    assert {one.group for one in listing.samples["train"]} == {"north_1", "deep/south_2"}
    assert list(told(listing)) == ["unlisted"]
    torn = listing_of(root, SplitParams(by="lists", group="([a-z]+)_"))
    assert "south: train, val" in told(torn)["torn_group"]
    shared = listing_of(root, SplitParams(by="ratio", val=0.5, group="([a-z]+)_"))
    assert {one.group for one in shared.samples["train"]} in ({"north"}, {"south"})
    assert not shared.findings
    lost = listing_of(root, SplitParams(by="ratio", group="(north)_"))
    assert "finds no group in 2 names" in told(lost)["no_group"]


def test_test_rasters_may_lack_truth_all_of_them(tmp_path: Path) -> None:
    root = make_rasters(tmp_path, ("train/a", "val/b", "test/c", "test/d"))
    for name in ("c", "d"):
        (root / f"masks/test/{name}.tif").unlink()
    listing = listing_of(root)
    assert not listing.findings and {one.mask for one in listing.samples["test"]} == {None}
    assert len(listing.samples["test"]) == 18
    pair(root, "test/d")
    assert "images/test/c.tif" in told(listing_of(root))["unpaired"]


def test_all_that_is_wrong_is_told_at_once_and_the_whole_stays(tmp_path: Path) -> None:
    root = make_rasters(tmp_path, ("train/a", "val/b"))
    write_tif(root / "images/train/lonely.tif", np.ones((3, 40, 60), np.uint16))
    write_tif(root / "images/stray.tif", np.ones((3, 40, 60), np.uint16))
    write_tif(root / "masks/stray.tif", np.ones((40, 60), np.uint8))
    for name, image, mask in (
        ("floats", (3, 40, 60), np.ones((40, 60), np.float32)),
        ("ratio", (3, 40, 60), np.ones((30, 45), np.uint8)),
        ("bands", (4, 40, 60), np.ones((40, 60), np.uint8)),
        ("small", (3, 15, 60), np.ones((15, 60), np.uint8)),
    ):
        write_tif(root / f"images/train/{name}.tif", np.ones(image, np.uint16))
        write_tif(root / f"masks/train/{name}.tif", mask)
    pair(root, "train/cut")
    (root / "images/train/cut.tif").write_bytes(b"II*\0")
    pair(root, "train/coarse", ratio=2)
    pair(root, "train/crs")
    write_tif(root / "masks/train/crs.tif", np.ones((40, 60), np.uint8), crs="EPSG:32737")
    (root / "images/train/a.tiff").write_bytes((root / "images/train/a.tif").read_bytes())
    listing = listing_of(root)
    found = told(listing)
    truths = "\n".join(str(one) for one in listing.findings if one.kind == "truth")
    assert "images/train/lonely.tif" in found["unpaired"]
    assert "stray" in found["outside_splits"]
    assert "masks/train/floats.tif: holds float32" in truths
    assert (
        "masks/train/ratio.tif: has 30 x 45 pixels and its image images/train/ratio.tif" in truths
    )
    assert "masks/train/crs.tif: does not lie on its image" in truths
    assert "masks/train/coarse.tif: 2 image pixels to a truth pixel instead of 1" in truths
    assert "images/train/bands.tif: 4 bands instead of 3" in found["bands"]
    assert "prepare.height is 16, but the raster's height is 15" in found["windows"]
    assert "cut.tif: cannot be read" in found["unreadable"]
    assert "images/train/a.tif and images/train/a.tiff" in found["name_twice"]
    assert {one.image for one in listing.samples["train"]} == {"images/train/a.tif"}
    assert {one.image for one in listing.samples["val"]} == {"images/val/b.tif"}


def test_chosen_bands_must_be_there_and_others_may_differ(tmp_path: Path) -> None:
    root = make_rasters(tmp_path)
    write_tif(root / "images/val/c.tif", np.ones((4, 40, 60), np.uint16))
    assert not listing_of(root, bands=[3, 1]).findings
    assert "band 4 of prepare.rasters.bands" in told(listing_of(root, bands=[4]))["bands"]


def test_several_kinds_of_number_are_doubtful(tmp_path: Path) -> None:
    root = make_rasters(tmp_path)
    write_tif(root / "images/val/c.tif", np.ones((3, 40, 60), np.uint8))
    listing = listing_of(root)
    assert [one.severity for one in listing.findings] == ["warning"]
    assert "uint16, uint8" in told(listing)["dtypes"]


def test_an_overlap_that_leaves_no_way_ahead_is_told(tmp_path: Path) -> None:
    text = told(listing_of(make_rasters(tmp_path), overlap=16))["windows"]
    assert "prepare.rasters.overlap is 16" in text and "make it 15 or less" in text


def test_fetching_copies_what_belongs_to_the_rasters(tmp_path: Path) -> None:
    source, raw = make_rasters(tmp_path / "own"), tmp_path / "raw"
    raw.mkdir()
    (source / "classes.csv").write_text("id,name\n0,land\n")
    (source / "images/train/a.tfw").write_text("10\n0\n0\n-10\n0\n0\n")
    (source / "images/train/a.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    (source / "images/train/preview.jpg").write_bytes(b"not wanted")
    fetch(source, raw)
    copied = {path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()}
    theirs = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert copied == theirs - {"images/train/preview.jpg"}
    before, after = listing_of(source), listing_of(raw)
    assert (after.samples, after.findings) == (before.samples, [])
    assert [(each.kind, each.items) for each in before.findings] == [
        ("ignored_files", ("images/train/preview.jpg",))
    ]
    assert "source.name in params.yaml is folder" in before.findings[0].repair


def test_a_folder_without_rasters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"needs a folder images/"):
        listing_of(tmp_path)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    (tmp_path / "images/a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"images: holds no \.tif, \.tiff files"):
        listing_of(tmp_path)
