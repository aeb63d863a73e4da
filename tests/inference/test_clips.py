"""The clips that predict finds are those that a training takes."""

from pathlib import Path

import pytest

from segpipe.inference.clips import find_clips, trained_clip
from segpipe.params.source import ClipParams, SourceParams
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import PICTURES
from segpipe.runtime.errors import DataError
from segpipe.sources.cityscapes_layout.samples import list_samples

READER = build_reader(PICTURES)


def touch(*paths: Path) -> list[Path]:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return list(paths)


@pytest.mark.parametrize("beside", [False, True])
def test_a_clip_is_the_one_that_a_training_takes(beside: bool, tmp_path: Path) -> None:
    """The annotated frames with the sequences at their own place, or the sequences themselves."""
    for drive, number in (("ulm_000001", 19), ("ulm_000002", 50)):
        for back in range(20):
            stem = f"{drive}_{number - back:06d}"
            name = f"val/ulm/{stem}_leftImg8bit.png"
            touch(tmp_path / "leftImg8bit_sequence" / name)
        stem = f"{drive}_{number:06d}"
        touch(tmp_path / f"leftImg8bit/val/ulm/{stem}_leftImg8bit.png")
        touch(tmp_path / f"gtFine/val/ulm/{stem}_gtFine_labelIds.png")
    clip = ClipParams(frames=4, stride=3)
    source = SourceParams(name="cityscapes", clip=clip)
    trained = list_samples(tmp_path, source, truth_withheld=True).samples["val"]
    assert len(trained) == 2
    folder = "leftImg8bit_sequence" if beside else "leftImg8bit"
    paths = [tmp_path / sample.image.replace("leftImg8bit", folder, 1) for sample in trained]
    found = find_clips(paths, clip, READER)
    assert list(found.earlier.values()) == [
        tuple(tmp_path / frame for frame in sample.frames) for sample in trained
    ]
    assert found.summary() == (
        "2 clips of 4 frames, each 3 after the one before, by Cityscapes names"
    )


def test_numbers_may_have_leading_zeros_or_none(tmp_path: Path) -> None:
    paths = touch(*(tmp_path / f"{n}.png" for n in (8, 9, 10)))
    paths += touch(*(tmp_path / f"cam2_{n:03d}_left.jpg" for n in (99, 100, 101)))
    paths += touch(tmp_path / "cam3_100_left.jpg", tmp_path / "notes.png")
    found = find_clips(paths, ClipParams(frames=3), READER)
    assert found.earlier == {
        paths[2]: (paths[0], paths[1]),
        paths[5]: (paths[3], paths[4]),
    }
    assert found.without == [paths[0], paths[1], paths[3], paths[4], *paths[6:]]


def test_folders_without_numbers_are_clips_in_the_order_of_their_names(tmp_path: Path) -> None:
    paths = touch(*(tmp_path / name for name in ("c.png", "a.png", "b.png", "other/z.png")))
    touch(tmp_path / ".0.png", tmp_path / "b.txt")
    found = find_clips(paths, ClipParams(frames=3), READER)
    assert found.earlier == {paths[0]: (paths[1], paths[2])}
    assert set(found.without) == set(paths[1:])


def test_the_scenes_of_cityscapes_are_no_film(tmp_path: Path) -> None:
    names = (f"ulm_00000{n}_000019_leftImg8bit.png" for n in range(5))
    with pytest.raises(DataError, match="none of the 5 images has the frames before it"):
        find_clips(touch(*(tmp_path / name for name in names)), ClipParams(frames=3), READER)


def test_the_stride_is_that_of_the_training() -> None:
    lineage = {"parameters": {"source": {"clip": {"frames": 3, "stride": 4}}}}
    assert trained_clip(3, lineage) == ClipParams(frames=3, stride=4)
    assert trained_clip(3, {}).stride == 1
    assert trained_clip(30, {"parameters": {"source": None}}).stride == 1
