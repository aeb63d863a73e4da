"""Images of splits, folders and uploads, as each kind of model takes them."""

from dataclasses import replace
from pathlib import Path

import pytest

from segpipe.dashboard.image_list import (
    UPLOAD,
    ImageChoice,
    image_places,
    images_at,
    readable,
    split_place,
    uploaded,
)
from segpipe.dataset.layout import Row, write_index
from segpipe.inference.predictor import Predictor
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError
from tests.dashboard.project import NAMES, make_project
from tests.forge import tiny_parameters, write_parameters


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(make_project(tmp_path))
    return tmp_path


@pytest.fixture
def predictor(project: Path) -> Predictor:
    return Predictor.load(project / "models")


def test_the_places_are_those_that_are_there(project: Path, predictor: Predictor) -> None:
    folders = [Path("samples"), Path("missing")]
    assert image_places(folders) == ["Split val", "samples", UPLOAD]
    assert [*images_at(split_place("val"), folders, predictor.reader)] == [*NAMES]
    write_parameters(project / "params.yaml", tiny_parameters(Path("data/raw")))
    assert image_places(folders) == ["Split val", "samples", "data/raw", UPLOAD]
    assert len(images_at("data/raw", folders, predictor.reader)) == 4


@pytest.mark.parametrize("place", ["Split ../../x", "Split test", "/etc", "missing", UPLOAD])
def test_other_places_are_refused(place: str, predictor: Predictor) -> None:
    with pytest.raises(DataError):
        images_at(place, [Path("samples")], predictor.reader)


def test_a_folder_without_masks_is_all_pictures_in_it(project: Path, predictor: Predictor) -> None:
    (project / "samples/masks").rename(project / "masks")
    found = images_at("samples", [Path("samples")], predictor.reader)
    assert "images/val/drive0_000.png" in found
    assert {choice.sample.mask for choice in found.values()} == {None}


@pytest.mark.parametrize(
    "sample",
    [
        Sample("s", "g", "../../secret.png", None),
        Sample("s", "g", "/etc/passwd", None),
        Sample("s", "g", "images/val/drive0_000.png", "../mask.png"),
        Sample("s", "g", "images/val/drive0_000.png", None, ("../a.png",)),
    ],
)
def test_a_list_that_names_a_file_outside_is_refused(
    sample: Sample, project: Path, predictor: Predictor
) -> None:
    write_index(project / "data/prepared/val/index.csv", [Row(sample, 0)])
    [choice] = images_at(split_place("val"), [], predictor.reader).values()
    with pytest.raises(DataError, match="is outside of data/raw"):
        readable(choice, predictor)


def test_the_frames_of_a_clip_are_found_beside_the_picture(project: Path) -> None:
    class OfClips(Predictor):
        frames = 2  # type: ignore[assignment]

    predictor = OfClips.load(project / "models")
    choice = ImageChoice(Path("samples/images/train"), Sample("s", "", "drive1_001.png", None))
    [frame] = readable(choice, predictor).sample.frames
    assert Path(frame) == (project / "samples/images/train/drive0_000.png")
    first = replace(choice, sample=Sample("s", "", "drive0_000.png", None))
    with pytest.raises(DataError, match="clips of 2 frames"):
        readable(first, predictor)


def test_the_state_changes_with_the_file(project: Path) -> None:
    choice = ImageChoice(Path("samples"), Sample("s", "", "images/val/drive0_000.png", None))
    before = choice.state
    path = project / "samples/images/val/drive0_000.png"
    path.write_bytes(path.read_bytes() + b"x")
    assert choice.state != before


def test_uploads_are_gone_afterwards_and_errors_do_not_name_their_folder() -> None:
    with uploaded([b"a", b"b"], ".png") as choice:
        root = choice.root
        assert (root / choice.sample.image).read_bytes() == b"b"
        assert [(root / frame).read_bytes() for frame in choice.sample.frames] == [b"a"]
    assert not root.exists()
    with pytest.raises(DataError, match=r"^upload1\.png: broken$"), uploaded([b""], ".png") as one:
        raise DataError(f"{one.root / one.sample.image}: broken")
