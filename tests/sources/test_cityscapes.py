"""Cityscapes from archives, from unpacked folders and from both: what is taken, and what is said."""

import functools
import itertools
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import VOID
from segpipe.params.source import SourceParams
from segpipe.raw.pictures.files import read_mask
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding
from segpipe.sources.cityscapes import fetch as cityscapes
from segpipe.sources.cityscapes.download import download
from segpipe.sources.cityscapes_layout.layout import SPLIT_OF
from segpipe.sources.cityscapes_layout.samples import list_samples
from segpipe.sources.listing import Listing
from tests.forge import save
from tests.sources.cityscapes.server import PASSWORD, USERNAME, CityscapesSite

FINE = {
    "train": ["aachen_000000_000019", "aachen_000001_000019", "bochum_000000_000313"],
    "val": ["lindau_000000_000019", "lindau_000001_000019"],
    "test": ["berlin_000000_000019"],
}
EXTRA = [f"augsburg_000000_{frame:06d}" for frame in range(8)] + ["troisdorf_000000_000073"]
TRUTH_KINDS = ("labelIds.png", "instanceIds.png", "color.png", "polygons.json")
ARCHIVES = {
    "leftImg8bit_trainvaltest.zip": ("leftImg8bit/train/", "leftImg8bit/val/", "leftImg8bit/test/"),
    "leftImg8bit_trainextra.zip": ("leftImg8bit/train_extra/",),
    "gtFine_trainvaltest.zip": ("gtFine/",),
    "gtCoarse.zip": ("gtCoarse/",),
    "leftImg8bit_sequence_trainvaltest.zip": ("leftImg8bit_sequence/",),
}


def path_of(folder: str, split: str, stem: str, kind: str = "") -> str:
    end = f"{folder.partition('_')[0]}{'_' if kind else ''}{kind or '.png'}"
    return f"{folder}/{split}/{stem.split('_')[0]}/{stem}_{end}"


def names_of_release() -> list[str]:
    """What the archives hold, in small: 30 frames a snippet, coarse truth for train and val too."""
    names = []
    for split, stems in FINE.items():
        for stem in stems:
            names.append(path_of("leftImg8bit", split, stem))
            names += [path_of("gtFine", split, stem, kind) for kind in TRUTH_KINDS]
            drive, frame = stem[:-7], int(stem[-6:])
            frames = [f"{drive}_{number:06d}" for number in range(frame - 19, frame + 11)]
            names += [path_of("leftImg8bit_sequence", split, one) for one in frames]
            if split != "test":
                names += [path_of("gtCoarse", split, stem, kind) for kind in TRUTH_KINDS]
    for stem in EXTRA:
        names.append(path_of("leftImg8bit", "train_extra", stem))
        names += [path_of("gtCoarse", "train_extra", stem, kind) for kind in TRUTH_KINDS]
    return names


