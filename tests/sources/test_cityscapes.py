"""Cityscapes from archives and from unpacked folders."""

import zipfile
from pathlib import Path

import pytest

from segpipe.errors import DataError
from segpipe.sources.cityscapes import check_without_unpacking, fetch, list_samples
from tests.forge import save, scene


def unpacked(root: Path) -> Path:
    number = 0
    for split, city in (("train", "aa"), ("train", "bb"), ("val", "cc"), ("test", "dd")):
        for sequence in range(2):
            stem = f"{city}_{sequence:06d}_000019"
            image, mask = scene(number)
            save(root / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png", image)
            save(root / f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png", mask)
            number += 1
    return root


def archived(source: Path, root: Path) -> Path:
    root.mkdir()
    for part, name in (
        ("leftImg8bit", "leftImg8bit_trainvaltest"),
        ("gtFine", "gtFine_trainvaltest"),
    ):
        with zipfile.ZipFile(root / f"{name}.zip", "w") as archive:
            for path in sorted((source / part).rglob("*.png")):
                archive.write(path, path.relative_to(source))
    return root


def test_archives_and_folders_give_the_same(tmp_path: Path) -> None:
    folders = unpacked(tmp_path / "folders")
    archives = archived(folders, tmp_path / "archives")
    found = []
    for source in (folders, archives):
        target = tmp_path / f"raw-{source.name}"
        target.mkdir()
        fetch(source, target)
        found.append(list_samples(target))
        assert check_without_unpacking(source) == found[-1]
    assert found[0] == found[1]
    assert [len(found[0][split]) for split in ("train", "val", "test")] == [4, 2, 2]
    first = found[0]["train"][0]
    assert (first.name, first.group) == ("aa_000000_000019", "aa")
    assert first.mask == "gtFine/train/aa/aa_000000_000019_gtFine_labelIds.png"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"leftImg8bit_trainvaltest\.zip \(or the folder"):
        fetch(tmp_path, tmp_path / "raw")


def test_files_without_a_partner_are_listed(tmp_path: Path) -> None:
    source = unpacked(tmp_path)
    (source / "gtFine/train/aa/aa_000000_000019_gtFine_labelIds.png").unlink()
    (source / "leftImg8bit/val/cc/cc_000001_000019_leftImg8bit.png").unlink()
    (source / "gtFine/test/dd/dd_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError) as caught:
        list_samples(source)
    said = str(caught.value)
    assert "2 files of Cityscapes lack their partner" in said
    assert "aa_000000_000019_leftImg8bit.png has no" in said
    assert "cc_000001_000019_gtFine_labelIds.png has no image" in said


def test_a_test_image_may_lack_its_truth(tmp_path: Path) -> None:
    source = unpacked(tmp_path)
    (source / "gtFine/test/dd/dd_000000_000019_gtFine_labelIds.png").unlink()
    assert [sample.mask is None for sample in list_samples(source)["test"]] == [True, False]
