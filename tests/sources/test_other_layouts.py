"""What is said of data in another layout brings it into the one that is read."""

import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from segpipe.params.prepare import RasterParams, SplitParams
from segpipe.runtime.errors import DataError
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
    ("moves", "found"),
    [
        ([("masks", "labels")], "labels/train/: 3 .png"),
        ([("masks", "annotations")], "annotations/val/: 2 .png"),
        ([("images", "JPEGImages"), ("masks", "SegmentationClass")], "JPEGImages/train/: 3 .png"),
        (SPLIT_FIRST, "train/images/: 3 .png"),
        (
            [("images/val", "valid/img"), ("masks/val", "valid/label"), *SPLIT_FIRST[::2]],
            "valid/label/: 2 .png",
        ),
        ([("masks/train", "gt/training"), ("masks/val", "gt/validation")], "gt/training/: 3 .png"),
    ],
)
def test_the_command_brings_the_data_into_the_layout(
    moves: list[tuple[str, str]], found: str, tmp_path: Path
) -> None:
    root = rearranged(tmp_path / "my data", *moves)
    text = refusal(root)
    assert "needs a folder images/ and a folder masks/; not found" in text
    assert found in text
    follow(text)
    listing = list_samples(root, SplitParams())
    assert listing.findings == []
    assert [len(listing.samples[split]) for split in ("train", "val")] == [3, 2]


def test_an_empty_folder_in_the_way_goes_and_a_full_one_stays(tmp_path: Path) -> None:
    root = rearranged(tmp_path / "own", ("masks", "labels"))
    (root / "labels/notes.txt").write_text("of the people who labelled")
    (root / "masks").mkdir()
    follow(refusal(root))
    assert len(list_samples(root, SplitParams()).samples["train"]) == 3
    other = rearranged(tmp_path / "other", ("masks", "labels"))
    (other / "labels/notes.txt").write_text("of the people who labelled")
    (other / "masks").mkdir()
    (other / "masks/notes.txt").write_text("of somebody else")
    text = refusal(other)
    assert "masks/: 1 .txt" in text
    assert "mv " not in text


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


@pytest.mark.parametrize("suffix", [".webp", ".bmp", ".tif", ".gif"])
def test_images_of_another_kind_are_counted_and_the_command_converts_them(
    suffix: str, tmp_path: Path
) -> None:
    root = make_folder(tmp_path / "it's mine", train=2, val=0)
    for path in sorted((root / "images/train").iterdir()):
        with Image.open(path) as image:
            image.save(
                path.with_suffix(suffix), **({"lossless": True} if suffix == ".webp" else {})
            )
        path.unlink()
    text = refusal(root)
    assert "images: holds no .jpeg, .jpg, .png files\nfound there:" in text
    assert f"images/train/: 2 {suffix}" in text
    assert ("source.name in params.yaml is rasters" in text) == (suffix == ".tif")
    follow(text)
    found = list_samples(root, SplitParams())
    assert len(found.samples["train"]) == 2
    if suffix != ".gif":  # it has 256 colours
        with Image.open(root / found.samples["train"][0].image) as image:
            assert image.tobytes() == scene(0)[0].tobytes()


def test_converting_overwrites_nothing(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "own", train=3, val=2)
    before = (root / "images/train/drive0_000.png").read_bytes()
    Image.fromarray(scene(9)[0]).save(root / "images/train/drive0_000.bmp")
    Image.fromarray(scene(9)[0]).save(root / "images/train/new.bmp")
    (finding,) = list_samples(root, SplitParams()).findings
    assert (finding.kind, "(2 .bmp)" in finding.text) == ("ignored_files", True)
    command = finding.repair.partition("convert .bmp to .png: ")[2]
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