def write(root: Path, *names: str) -> Path:
    """Files whose content is their name, so that a wrong copy shows."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def packed(names: list[str], root: Path) -> Path:
    """The official archives of these files."""
    root.mkdir(parents=True, exist_ok=True)
    for archive, beginnings in ARCHIVES.items():
        with zipfile.ZipFile(root / archive, "w") as file:
            file.writestr("README", "of the publisher")
            file.writestr("license.txt", "of the publisher")
            for name in names:
                if name.startswith(beginnings):
                    file.writestr(name, name)
    return root


def parameters(path: Path, frames: int = 1, stride: int = 1, **changes: Any) -> SourceParams:
    content = {"name": "cityscapes", "path": str(path), "cityscapes": changes}
    return SourceParams.model_validate(content | {"clip": {"frames": frames, "stride": stride}})


def fetched(source: SourceParams, target: Path) -> dict[str, str]:
    """Content by path of what fetch brings."""
    target.mkdir(parents=True)
    cityscapes.fetch(source, target, target.parent / "downloads")
    return {
        path.relative_to(target).as_posix(): path.read_text()
        for path in target.rglob("*")
        if path.is_file()
    }


def listed(raw: Path, **changes: Any) -> Listing:
    return list_samples(raw, parameters(raw, **changes), truth_withheld=True)


def only(found: Listing) -> Finding:
    (finding,) = found.findings
    return finding


def names_in(found: Listing) -> dict[str, list[str]]:
    return {split: [one.name for one in members] for split, members in found.samples.items()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("folders"), *names_of_release())


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(names_of_release(), tmp_path_factory.mktemp("archives"))


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("CITYSCAPES_USERNAME", "CITYSCAPES_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


class TestFetch:
    def expected(
        self, split_extra: list[str], back: Sequence[int] = (), before: Sequence[int] = ()
    ) -> dict[str, str]:
        names = []
        for split, stems in FINE.items():
            for stem in stems:
                names.append(path_of("leftImg8bit", split, stem))
                names += [path_of("gtFine", split, stem, kind) for kind in TRUTH_KINDS]
                # Of what is scored also the frame before the clip.
                for frames in (*back, *(() if split == "train" else before)):
                    earlier = f"{stem[:-6]}{int(stem[-6:]) - frames:06d}"
                    names.append(path_of("leftImg8bit_sequence", split, earlier))
        for stem in split_extra:
            names.append(path_of("leftImg8bit", "train_extra", stem))
            names.append(path_of("gtCoarse", "train_extra", stem, "labelIds.png"))
        return {name: name for name in names}

    @pytest.mark.parametrize("kind", ["folders", "archives", "mixed"])
    @pytest.mark.parametrize("chosen", ["fine", "clips", "longest_clips", "coarse"])
    def test_what_the_parameters_need_comes_and_nothing_else(
        self, kind: str, chosen: str, folders: Path, archives: Path, tmp_path: Path
    ) -> None:
        place = {"folders": folders, "archives": archives, "mixed": tmp_path / "mixed"}[kind]
        if kind == "mixed":
            for part in ("gtFine", "gtCoarse"):
                shutil.copytree(folders / part, place / part)
            shutil.copytree(folders / "leftImg8bit/train_extra", place / "leftImg8bit/train_extra")
            for archive in ARCHIVES:
                if archive.startswith("leftImg8bit") and "extra" not in archive:
                    shutil.copy(archives / archive, place / archive)
        changes: dict[str, Any] = {
            "fine": {},
            "clips": {"frames": 3, "stride": 4},
            "longest_clips": {"frames": 4, "stride": 5},  # frame -1 would be before them
            "coarse": {"coarse_per_fine": 1.0, "seed": 3},
        }[chosen]
        source = parameters(place, **changes)
        brought = fetched(source, tmp_path / "raw")
        found = list_samples(tmp_path / "raw", source, truth_withheld=True)
        extra = [one.name for one in found.samples["train"] if "augsburg" in one.name]
        assert len(extra) == (3 if chosen == "coarse" else 0)
        frames = {"clips": ([8, 4], [12]), "longest_clips": ([15, 10, 5],)}.get(chosen, ())
        assert brought == self.expected(extra, *frames)
        assert found.findings == []
        checked = cityscapes.check_without_unpacking(source, tmp_path / "none")
        assert checked == found
        assert cityscapes.is_unpacked(source) == (kind == "folders")

    def test_a_folder_goes_before_an_archive_and_that_before_a_download(
        self, archives: Path, tmp_path: Path
    ) -> None:
        place = packed(names_of_release(), tmp_path / "place")
        write(place, *(name for name in names_of_release() if name.startswith("gtFine")))
        mark = place / path_of("gtFine", "val", FINE["val"][0], "color.png")
        mark.write_text("from the folder")
        (place / "leftImg8bit_trainvaltest.zip").unlink()
        shutil.copytree(archives, tmp_path / "downloads")
        for archive in ("gtFine_trainvaltest.zip", "leftImg8bit_sequence_trainvaltest.zip"):
            (tmp_path / "downloads" / archive).write_bytes(b"not to be read")
        brought = fetched(parameters(place, frames=2), tmp_path / "raw")
        assert brought[mark.relative_to(place).as_posix()] == "from the folder"
        assert len([name for name in brought if name.startswith("leftImg8bit/")]) == 6
        assert (
            len([name for name in brought if name.startswith("leftImg8bit_sequence/")]) == 3 + 2 * 3
        )

    def test_links_to_folders_are_followed(self, folders: Path, tmp_path: Path) -> None:
        for part in ("leftImg8bit", "gtFine"):
            (tmp_path / "place" / part).mkdir(parents=True)
            for split in FINE:
                (tmp_path / "place" / part / split).symlink_to(folders / part / split)
        brought = fetched(parameters(tmp_path / "place"), tmp_path / "raw")
        assert brought == self.expected([])
        assert not any(path.is_symlink() for path in (tmp_path / "raw").rglob("*"))

    def test_all_that_is_missing_is_listed_with_both_ways_out(self, tmp_path: Path) -> None:
        place = write(tmp_path / "place", path_of("leftImg8bit", "train_extra", EXTRA[0]))
        for call in (cityscapes.check_without_unpacking, self.fetch_nowhere):
            with pytest.raises(DataError) as caught:
                call(parameters(place, coarse_per_fine=1.0), tmp_path / "downloads")
            said = str(caught.value)
            for archive in ("gtFine_trainvaltest", "leftImg8bit_trainvaltest", "gtCoarse"):
                assert f"{archive}.zip (or the folder" in said
            assert "trainextra" not in said
            assert "Put them there" in said and "CITYSCAPES_USERNAME" in said

    @staticmethod
    def fetch_nowhere(source: SourceParams, downloads: Path) -> None:
        cityscapes.fetch(source, downloads.parent, downloads)

    def test_one_variable_of_the_login_alone_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CITYSCAPES_USERNAME", "somebody")
        with pytest.raises(DataError, match="no CITYSCAPES_PASSWORD"):
            cityscapes.check_without_unpacking(parameters(tmp_path), tmp_path)

    def test_what_is_nowhere_is_downloaded_with_a_login(
        self,
        archives: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        asked: list[list[str]] = []

        def copy_archives(names: list[str], target: Path) -> None:
            asked.append(names)
            target.mkdir(exist_ok=True)
            for name in names:
                shutil.copy(archives / name, target / name)

        monkeypatch.setenv("CITYSCAPES_USERNAME", "somebody")
        monkeypatch.setenv("CITYSCAPES_PASSWORD", "something")
        monkeypatch.setattr(cityscapes, "download", copy_archives)
        place = tmp_path / "place"
        place.mkdir()
        shutil.copy(archives / "gtFine_trainvaltest.zip", place)
        source = parameters(place, frames=2)
        assert cityscapes.check_without_unpacking(source, tmp_path / "downloads") is None
        wanted = ["leftImg8bit_trainvaltest.zip", "leftImg8bit_sequence_trainvaltest.zip"]
        said = capsys.readouterr().out
        assert "2 parts of Cityscapes are not downloaded yet" in said
        assert said.endswith("".join(f"  {name}\n" for name in wanted))
        assert asked == []
        brought = fetched(source, tmp_path / "raw")
        assert asked == [wanted]
        assert brought == self.expected([], [1], [2])
        # The next time they are there, with or without a login.
        monkeypatch.delenv("CITYSCAPES_PASSWORD")
        assert fetched(source, tmp_path / "again") == brought
        assert len(asked) == 1

    def test_from_the_login_to_the_files(
        self, archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packages = {name: (archives / name).read_bytes() for name in ARCHIVES}
        monkeypatch.setenv("CITYSCAPES_USERNAME", USERNAME)
        monkeypatch.setenv("CITYSCAPES_PASSWORD", PASSWORD)
        with CityscapesSite(packages) as site:
            there = functools.partial(download, address=site.address)
            monkeypatch.setattr(cityscapes, "download", there)
            source = parameters(tmp_path / "nothing", coarse_per_fine=1.0)
            brought = fetched(source, tmp_path / "raw")
        assert brought == fetched(parameters(archives, coarse_per_fine=1.0), tmp_path / "again/raw")
        names = {path.name for path in (tmp_path / "downloads").glob("*.zip")}
        assert names == set(ARCHIVES) - {"leftImg8bit_sequence_trainvaltest.zip"}

    def test_an_archive_with_one_folder_more_says_what_was_found(
        self, archives: Path, tmp_path: Path
    ) -> None:
        place = tmp_path / "place"
        shutil.copytree(archives, place)
        name = "gtFine_trainvaltest.zip"
        with zipfile.ZipFile(archives / name) as old, zipfile.ZipFile(place / name, "w") as new:
            for member in old.namelist():
                new.writestr(f"Cityscapes/v1/{member}", old.read(member))
        with pytest.raises(DataError) as caught:
            cityscapes.check_without_unpacking(parameters(place), tmp_path)
        said = str(caught.value)
        assert "holds no files gtFine/SPLIT/CITY/FILE of train or val or test" in said
        assert "its files are below one folder more, 'Cityscapes/v1'" in said
        assert "set source.path to the folder that has gtFine right in it" in said

    def test_an_unpacked_copy_one_folder_deeper_is_named(
        self, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        shutil.copytree(folders, tmp_path / "place/Cityscapes")
        with pytest.raises(
            DataError, match=r"There is \S+/Cityscapes/leftImg8bit; if that is it, name"
        ):
            cityscapes.check_without_unpacking(parameters(tmp_path / "place"), tmp_path)

    def test_faults_in_the_names_stop_before_the_first_copy(
        self, folders: Path, tmp_path: Path
    ) -> None:
        names = [name for name in names_of_release() if "gtCoarse" not in name]
        names.remove(path_of("gtFine", "train", FINE["train"][0], "labelIds.png"))
        names.remove(path_of("leftImg8bit_sequence", "val", "lindau_000001_000018"))
        place = packed(names, tmp_path / "place")
        target = tmp_path / "raw"
        target.mkdir()
        with pytest.raises(DataError) as caught:
            cityscapes.fetch(parameters(place, frames=2), target, tmp_path)
        said = str(caught.value)
        assert "1 files of Cityscapes lack their partner" in said
        assert "1 frames of the clips are missing" in said and "lindau_000001_000018" in said
        assert list(target.iterdir()) == []

    def test_a_disk_too_small_for_all_parts_together_stops_before_the_first(
        self, archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = {name: len(name) for name in self.expected([], [1], [2])}
        by_part = [
            sum(size for name, size in sizes.items() if name.startswith(part))
            for part in ("leftImg8bit/", "gtFine/", "leftImg8bit_sequence/")
        ]
        free = sum(by_part) - 1
        assert free > max(by_part)
        monkeypatch.setattr(
            shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(free, 0, free)
        )
        target = tmp_path / "raw"
        target.mkdir()
        with pytest.raises(DataError, match=f"needs {free + 1:,} bytes, but only {free:,}"):
            cityscapes.fetch(parameters(archives, frames=2), target, tmp_path)
        assert list(target.iterdir()) == []

    def test_a_damaged_archive_is_named(self, archives: Path, tmp_path: Path) -> None:
        place = Path(shutil.copytree(archives, tmp_path / "place"))
        whole = (place / "gtFine_trainvaltest.zip").read_bytes()
        (place / "gtFine_trainvaltest.zip").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(
            DataError, match=r"gtFine_trainvaltest\.zip: is not a complete zip archive"
        ):
            cityscapes.check_without_unpacking(parameters(place), tmp_path)

    def test_an_archive_of_something_else_is_named(self, archives: Path, tmp_path: Path) -> None:
        place = Path(shutil.copytree(archives, tmp_path / "place"))
        shutil.copy(place / "gtCoarse.zip", place / "gtFine_trainvaltest.zip")
        with pytest.raises(DataError, match=r"gtFine_trainvaltest\.zip: holds no files gtFine/"):
            cityscapes.check_without_unpacking(parameters(place), tmp_path)

    def test_clips_of_coarse_scenes_are_refused(self, archives: Path) -> None:
        with pytest.raises(ValidationError, match="the coarse scenes have no sequences"):
            parameters(archives, frames=2, coarse_per_fine=0.5)


class TestTruth:
    def test_dummies_of_the_test_split_are_never_truth(self, folders: Path) -> None:
        found = listed(folders)
        assert [one.mask for one in found.samples["test"]] == [None]
        assert all(one.mask for split in ("train", "val") for one in found.samples[split])

    def test_true_labels_of_a_test_split_are_taken(self, folders: Path) -> None:
        found = list_samples(folders, parameters(folders), truth_withheld=False)
        (sample,) = found.samples["test"]
        assert sample == Sample(
            "berlin_000000_000019",
            "berlin",
            "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png",
            "gtFine/test/berlin/berlin_000000_000019_gtFine_labelIds.png",
            instances="gtFine/test/berlin/berlin_000000_000019_gtFine_instanceIds.png",
        )

    def test_a_scene_without_instances_is_a_sample_all_the_same(self, tmp_path: Path) -> None:
        names = [name for name in names_of_release() if name.startswith(("leftImg8bit/", "gtFine"))]
        names.remove(path_of("gtFine", "val", FINE["val"][0], "instanceIds.png"))
        found = listed(write(tmp_path, *names))
        assert found.findings == []
        by_name = {one.name: one.instances for one in found.samples["val"]}
        assert by_name.pop(FINE["val"][0]) is None
        assert all(by_name.values()) and by_name

    @pytest.mark.parametrize("withheld", [True, False])
    def test_what_test_lacks_is_a_fault_where_it_is_truth(
        self, withheld: bool, tmp_path: Path
    ) -> None:
        names = [name for name in names_of_release() if name.startswith(("leftImg8bit/", "gtFine"))]
        names.remove(path_of("leftImg8bit", "test", FINE["test"][0]))
        extra = path_of("leftImg8bit", "test", "bonn_000000_000019")
        raw = write(tmp_path, *names, extra)
        found = list_samples(raw, parameters(raw), withheld)
        if withheld:
            assert found.findings == [] and names_in(found)["test"] == ["bonn_000000_000019"]
        else:
            assert only(found).kind == "unpaired" and len(only(found).items) == 2

    def test_files_without_a_partner_are_listed_and_the_others_kept(self, tmp_path: Path) -> None:
        names = [name for name in names_of_release() if name.startswith(("leftImg8bit/", "gtFine"))]
        names.remove(path_of("gtFine", "train", FINE["train"][0], "labelIds.png"))
        names.remove(path_of("leftImg8bit", "val", FINE["val"][1]))
        found = listed(write(tmp_path, *names))
        assert (only(found).kind, only(found).severity) == ("unpaired", "error")
        assert only(found).items == (
            f"leftImg8bit/train/aachen/{FINE['train'][0]}_leftImg8bit.png has no "
            f"gtFine/train/aachen/{FINE['train'][0]}_gtFine_labelIds.png",
            f"gtFine/val/lindau/{FINE['val'][1]}_gtFine_labelIds.png has no "
            f"leftImg8bit/val/lindau/{FINE['val'][1]}_leftImg8bit.png",
        )
        assert names_in(found) == {
            "train": FINE["train"][1:],
            "val": FINE["val"][:1],
            "test": FINE["test"],
        }

    def test_image_and_truth_in_two_splits_do_not_pair(self, tmp_path: Path) -> None:
        image = path_of("leftImg8bit", "train", "aachen_000000_000019")
        mask = path_of("gtFine", "val", "aachen_000000_000019", "labelIds.png")
        found = listed(write(tmp_path, image, mask))
        assert "lies in train, its truth in val" in only(found).items[0]
        assert not any(found.samples.values())

    def test_bonnet_border_and_out_of_roi_are_void(self, tmp_path: Path) -> None:
        ids = np.full((6, 8), 7, np.uint8)
        ids[0], ids[1, :4], ids[5, 2:] = 2, 3, 1  # rectification border, out of roi, ego vehicle
        place = tmp_path / "place"
        stems = {"train": "aachen_000000_000019", "val": "lindau_000000_000019"}
        for split, stem in stems.items():
            save(place / path_of("leftImg8bit", split, stem), np.zeros((6, 8, 3), np.uint8))
            save(place / path_of("gtFine", split, stem, "labelIds.png"), ids)
        target = tmp_path / "raw"
        target.mkdir()
        cityscapes.fetch(parameters(place), target, tmp_path)
        mask = listed(target).samples["train"][0].mask
        assert mask is not None
        train_HW, unknown, _ = read_mask(target / mask, load_scheme("cityscapes19", {}, target))
        expected = np.zeros((6, 8), np.uint8)  # road
        expected[0], expected[1, :4], expected[5, 2:] = VOID, VOID, VOID
        assert np.array_equal(train_HW, expected) and not unknown


class TestCoarse:
    @pytest.mark.parametrize(("ratio", "number"), [(0.1, 0), (0.5, 2), (1.0, 3), (2.4, 7)])
    def test_the_ratio_is_of_the_fine_training_samples(
        self, ratio: float, number: int, folders: Path
    ) -> None:
        found = listed(folders, coarse_per_fine=ratio)
        assert found.findings == []
        names = names_in(found)
        assert len(names["train"]) == 3 + number
        assert names["train"] == sorted(names["train"])
        assert names["val"] == FINE["val"] and names["test"] == FINE["test"]

    def test_a_coarse_scene_has_coarse_truth(self, folders: Path) -> None:
        found = listed(folders, coarse_per_fine=0.4)
        (sample,) = [one for one in found.samples["train"] if one.group == "augsburg"]
        assert sample.image == path_of("leftImg8bit", "train_extra", sample.name)
        assert sample.mask == path_of("gtCoarse", "train_extra", sample.name, "labelIds.png")

    def test_a_larger_ratio_keeps_what_a_smaller_chose_and_seeds_differ(
        self, folders: Path
    ) -> None:
        chosen = []
        for number in range(9):
            found = listed(folders, coarse_per_fine=number / 3, seed=5)
            chosen.append(set(names_in(found)["train"]) - set(FINE["train"]))
        assert [len(some) for some in chosen] == list(range(9))
        assert all(few < many for few, many in itertools.pairwise(chosen))
        others = [
            set(names_in(listed(folders, coarse_per_fine=1.0, seed=seed))["train"])
            for seed in range(6)
        ]
        assert len({frozenset(some) for some in others}) > 1

    def test_more_than_there_are_is_said_and_the_damaged_one_never_comes(
        self, folders: Path, tmp_path: Path
    ) -> None:
        source = parameters(folders, coarse_per_fine=3.0)
        found = cityscapes.check_without_unpacking(source, folders)
        assert names_in(found)["train"] == sorted(FINE["train"] + EXTRA[:-1])
        assert (only(found).kind, only(found).severity) == ("few_coarse", "warning")
        assert "asks for 9 coarse scenes beside 3 fine ones, but there are 8" in str(only(found))
        assert str(only(found)).endswith("or set it to 2.66")
        assert listed(folders, coarse_per_fine=2.66).findings == []
        assert not any("troisdorf" in name for name in fetched(source, tmp_path / "raw"))
        again = list_samples(tmp_path / "raw", source, truth_withheld=True)
        assert again == found

    def test_scenes_without_image_or_truth_are_a_warning(self, tmp_path: Path) -> None:
        names = names_of_release()
        names.remove(path_of("leftImg8bit", "train_extra", EXTRA[0]))
        names.remove(path_of("gtCoarse", "train_extra", EXTRA[1], "labelIds.png"))
        found = listed(write(tmp_path, *names), coarse_per_fine=1.0)
        assert (only(found).kind, only(found).severity) == ("unpaired", "warning")
        assert only(found).items == (
            path_of("gtCoarse", "train_extra", EXTRA[0], "labelIds.png"),
            path_of("leftImg8bit", "train_extra", EXTRA[1]),
        )
        assert not {EXTRA[0], EXTRA[1]} & set(names_in(found)["train"])


class TestClips:
    @pytest.mark.parametrize(
        ("frames", "stride"), [(1, 1), (2, 1), (4, 1), (3, 4), (20, 1), (2, 19)]
    )
    def test_the_frames_lead_to_the_annotated_one(
        self, frames: int, stride: int, folders: Path
    ) -> None:
        found = listed(folders, frames=frames, stride=stride)
        assert found.findings == []
        assert {split: len(members) for split, members in found.samples.items()} == {
            "train": 3,
            "val": 2,
            "test": 1,
        }
        for split, members in found.samples.items():
            for sample in members:
                last, expected = int(sample.name[-6:]), []
                for number in range(last - (frames - 1) * stride, last, stride):
                    earlier = f"{sample.name[:-6]}{number:06d}"
                    expected.append(path_of("leftImg8bit_sequence", split, earlier))
                assert list(sample.frames) == expected
                assert sample.image == path_of("leftImg8bit", split, sample.name)

    def test_missing_frames_are_named_and_their_samples_left_out(self, tmp_path: Path) -> None:
        names = names_of_release()
        gone = [
            path_of("leftImg8bit_sequence", "train", f"bochum_000000_{number:06d}")
            for number in (309, 311)
        ]
        found = listed(write(tmp_path, *(set(names) - set(gone))), frames=3, stride=2)
        assert (only(found).kind, only(found).severity) == ("missing_frames", "error")
        assert list(only(found).items) == gone
        assert names_in(found)["train"] == FINE["train"][:2]
        # Those frames are not needed here.
        assert listed(tmp_path, frames=2, stride=1).findings == []

    def test_a_drive_that_begins_too_late_is_named(self, tmp_path: Path) -> None:
        stem = "aachen_000000_000002"
        raw = write(
            tmp_path,
            path_of("leftImg8bit", "train", stem),
            path_of("gtFine", "train", stem, "labelIds.png"),
            *(path_of("leftImg8bit_sequence", "train", f"{stem[:-1]}{n}") for n in range(3)),
        )
        assert len(listed(raw, frames=3).samples["train"][0].frames) == 2
        assert "no room for 3 frames" in only(listed(raw, frames=4)).items[0]


class TestLayouts:
    def flat(self, name: str) -> str:
        folder, _, city, file = name.split("/")
        return f"{folder}/{city}/{file}"

    @pytest.mark.parametrize(
        "flattened", [("leftImg8bit",), ("gtFine",), ("leftImg8bit", "gtFine")]
    )
    @pytest.mark.parametrize("extra", [False, True])
    def test_without_the_folder_of_the_split_the_city_tells_it(
        self, flattened: tuple[str, ...], extra: bool, folders: Path, tmp_path: Path
    ) -> None:
        names = [
            self.flat(name) if name.split("/")[0] in flattened else name
            for name in names_of_release()
        ]
        changes: dict[str, Any] = {"coarse_per_fine": 1.0} if extra else {"frames": 2}
        place = write(tmp_path / "place", *names)
        found = listed(place, **changes)
        assert found.findings == []
        assert names_in(found) == names_in(listed(folders, **changes))
        source = parameters(place, **changes)
        assert cityscapes.is_unpacked(source)
        raw = tmp_path / "raw"
        brought = fetched(source, raw)
        assert brought and all(content == name for name, content in brought.items())
        assert list_samples(raw, source, truth_withheld=True) == found

    def test_archives_may_lack_the_folder_of_the_split_too(self, tmp_path: Path) -> None:
        place = tmp_path / "place"
        place.mkdir()
        for archive, part in (("gtFine", "gtFine"), ("leftImg8bit", "leftImg8bit")):
            with zipfile.ZipFile(place / f"{archive}_trainvaltest.zip", "w") as file:
                for name in names_of_release():
                    if name.startswith(f"{part}/") and "extra" not in name:
                        file.writestr(self.flat(name), name)
        found = cityscapes.check_without_unpacking(parameters(place), tmp_path)
        assert found.findings == [] and names_in(found) == FINE
        assert len(fetched(parameters(place), tmp_path / "raw")) == 6 * 5

    def test_an_unknown_city_or_split_is_an_error(self, folders: Path, tmp_path: Path) -> None:
        names = [name for name in names_of_release() if name.startswith(("leftImg8bit/", "gtFine"))]
        city = ["leftImg8bit/utopia/utopia_000000_000019_leftImg8bit.png"]
        split = [f"gtFine/training/ulm/ulm_{n:06d}_000019_gtFine_labelIds.png" for n in (0, 1)]
        found = listed(write(tmp_path, *names, *city, *split))
        assert (only(found).kind, only(found).severity) == ("outside_splits", "error")
        assert only(found).items == ("gtFine/training/ulm: 2 files", "leftImg8bit/utopia: 1 files")
        assert names_in(found) == FINE

    def test_own_cities_need_the_folder_of_the_split_alone(self, tmp_path: Path) -> None:
        names = [
            path_of("leftImg8bit", "train", "utopia_000000_000019"),
            path_of("gtFine", "train", "utopia_000000_000019", "labelIds.png"),
        ]
        found = listed(write(tmp_path, *names))
        assert found.findings == [] and names_in(found)["train"] == ["utopia_000000_000019"]

    def test_what_stands_twice_is_an_error(self, tmp_path: Path) -> None:
        names = [name for name in names_of_release() if name.startswith(("leftImg8bit/", "gtFine"))]
        again = self.flat(names[0])
        found = listed(write(tmp_path, *names, again))
        assert (only(found).kind, only(found).severity) == ("name_twice", "error")
        assert only(found).items == (f"{again} and {names[0]}",)

    def test_a_city_in_two_splits_is_an_error(self, tmp_path: Path) -> None:
        names = [name for name in names_of_release() if name.startswith(("leftImg8bit/", "gtFine"))]
        stem = "aachen_000099_000019"
        names += [
            path_of("leftImg8bit", "val", stem),
            path_of("gtFine", "val", stem, "labelIds.png"),
        ]
        found = listed(write(tmp_path, *names))
        assert (only(found).kind, only(found).severity) == ("torn_group", "error")
        assert only(found).items == ("aachen: train, val",)

    def test_other_files_are_passed_over(self, folders: Path, tmp_path: Path) -> None:
        names = [name for name in names_of_release() if name.startswith(("leftImg8bit/", "gtFine"))]
        others = [
            "leftImg8bit/train/aachen/._aachen_000000_000019_leftImg8bit.png",
            "leftImg8bit/train/aachen/Thumbs.db",
            "leftImg8bit/demoVideo/stuttgart_00/stuttgart_00_000000_000001_leftImg8bit.png",
            "gtFine/train/aachen/aachen_000000_000019_gtFine_labelTrainIds.png",
            "leftImg8bit/README",
            "notes.txt",
        ]
        assert listed(write(tmp_path, *names, *others)) == listed(folders)

    def test_a_raw_folder_without_images_is_said(self, tmp_path: Path) -> None:
        write(tmp_path, path_of("gtFine", "train", FINE["train"][0], "labelIds.png"))
        with pytest.raises(DataError, match="holds no images of train, val or test"):
            listed(tmp_path)

    def test_the_cities_are_those_of_the_paper(self) -> None:
        counts = {split: list(SPLIT_OF.values()).count(split) for split in set(SPLIT_OF.values())}
        assert counts == {"train": 18, "val": 3, "test": 6, "train_extra": 23}
        assert len(SPLIT_OF) == 50
