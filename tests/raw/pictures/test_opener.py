"""Opening of picture files: what is read, what is refused and in which words."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import LabelScheme
from segpipe.raw.pictures.files import open_image, read_image, read_mask
from segpipe.raw.pictures.opener import further_pages, open_picture
from segpipe.runtime.errors import DataError
from tests.forge import CLASSES_CSV, scene
from tests.raw.pictures.made import write_deep_png, write_tiff

IMAGE, MASK = scene(0)
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> LabelScheme:
    folder = tmp_path_factory.mktemp("labels")
    (folder / "classes.csv").write_text(CLASSES_CSV)
    return load_scheme("classes.csv", {}, folder)


def deep(channels: int) -> NDArray[np.uint16]:
    """What a camera of 12 bits writes: 0..4095, which Pillow reads as 0..15."""
    return np.random.default_rng(channels).integers(0, 4096, (6, 8, channels)).astype(np.uint16)


# --- bits a channel ----------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_png_of_16_bits_is_refused_as_image_and_as_mask(
    tmp_path: Path, scheme: LabelScheme, channels: int
) -> None:
    path = tmp_path / "deep.png"
    write_deep_png(path, deep(channels))
    with Image.open(path) as picture:  # what is guarded against: no error, and 8 bits
        assert np.asarray(picture).dtype == np.uint8
        assert np.asarray(picture)[..., 0].max() <= 15
    for read in (lambda: read_image(path), lambda: read_mask(path, scheme)):
        with pytest.raises(DataError, match=r"deep\.png: has 16 bits a channel.*save it with 8"):
            read()


@pytest.mark.parametrize(("channels", "photometric"), [(3, 2), (4, 2), (4, 5)])
def test_a_tiff_of_16_bits_is_refused_as_image_and_as_mask(
    tmp_path: Path, scheme: LabelScheme, channels: int, photometric: int
) -> None:
    path = tmp_path / "deep.tif"
    write_tiff(path, deep(channels), photometric=photometric)
    with Image.open(path) as picture:
        assert np.asarray(picture).dtype == np.uint8
    for read in (lambda: read_image(path), lambda: read_mask(path, scheme)):
        with pytest.raises(DataError, match=r"deep\.tif: has 16 bits a channel.*save it with 8"):
            read()


def test_grey_of_16_bits_is_a_mask_and_no_image(tmp_path: Path, scheme: LabelScheme) -> None:
    truth = scheme.encode(MASK)[0]
    write_deep_png(tmp_path / "mask.png", MASK[..., None].astype(np.uint16))
    write_tiff(tmp_path / "mask.tif", MASK[..., None].astype(np.uint16), photometric=1)
    for name in ("mask.png", "mask.tif"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, scheme)[0], truth)
        with pytest.raises(DataError, match="has pixels of kind I;16, not grey or colours of 8"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32])
def test_wider_whole_numbers_are_a_mask_and_no_image(
    tmp_path: Path, scheme: LabelScheme, dtype: Any
) -> None:
    write_tiff(tmp_path / "mask.tif", MASK[..., None].astype(dtype), photometric=1)
    np.testing.assert_array_equal(
        read_mask(tmp_path / "mask.tif", scheme)[0], scheme.encode(MASK)[0]
    )
    with pytest.raises(DataError, match="has pixels of kind I, not grey or colours of 8 bits"):
        read_image(tmp_path / "mask.tif")


def test_numbers_with_a_fraction_are_neither(tmp_path: Path, scheme: LabelScheme) -> None:
    write_tiff(tmp_path / "float.tif", MASK[..., None].astype(np.float32), photometric=1)
    with pytest.raises(DataError, match="has pixels of kind F"):
        read_image(tmp_path / "float.tif")
    with pytest.raises(DataError, match="is of kind F; a mask holds label numbers"):
        read_mask(tmp_path / "float.tif", scheme)


def test_a_signed_byte_below_zero_is_not_read_as_255(tmp_path: Path, scheme: LabelScheme) -> None:
    signed = MASK[..., None].astype(np.int8)
    write_tiff(tmp_path / "mask.tif", signed, photometric=1)
    np.testing.assert_array_equal(
        read_mask(tmp_path / "mask.tif", scheme)[0], scheme.encode(MASK)[0]
    )
    signed[0, 0] = -1
    write_tiff(tmp_path / "mask.tif", signed, photometric=1)
    with pytest.raises(DataError, match="holds negative numbers"):
        read_mask(tmp_path / "mask.tif", scheme)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp"])
def test_8_bits_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    Image.fromarray(IMAGE).save(tmp_path / name, lossless=True)
    np.testing.assert_array_equal(read_image(tmp_path / name), IMAGE)
    grey = Image.fromarray(IMAGE[..., 0])
    for bits in (1, 8):
        (grey.convert("1") if bits == 1 else grey).save(tmp_path / name, lossless=True)
        expected = np.asarray(grey.convert("1" if bits == 1 else "L").convert("RGB"))
        np.testing.assert_array_equal(read_image(tmp_path / name), expected)


# --- upright -----------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_image_and_mask_are_turned_by_one_rule(
    tmp_path: Path, scheme: LabelScheme, turn: int, suffix: str
) -> None:
    """Square, so that no comparison of sizes would notice."""
    colours = np.array([[70, 130, 180], [128, 64, 128], [0, 0, 142]], np.uint8)
    stored = np.random.default_rng(turn).integers(0, 3, (16, 16)).astype(np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    options = {"exif": exif, "lossless": True}
    Image.fromarray(colours[stored]).save(tmp_path / f"image{suffix}", **options)
    pictures = {"painted": Image.fromarray(colours[stored])}
    if suffix != ".webp":  # which has neither grey nor palettes
        pictures |= {"grey": Image.fromarray(stored), "palette": Image.fromarray(stored)}
        pictures["palette"].putpalette(colours.tobytes())
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}{suffix}", **options)
    holder = Image.fromarray(stored)
    holder.getexif()[ORIENTATION] = turn
    upright = np.asarray(ImageOps.exif_transpose(holder))
    assert turn == 1 or (upright != stored).any()
    np.testing.assert_array_equal(read_image(tmp_path / f"image{suffix}"), colours[upright])
    for name in pictures:
        mask_HW = read_mask(tmp_path / f"{name}{suffix}", scheme)[0]
        np.testing.assert_array_equal(mask_HW, scheme.encode(upright)[0])


def test_a_mask_that_was_drawn_upright_lies_on_its_turned_image(
    tmp_path: Path, scheme: LabelScheme
) -> None:
    colours = np.array([[70, 130, 180], [128, 64, 128], [0, 0, 142]], np.uint8)
    upright = np.random.default_rng(3).integers(0, 3, (16, 16)).astype(np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # stored on its left side: a quarter to the right brings it upright
    Image.fromarray(np.rot90(colours[upright])).save(tmp_path / "image.png", exif=exif)
    Image.fromarray(upright).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_image(tmp_path / "image.png"), colours[upright])
    np.testing.assert_array_equal(
        read_mask(tmp_path / "mask.png", scheme)[0], scheme.encode(upright)[0]
    )


@pytest.mark.parametrize("turn", [0, 9, 77])
def test_a_turn_that_does_not_exist_is_none(tmp_path: Path, turn: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    Image.fromarray(IMAGE).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), IMAGE)


def test_damaged_metadata_does_not_cost_the_picture(tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "a.png", exif=b"Exif\0\0rubbish")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), IMAGE)


def test_half_transparent_colours_of_an_image_are_no_warning(tmp_path: Path) -> None:
    palette = Image.fromarray(IMAGE).quantize(8)
    expected = np.asarray(palette.convert("RGB"))
    palette.save(tmp_path / "a.png", transparency=bytes([0, 100, 200]))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


# --- what is no picture ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is a PostScript file"),
        (b"%PDF-1.7\n", "it is a PDF file"),
        (b"GIF89a\1\0\1\0", "it is a GIF file"),
        (b"<!DOCTYPE html><title>404</title>", "such as a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\0\0\0\x18ftypheic", "it is a HEIC, AVIF or video file"),
        (b"", "it is empty"),
        (b"hello", "it is of no known format"),
    ],
)
def test_another_format_is_named_and_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **_: started.append(args))
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.png: cannot be read as a picture") as caught:
        read_image(path)
    assert words in str(caught.value)
    assert "JPEG, PNG, BMP, TIFF and WebP" in str(caught.value)
    assert started == []


def test_a_pipe_or_a_folder_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    (tmp_path / "folder.png").mkdir()
    words = {
        "pipe.png": "is a named pipe",
        "link.png": "is a named pipe",
        "folder.png": "is a folder",
        "gone.png": "there is no such file",
    }
    for name, word in words.items():
        for read in (open_picture, further_pages):
            with pytest.raises(DataError, match=f"{name}: {word}"):
                read(tmp_path / name)
    with pytest.raises(DataError, match="zero: is a device"):
        open_picture(Path("/dev/zero"))


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket may have a hundred letters
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("x.png")
        with pytest.raises(DataError, match=r"x\.png: is a socket"):
            open_picture(Path("x.png"))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "a.webp"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(IMAGE).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=f"{name}: cannot be read as a picture: "):
        read_image(path)


# --- size --------------------------------------------------------------------------------------


def test_the_limit_of_pixels_is_said_and_can_be_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(IMAGE).save(path)
    monkeypatch.setenv("SEGPIPE_MAX_PIXELS", "3071")
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert "a.png: has 3,072 pixels (48 x 64), and the limit of a picture is 3,071" in str(
        caught.value
    )
    assert "set the environment variable SEGPIPE_MAX_PIXELS to 3072" in str(caught.value)
    monkeypatch.setenv("SEGPIPE_MAX_PIXELS", "3072")
    np.testing.assert_array_equal(read_image(path), IMAGE)
    monkeypatch.setenv("SEGPIPE_MAX_PIXELS", "many")
    with pytest.raises(DataError, match="SEGPIPE_MAX_PIXELS is 'many'"):
        read_image(path)


@pytest.mark.slow
def test_187_megapixels_of_grey_are_read_without_a_line_of_pillow(
    tmp_path: Path, scheme: LabelScheme
) -> None:
    path = tmp_path / "large.png"
    mask = Image.new("L", (13_675, 13_675), 1)
    mask.putpixel((13_000, 12_000), 2)
    mask.save(path, compress_level=1)
    code = (
        "import sys; from pathlib import Path; from segpipe.raw.pictures.files import open_image;"
        "print(open_image(Path(sys.argv[1])).picture.getpixel((13_000, 12_000)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("(2, 2, 2)", "")
    mask_HW = read_mask(path, scheme)[0]
    assert mask_HW.shape == (13_675, 13_675)
    assert mask_HW[12_000, 13_000] == 2
    assert np.count_nonzero(mask_HW == 1) == 13_675**2 - 1


# --- further pages -----------------------------------------------------------------------------


def test_pages_of_a_tiff_are_counted_but_not_its_thumbnails(tmp_path: Path) -> None:
    thumbnail, mask = {254: 1}, {254: 4}
    page, small = IMAGE, np.ascontiguousarray(IMAGE[::4, ::4])
    write_tiff(tmp_path / "one.tif", page)
    write_tiff(tmp_path / "stack.tif", page, page[::-1], page[:, ::-1], page1={254: 2})
    write_tiff(tmp_path / "overviews.tif", page, small, small, small, page1=thumbnail, page2=mask)
    write_tiff(tmp_path / "raw.tif", small, page, page0=thumbnail)
    counts = {"one.tif": 0, "stack.tif": 2, "overviews.tif": 1, "raw.tif": 1}
    for name, pages in counts.items():
        assert further_pages(tmp_path / name) == pages, name
        assert open_image(tmp_path / name).further_pages == pages, name
    np.testing.assert_array_equal(read_image(tmp_path / "stack.tif"), IMAGE)


def test_a_tiff_that_leads_in_a_circle_ends(tmp_path: Path) -> None:
    path = tmp_path / "circle.tif"
    write_tiff(path, IMAGE, IMAGE)
    content = bytearray(path.read_bytes())
    second = 8 + (len(content) - 8) // 2
    entries = int.from_bytes(content[second : second + 2], "little")
    at = second + 2 + 12 * entries
    assert content[at : at + 4] == bytes(4)
    content[at : at + 4] = (8).to_bytes(4, "little")
    path.write_bytes(content)
    assert further_pages(path) == 1
    np.testing.assert_array_equal(read_image(path), IMAGE)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_frames_of_an_animation_are_pages(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.roll(IMAGE, 9 * number, axis=1)) for number in range(4)]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    assert further_pages(path) == 3
    np.testing.assert_array_equal(read_image(path), IMAGE)


def test_a_second_picture_in_a_jpeg_is_a_preview(tmp_path: Path) -> None:
    frames = [Image.fromarray(IMAGE), Image.fromarray(IMAGE[::2, ::2])]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert further_pages(tmp_path / "a.jpg") == 0
    assert read_image(tmp_path / "a.jpg").shape == IMAGE.shape
