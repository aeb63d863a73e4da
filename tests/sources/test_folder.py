"""The user's own folder of images and masks."""

from pathlib import Path

import pytest

from segpipe.errors import DataError
from segpipe.params.schema import SplitParams
from segpipe.sources.folder import fetch, list_samples
from tests.forge import make_folder, save, scene

BY_FOLDER = SplitParams()


def refusal(raw: Path, split: SplitParams = BY_FOLDER) -> str:
    with pytest.raises(DataError) as caught:
        list_samples(raw, split)
    return str(caught.value)


def listing_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    return {
        path.as_posix(): (path.stat().st_mode, path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def test_samples_are_found_by_split_and_sorted(tmp_path: Path) -> None:
    samples = list_samples(make_folder(tmp_path, train=4, val=2, test=1), BY_FOLDER)
    assert [sample.name for sample in samples["train"]] == sorted(
        ["drive0_000", "drive1_001", "drive0_002", "drive1_003"]
    )
    assert [len(samples[split]) for split in ("train", "val", "test")] == [4, 2, 1]
    assert samples["val"][0].image == "images/val/drive0_000.png"
    assert samples["val"][0].mask == "masks/val/drive0_000.png"


def test_fetching_copies_and_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    source, target = make_folder(tmp_path / "own"), tmp_path / "raw"
    target.mkdir()
    (source / "notes.md").write_text("not an image")
    before = listing_of(source)
    fetch(source, target)
    assert listing_of(source) == before
    copied = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    theirs = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    assert copied == theirs - {Path("notes.md")}
    for path in copied:
        assert (target / path).read_bytes() == (source / path).read_bytes()
        # A link would hand DVC's write protection on to the user's file.
        assert not (target / path).samefile(source / path)


def test_a_link_to_the_folder_works_like_the_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "raw").mkdir()
    fetch(tmp_path / "link", tmp_path / "raw")
    assert len(list_samples(tmp_path / "raw", BY_FOLDER)["train"]) == 8


def test_a_source_that_overlaps_the_target_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    with pytest.raises(DataError, match="overlaps"):
        fetch(tmp_path, tmp_path / "raw")


def test_a_missing_folder_is_named_with_the_repair(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no such folder; put your data"):
        fetch(tmp_path / "nowhere", tmp_path / "raw")
    (tmp_path / "half" / "images").mkdir(parents=True)
    with pytest.raises(DataError, match="masks/"):
        fetch(tmp_path / "half", tmp_path / "raw")


def test_all_unpaired_files_come_in_one_message(tmp_path: Path) -> None:
    make_folder(tmp_path, train=15, val=2)
    for path in sorted((tmp_path / "masks/train").iterdir())[:12]:
        path.unlink()
    (tmp_path / "images/val/drive0_000.png").unlink()
    said = refusal(tmp_path)
    assert "12 images have no mask" in said
    assert "... and 2 more" in said
    assert "1 masks have no image" in said
    assert "masks/val/drive0_000.png" in said


def test_two_files_of_one_base_name_are_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images/train/drive0_000.jpg", scene(0)[0])
    assert "stand twice in images/" in refusal(tmp_path)


def test_truth_may_be_withheld_for_test_alone(tmp_path: Path) -> None:
    make_folder(tmp_path, test=2)
    for path in (tmp_path / "masks/test").iterdir():
        path.unlink()
    assert [sample.mask for sample in list_samples(tmp_path, BY_FOLDER)["test"]] == [None, None]


def test_images_outside_of_the_splits_are_named(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images/other.png", scene(0)[0])
    save(tmp_path / "masks/other.png", scene(0)[1])
    assert "other" in refusal(tmp_path)
    assert "prepare.split.by" in refusal(tmp_path)


def flat_folder(root: Path, drives: int, frames: int) -> Path:
    for drive in range(drives):
        for frame in range(frames):
            image, mask = scene(drive * frames + frame)
            save(root / f"images/drive{drive:02d}_{frame:03d}.png", image)
            save(root / f"masks/drive{drive:02d}_{frame:03d}.png", mask)
    return root


def test_a_ratio_keeps_groups_whole_and_is_reached(tmp_path: Path) -> None:
    flat_folder(tmp_path, drives=10, frames=4)
    split = SplitParams(by="ratio", val=0.2, test=0.1, group=r"^(drive\d+)_")
    samples = list_samples(tmp_path, split)
    groups = {part: {sample.group for sample in members} for part, members in samples.items()}
    assert [len(samples[part]) for part in ("train", "val", "test")] == [28, 8, 4]
    assert not groups["train"] & groups["val"]
    assert not groups["train"] & groups["test"]
    assert samples == list_samples(tmp_path, split)
    other = list_samples(tmp_path, split.model_copy(update={"seed": 1}))
    assert {s.group for s in other["val"]} != groups["val"]


def test_one_more_group_moves_few_samples(tmp_path: Path) -> None:
    split = SplitParams(by="ratio", val=0.25, group=r"^(drive\d+)_")
    flat_folder(tmp_path, drives=20, frames=1)
    before = {s.name: part for part, found in list_samples(tmp_path, split).items() for s in found}
    save(tmp_path / "images/drive99_000.png", scene(99)[0])
    save(tmp_path / "masks/drive99_000.png", scene(99)[1])
    after = {s.name: part for part, found in list_samples(tmp_path, split).items() for s in found}
    assert sum(before[name] != after[name] for name in before) <= 1


def test_a_name_without_a_group_is_named(tmp_path: Path) -> None:
    flat_folder(tmp_path, drives=2, frames=2)
    split = SplitParams(by="ratio", group=r"^city-(\w+)")
    assert "finds no group in 4 names" in refusal(tmp_path, split)


def test_a_group_in_two_folders_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    said = refusal(tmp_path, SplitParams(group=r"^(drive\d)_"))
    assert "2 groups" in said
    assert "drive0: train, val" in said


def test_lists_choose_the_samples(tmp_path: Path) -> None:
    flat_folder(tmp_path, drives=3, frames=2)
    (tmp_path / "train.txt").write_text("# ours\ndrive00_000\ndrive00_001\n\n")
    (tmp_path / "val.txt").write_text("drive02_001\n")
    samples = list_samples(tmp_path, SplitParams(by="lists"))
    assert [sample.name for sample in samples["train"]] == ["drive00_000", "drive00_001"]
    assert [sample.name for sample in samples["val"]] == ["drive02_001"]
    assert samples["test"] == []


def test_faulty_lists_are_explained_together(tmp_path: Path) -> None:
    flat_folder(tmp_path, drives=2, frames=1)
    (tmp_path / "train.txt").write_text("drive00_000\nabsent\n")
    assert "val.txt: there is no such file" in refusal(tmp_path, SplitParams(by="lists"))
    (tmp_path / "val.txt").write_text("drive00_000\n")
    said = refusal(tmp_path, SplitParams(by="lists"))
    assert "train.txt: absent is no image" in said
    assert "val.txt: drive00_000 stands in train.txt too" in said
