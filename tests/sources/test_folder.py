"""The user's own folder of images and masks."""

from pathlib import Path

import pytest

from segpipe.params.prepare import SplitParams
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding
from segpipe.sources.folder.fetch import fetch
from segpipe.sources.folder.samples import list_samples
from tests.forge import make_folder, save, scene

BY_FOLDER = SplitParams()


def findings(raw: Path, split: SplitParams = BY_FOLDER) -> list[Finding]:
    return list_samples(raw, split).findings


def said(raw: Path, split: SplitParams = BY_FOLDER) -> str:
    """All findings as a person reads them."""
    return "\n".join(map(str, findings(raw, split)))


def move(raw: Path, before: str, after: str) -> None:
    (raw / after).parent.mkdir(parents=True, exist_ok=True)
    (raw / before).rename(raw / after)


def listing_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    return {
        path.as_posix(): (path.stat().st_mode, path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def test_samples_are_found_by_split_and_sorted(tmp_path: Path) -> None:
    found = list_samples(make_folder(tmp_path, train=4, val=2, test=1), BY_FOLDER)
    assert found.findings == []
    samples = found.samples
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
    assert len(list_samples(tmp_path / "raw", BY_FOLDER).samples["train"]) == 8


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


def test_all_unpaired_files_come_at_once_and_the_rest_is_listed(tmp_path: Path) -> None:
    make_folder(tmp_path, train=15, val=2)
    for path in sorted((tmp_path / "masks/train").iterdir())[:12]:
        path.unlink()
    (tmp_path / "images/val/drive0_000.png").unlink()
    found = list_samples(tmp_path, BY_FOLDER)
    text = said(tmp_path)
    assert "12 images have no mask" in text
    assert "... and 2 more" in text
    assert "1 masks have no image" in text
    assert "masks/val/drive0_000.png" in text
    assert [(finding.kind, len(finding.items)) for finding in found.findings] == [
        ("unpaired", 12),
        ("unpaired", 1),
    ]
    assert [len(found.samples[split]) for split in ("train", "val")] == [3, 1]


@pytest.mark.parametrize(
    ("image", "mask", "mending"),
    [
        ("a.png", "a_mask.png", "take `_mask` off the masks' names (1 would pair)"),
        ("a.png", "a_gtFine_labelIds.png", "take `_gtFine_labelIds` off the masks' names"),
        ("a_leftImg8bit.png", "a_gtFine_labelIds.png", "`_leftImg8bit` off the images' names"),
        ("a_leftImg8bit.png", "a.png", "take `_leftImg8bit` off the images' names"),
        ("Street.png", "street.png", "write both names in the same case"),
        ("stra\u00dfe\u00e4.png", "stra\u00dfea\u0308.png", "same Unicode normalisation (NFC)"),
        ("b.png", "../b.png", "put masks/ into the same subfolders"),
        ("b.png", "../val/b.png", "put masks/ into the same subfolders"),
    ],
)
def test_names_that_nearly_pair_come_with_the_way_to_pair_them(
    image: str, mask: str, mending: str, tmp_path: Path
) -> None:
    make_folder(tmp_path, train=3, val=2)
    save(tmp_path / "images/train" / image, scene(0)[0])
    save(tmp_path / "masks/train" / mask, scene(0)[1])
    found = findings(tmp_path)
    assert [finding.kind for finding in found] == ["unpaired", "unpaired"]
    for finding in found:
        assert mending in finding.repair
        assert len(finding.items) == 1
        assert "differs from" in finding.items[0]


def test_what_really_lacks_a_partner_is_not_explained_away(tmp_path: Path) -> None:
    make_folder(tmp_path, train=3, val=2)
    save(tmp_path / "images/train/one.png", scene(0)[0])
    save(tmp_path / "masks/train/other_mask.png", scene(0)[1])
    assert [finding.items for finding in findings(tmp_path)] == [
        ("images/train/one.png",),
        ("masks/train/other_mask.png",),
    ]


def test_two_files_of_one_base_name_are_an_error(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images/train/drive0_000.jpg", scene(0)[0])
    (finding,) = findings(tmp_path)
    assert (finding.kind, finding.severity) == ("name_twice", "error")
    assert "appear twice among the images" in finding.text
    assert finding.items == ("images/train/drive0_000.jpg and images/train/drive0_000.png",)


def test_truth_may_be_withheld_for_test_alone(tmp_path: Path) -> None:
    make_folder(tmp_path, test=2)
    for path in (tmp_path / "masks/test").iterdir():
        path.unlink()
    found = list_samples(tmp_path, BY_FOLDER)
    assert [sample.mask for sample in found.samples["test"]] == [None, None]
    assert found.findings == []


def test_truth_of_half_a_test_split_is_an_error(tmp_path: Path) -> None:
    make_folder(tmp_path, test=2)
    (tmp_path / "masks/test/drive0_000.png").unlink()
    assert [finding.items for finding in findings(tmp_path)] == [("images/test/drive0_000.png",)]
    assert len(list_samples(tmp_path, BY_FOLDER).samples["test"]) == 1


def test_images_outside_of_the_splits_are_named(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images/other.png", scene(0)[0])
    save(tmp_path / "masks/other.png", scene(0)[1])
    (finding,) = findings(tmp_path)
    assert (finding.kind, finding.items) == ("outside_splits", ("other",))
    assert "prepare.split.by" in finding.repair


def test_files_of_other_kinds_are_counted_and_hidden_ones_are_not(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for name in ("images/Thumbs.db", "images/train/a.gif", "images/train/b.GIF", "masks/README"):
        (tmp_path / name).write_bytes(b"")
    for name in ("images/.DS_Store", "images/train/._drive0_000.png", "masks/.keep/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (finding,) = findings(tmp_path)
    assert (finding.kind, finding.severity) == ("ignored_files", "warning")
    assert "4 files" in finding.text
    assert "1 .db, 2 .gif, 1 no suffix" in finding.text
    (tmp_path / "copy").mkdir()
    fetch(make_folder(tmp_path / "own"), tmp_path / "copy")
    assert not list((tmp_path / "copy").rglob("._*"))


def test_a_suffix_may_be_written_in_capitals(tmp_path: Path) -> None:
    make_folder(tmp_path)
    move(tmp_path, "images/train/drive0_000.png", "images/train/drive0_000.PNG")
    found = list_samples(tmp_path, BY_FOLDER)
    assert found.findings == []
    assert len(found.samples["train"]) == 8


def test_a_folder_without_any_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    make_folder(tmp_path / "x")
    (tmp_path / "x/masks").rename(tmp_path / "masks")
    with pytest.raises(DataError, match=r"images: holds no \.bmp, \.jpeg, \.jpg, \.png"):
        list_samples(tmp_path, BY_FOLDER)


def flat_folder(root: Path, drives: int, frames: int) -> Path:
    for drive in range(drives):
        for frame in range(frames):
            image, mask = scene(drive * frames + frame)
            save(root / f"images/drive{drive:02d}_{frame:03d}.png", image)
            save(root / f"masks/drive{drive:02d}_{frame:03d}.png", mask)
    return root


def parts(raw: Path, split: SplitParams) -> dict[str, str]:
    found = list_samples(raw, split).samples
    return {sample.name: part for part, members in found.items() for sample in members}


def test_a_ratio_keeps_groups_whole_and_is_reached(tmp_path: Path) -> None:
    flat_folder(tmp_path, drives=10, frames=4)
    split = SplitParams(by="ratio", val=0.2, test=0.1, group=r"^(drive\d+)_")
    samples = list_samples(tmp_path, split).samples
    groups = {part: {sample.group for sample in members} for part, members in samples.items()}
    assert [len(samples[part]) for part in ("train", "val", "test")] == [28, 8, 4]
    assert not groups["train"] & groups["val"]
    assert not groups["train"] & groups["test"]
    assert samples == list_samples(tmp_path, split).samples
    other = list_samples(tmp_path, split.model_copy(update={"seed": 1})).samples
    assert {s.group for s in other["val"]} != groups["val"]


def test_one_more_group_moves_few_samples(tmp_path: Path) -> None:
    split = SplitParams(by="ratio", val=0.25, group=r"^(drive\d+)_")
    flat_folder(tmp_path, drives=20, frames=1)
    before = parts(tmp_path, split)
    save(tmp_path / "images/drive99_000.png", scene(99)[0])
    save(tmp_path / "masks/drive99_000.png", scene(99)[1])
    after = parts(tmp_path, split)
    assert sum(before[name] != after[name] for name in before) <= 1


def test_names_without_a_group_are_named_and_left_out(tmp_path: Path) -> None:
    flat_folder(tmp_path, drives=2, frames=2)
    split = SplitParams(by="ratio", group=r"^city-(\w+)")
    (finding,) = findings(tmp_path, split)
    assert finding.kind == "no_group"
    assert "finds no group in 4 names" in finding.text
    assert sum(map(len, list_samples(tmp_path, split).samples.values())) == 0


def test_a_group_in_two_folders_is_an_error(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (finding,) = findings(tmp_path, SplitParams(group=r"^(drive\d)_"))
    assert (finding.kind, finding.severity) == ("torn_group", "error")
    assert "2 groups" in finding.text
    assert finding.items == ("drive0: train, val", "drive1: train, val")


def test_lists_choose_the_samples_and_say_what_they_leave(tmp_path: Path) -> None:
    flat_folder(tmp_path, drives=3, frames=2)
    (tmp_path / "train.txt").write_text("# ours\ndrive00_000\ndrive00_001\n\n")
    (tmp_path / "val.txt").write_text("drive02_001\n")
    found = list_samples(tmp_path, SplitParams(by="lists"))
    assert [sample.name for sample in found.samples["train"]] == ["drive00_000", "drive00_001"]
    assert [sample.name for sample in found.samples["val"]] == ["drive02_001"]
    assert found.samples["test"] == []
    (finding,) = found.findings
    assert (finding.kind, finding.severity) == ("unlisted", "warning")
    assert "3 images are in no list" in finding.text


def test_faulty_lists_are_explained_together(tmp_path: Path) -> None:
    flat_folder(tmp_path, drives=2, frames=1)
    lists = SplitParams(by="lists")
    (tmp_path / "train.txt").write_text("drive00_000\nabsent\ndrive01_000.png\ndrive00_000\n")
    assert "val.txt: there is no such file" in said(tmp_path, lists)
    (tmp_path / "val.txt").write_text("drive00_000\n")
    text = said(tmp_path, lists)
    assert "train.txt: absent is not among the images" in text
    assert "train.txt: drive01_000.png is not among the images (did you mean drive01_000?)" in text
    assert "train.txt: drive00_000 appears twice" in text
    assert "val.txt: drive00_000 is in train.txt too" in text


def test_all_kinds_of_faults_come_together(tmp_path: Path) -> None:
    make_folder(tmp_path, train=6, val=3)
    (tmp_path / "masks/train/drive0_000.png").unlink()
    save(tmp_path / "images/train/drive1_001.jpg", scene(1)[0])
    save(tmp_path / "images/stray.png", scene(2)[0])
    save(tmp_path / "masks/stray.png", scene(2)[1])
    (tmp_path / "images/train/notes.txt").write_text("")
    kinds = {finding.kind for finding in findings(tmp_path, SplitParams(group="^drive([01])_"))}
    expected = {"name_twice", "ignored_files", "unpaired", "no_group", "outside_splits"}
    assert kinds == expected | {"torn_group"}
