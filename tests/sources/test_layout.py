"""Which folders are read; what is said of other data brings it into what is read (other_layouts.py)."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.labels.load import load_scheme
from segpipe.params.prepare import RasterParams, SplitParams
from segpipe.raw.pictures.files import read_image, read_mask
from segpipe.runtime.errors import DataError
from segpipe.sources.folder.fetch import fetch
from segpipe.sources.folder.samples import list_samples
from segpipe.sources.rasters.samples import list_samples as list_rasters
from tests.forge import make_folder, save, scene


def refusal(root: Path) -> str:
    with pytest.raises(DataError) as raised:
        list_samples(root, SplitParams())
    return str(raised.value)


def follow(text: str) -> None:
    """Run the command that a message ends with, as a person would."""
    found = re.search(r"^[\w .]+: ((?:cd|python) .+)$", text, re.MULTILINE)
    assert found, text
    subprocess.run(found[1], shell=True, check=True)


def rearranged(root: Path, *moves: tuple[str, str]) -> Path:
    make_folder(root, train=3, val=2)
    for old, new in moves:
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)
    for part in ("images", "masks"):
        if (root / part).is_dir() and not any((root / part).iterdir()):
            (root / part).rmdir()
    return root


SPLIT_FIRST = [
    (f"{part}/{split}", f"{split}/{name}")
    for part, name in (("images", "images"), ("masks", "masks"))
    for split in ("train", "val")
]


@pytest.mark.parametrize(
    ("moves", "said"),
    [
        ([("masks", "labels")], "images in images; masks in labels"),
        ([("masks", "annotations")], "images in images; masks in annotations"),
        (
            [("images", "JPEGImages"), ("masks", "SegmentationClass")],
            "images in JPEGImages; masks in SegmentationClass",
        ),
        (SPLIT_FIRST, "images in train/images, val/images; masks in train/masks, val/masks"),
        (
            [("images/val", "valid/img"), ("masks/val", "valid/label"), *SPLIT_FIRST[::2]],
            "images in train/images, valid/img; masks in train/masks, valid/label",
        ),
        (
            [("masks/train", "gt/training"), ("masks/val", "gt/validation"), ("images", "RGB")],
            "images in RGB; masks in gt",
        ),
    ],
)
def test_usual_names_are_read_as_they_are(
    moves: list[tuple[str, str]], said: str, tmp_path: Path
) -> None:
    usual = list_samples(make_folder(tmp_path / "usual", train=3, val=2), SplitParams())
    root = rearranged(tmp_path / "my data", *moves)
    listing = list_samples(root, SplitParams())
    assert (listing.findings, listing.folders, usual.folders) == ([], said, "")
    for split in ("train", "val"):
        found = [
            (sample.name, sample.group.rpartition("/")[2]) for sample in listing.samples[split]
        ]
        assert found == [(one.name, one.group.rpartition("/")[2]) for one in usual.samples[split]]
        for sample, same in zip(listing.samples[split], usual.samples[split], strict=True):
            for new, old in ((sample.image, same.image), (sample.mask, same.mask)):
                wanted = (tmp_path / "usual" / str(old)).read_bytes()
                assert (root / str(new)).read_bytes() == wanted
    (tmp_path / "raw").mkdir()
    fetch(root, tmp_path / "raw")
    assert list_samples(tmp_path / "raw", SplitParams()) == listing


def test_names_of_lists_are_those_of_the_folders(tmp_path: Path) -> None:
    root = rearranged(
        tmp_path, ("images/train", "images/training"), ("masks/train", "masks/training")
    )
    (root / "train.txt").write_text("training/drive0_000\n")
    (root / "val.txt").write_text("val/drive0_000\n")
    found = list_samples(root, SplitParams(by="lists"))
    assert [sample.name for sample in found.samples["train"]] == ["training/drive0_000"]
    assert len(list_samples(root, SplitParams()).samples["train"]) == 3


def test_two_folders_that_may_be_the_masks_are_refused(tmp_path: Path) -> None:
    root = rearranged(tmp_path, ("masks", "labels"))
    shutil.copytree(root / "labels", root / "annotations")
    assert "annotations/ and labels/ may all be the masks; rename the one" in refusal(root)
    for path in sorted((root / "annotations").rglob("*.png")):
        path.rename(path.with_suffix(".json"))
    assert list_samples(root, SplitParams()).folders == "images in images; masks in labels"


def test_images_and_masks_come_first_and_the_others_are_named(tmp_path: Path) -> None:
    root = make_folder(tmp_path, train=3, val=2)
    shutil.copytree(root / "masks", root / "labels")
    found = list_samples(root, SplitParams())
    (finding,) = found.findings
    assert (finding.kind, finding.severity, finding.items) == (
        "passed_over",
        "warning",
        ("labels/",),
    )
    assert found.samples["train"][0].mask == "masks/train/drive0_000.png"


def test_a_split_without_masks_is_missed_but_in_test(tmp_path: Path) -> None:
    moves = [*SPLIT_FIRST, ("images/test", "test/images")]
    make_folder(tmp_path, train=3, val=2, test=1)
    for old, new in moves:
        (tmp_path / new).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / old).rename(tmp_path / new)
    shutil.rmtree(tmp_path / "masks", ignore_errors=True)
    found = list_samples(tmp_path, SplitParams())
    assert found.findings == []
    assert [sample.mask for sample in found.samples["test"]] == [None]
    shutil.rmtree(tmp_path / "val/masks")
    (finding,) = list_samples(tmp_path, SplitParams()).findings
    assert (finding.kind, len(finding.items)) == ("unpaired", 2)


def test_an_empty_folder_of_the_usual_name_is_not_meant(tmp_path: Path) -> None:
    root = rearranged(tmp_path, ("masks", "labels"))
    (root / "masks").mkdir()
    assert list_samples(root, SplitParams()).folders == "images in images; masks in labels"


@pytest.mark.parametrize("suffix", [".webp", ".bmp", ".tif", ".tiff", ".png", ".TIF"])
def test_images_and_masks_of_every_format_are_read(suffix: str, tmp_path: Path) -> None:
    root = make_folder(tmp_path, train=2, val=1)
    before = list_samples(root, SplitParams()).samples["train"]
    arrays = [
        np.asarray(Image.open(root / str(path))) for path in (before[0].image, before[0].mask)
    ]
    for path in sorted(root.rglob("*.png")):
        picture = Image.open(path)
        path.unlink()
        picture.save(path.with_suffix(suffix), lossless=True)
    found = list_samples(root, SplitParams())
    assert found.findings == []
    (sample, _) = found.samples["train"]
    np.testing.assert_array_equal(read_image(root / sample.image), arrays[0])
    scheme = load_scheme("classes.csv", {}, root)
    train_HW, unknown, _ = read_mask(root / str(sample.mask), scheme)
    assert unknown == {}
    np.testing.assert_array_equal(train_HW, scheme.encode(arrays[1])[0])


def test_a_folder_too_high_and_images_without_folders_are_named(tmp_path: Path) -> None:
    make_folder(tmp_path / "own/dataset")
    assert f"set source.path in params.yaml to {tmp_path / 'own/dataset'}" in refusal(
        tmp_path / "own"
    )
    save(tmp_path / "flat/a.png", scene(0)[0])
    assert "./: 1 .png\nput images into images/ and their masks" in refusal(tmp_path / "flat")
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty").endswith("no file was found there")


def test_a_link_to_nowhere_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path / "own")
    (tmp_path / "own/masks").rename(tmp_path / "away")
    (tmp_path / "own/masks").symlink_to(tmp_path / "gone")
    assert f"{tmp_path / 'own/masks'}/, a link to {tmp_path / 'gone'}" in refusal(tmp_path / "own")


def test_images_of_another_kind_are_counted_and_the_command_converts_them(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "it's mine", train=2, val=0)
    for path in sorted((root / "images/train").iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".ppm"))
        path.unlink()
    text = refusal(root)
    assert (
        "images: holds no .bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp files\nfound there:" in text
    )
    assert "images/train/: 2 .ppm" in text
    follow(text)
    found = list_samples(root, SplitParams())
    assert len(found.samples["train"]) == 2
    with Image.open(root / found.samples["train"][0].image) as image:
        assert image.tobytes() == scene(0)[0].tobytes()


def test_converting_overwrites_nothing(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "own", train=3, val=2)
    before = (root / "images/train/drive0_000.png").read_bytes()
    Image.fromarray(scene(9)[0]).save(root / "images/train/drive0_000.ppm")
    Image.fromarray(scene(9)[0]).save(root / "images/train/new.ppm")
    (finding,) = list_samples(root, SplitParams()).findings
    assert (finding.kind, "(2 .ppm)" in finding.text) == ("ignored_files", True)
    command = finding.repair.partition("convert .ppm to .png: ")[2]
    subprocess.run(command, shell=True, check=True)
    assert (root / "images/train/drive0_000.png").read_bytes() == before
    assert (root / "images/train/new.png").is_file()


def test_pictures_for_the_rasters_source_are_named(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "own", train=2, val=1)
    with pytest.raises(DataError) as raised:
        list_rasters(root, SplitParams(), 32, 32, RasterParams())
    assert "holds no .tif, .tiff files" in str(raised.value)
    assert "images/train/: 2 .png" in str(raised.value)
    assert "source.name in params.yaml is folder" in str(raised.value)
