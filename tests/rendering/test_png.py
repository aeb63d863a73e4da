"""PNG files keep every value and never appear in part."""

import errno
import os
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image

from segpipe.rendering.png import write_png
from segpipe.runtime.errors import SegpipeError


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_label_images_come_back_as_they_were(tmp_path: Path, kind: type) -> None:
    highest = np.iinfo(kind).max
    labels = np.array([[0, 1, highest], [highest - 1, 33, 19]], kind)
    write_png(tmp_path / "deep" / "labels.png", labels)
    with Image.open(tmp_path / "deep" / "labels.png") as read:
        assert read.format == "PNG"
        back = np.array(read)
    assert back.dtype == kind
    np.testing.assert_array_equal(back, labels)


def test_pictures_come_back_as_they_were(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    write_png(tmp_path / "picture.png", picture[::-1])
    with Image.open(tmp_path / "picture.png") as read:
        assert read.mode == "RGB"
        np.testing.assert_array_equal(np.array(read), picture[::-1])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2), np.int64),
        np.zeros((2, 2), np.float32),
        np.zeros((2, 2, 3), np.uint16),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((0, 2), np.uint8),
    ],
)
def test_what_is_not_an_image_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="is not an image"):
        write_png(tmp_path / "x.png", array)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.png"
    write_png(path, np.zeros((4, 4), np.uint8))
    before = path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SegpipeError, match=r"labels.png: the disk is full"):
        write_png(path, np.ones((4, 4), np.uint8))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_encoder_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(_image: Image.Image, place: IO[bytes], **_options: str) -> None:
        place.write(b"\x89PNG")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(OSError, match="Input/output"):
        write_png(tmp_path / "x.png", np.ones((4, 4), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        write_png(tmp_path / "file" / "x.png", np.ones((4, 4), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
