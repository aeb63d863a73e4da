"""Pictures of more than 8 bits or of other channels than grey and RGB: every value, scaled by a rule."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.params.prepare import PrepareParams
from segpipe.preparation.file_spec import choose_files
from segpipe.raw.build import build_reader
from segpipe.raw.geometry import resize_image
from segpipe.raw.input_spec import PICTURES, FileSpec, Scaling, picture_of
from segpipe.raw.pictures.deep import picture_header, read_channels, read_scaled, read_shown
from segpipe.raw.pictures.files import read_image
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError
from tests.raw.pictures.made import write_deep_png, write_tiff

TURNS = [  # what brings a picture of the EXIF tag 2, 3, ... upright
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
]


def made(dtype: str, channels: int) -> NDArray[Any]:
    """Values of 12 bits, as cameras write them, or of the whole 8 bits."""
    most = 256 if dtype == "uint8" else 4096
    return np.random.default_rng(channels).integers(0, most, (6, 9, channels)).astype(dtype)


def write(path: Path, values_HWC: NDArray[Any], **tags: Any) -> None:
    if path.suffix == ".png":
        write_deep_png(path, values_HWC.astype(np.uint16))
    else:
        write_tiff(path, values_HWC, photometric=2 if values_HWC.shape[2] > 2 else 1, **tags)


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [
        *[("a.png", "uint16", channels) for channels in (1, 3)],
        *[("a.tif", "uint8", channels) for channels in (2, 4, 5)],
        *[("a.tif", "uint16", channels) for channels in (1, 2, 3, 4, 5, 12)],
        *[("a.tif", "float32", channels) for channels in (1, 3)],
        ("a.tif", "int16", 3),
        ("a.tif", "uint32", 4),
    ],
)
def test_every_value_of_every_channel_is_read(
    name: str, dtype: str, channels: int, tmp_path: Path
) -> None:
    values_HWC = made(dtype, channels)
    write(tmp_path / name, values_HWC)
    header = picture_header(tmp_path / name)
    assert header.deep
    assert (header.height, header.width, len(header.bands)) == (6, 9, channels)
    assert header.bits == 8 * np.dtype(dtype).itemsize
    np.testing.assert_array_equal(read_channels(tmp_path / name, header), values_HWC)


def test_three_channels_that_are_no_colours_are_read_by_gdal(tmp_path: Path) -> None:
    values_HW3 = made("uint8", 3)
    write_tiff(tmp_path / "a.tif", values_HW3, photometric=1, page0={338: [0, 0]})
    header = picture_header(tmp_path / "a.tif")
    assert (header.deep, header.bands) == (True, (1, 2, 3))
    np.testing.assert_array_equal(read_channels(tmp_path / "a.tif", header), values_HW3)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_left_out_at_16_bits_as_at_8(channels: int, tmp_path: Path) -> None:
    values_HWC = made("uint16", channels)
    write(tmp_path / "a.png", values_HWC)
    write(tmp_path / "a.tif", values_HWC, page0={338: 2})
    for name in ("a.png", "a.tif"):
        header = picture_header(tmp_path / name)
        assert len(header.bands) == channels - 1
        np.testing.assert_array_equal(
            read_channels(tmp_path / name, header), values_HWC[..., : channels - 1]
        )


@pytest.mark.parametrize(
    ("suffix", "modes"),
    [
        (".png", ["RGB", "L", "LA", "RGBA", "P", "1"]),
        (".tif", ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK"]),
        (".bmp", ["RGB", "L", "RGBA", "P", "1"]),
        (".jpg", ["RGB", "L", "CMYK"]),
        (".webp", ["RGB", "RGBA"]),
    ],
)
def test_8_bits_of_grey_and_colours_are_read_by_pillow(
    suffix: str, modes: list[str], tmp_path: Path
) -> None:
    for mode in modes:
        path = tmp_path / f"{mode}{suffix}"
        Image.fromarray(made("uint8", 3)).convert(mode).save(path)
        header = picture_header(path)
        assert not header.deep, mode
        assert (header.height, header.width) == read_image(path).shape[:2]


def test_transparent_pixels_keep_the_colour_that_the_file_gives_them(tmp_path: Path) -> None:
    values_HW4 = made("uint8", 4)
    values_HW4[..., 3] = 0
    Image.fromarray(values_HW4).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), values_HW4[..., :3])


@pytest.mark.parametrize("turn", range(1, 9))
def test_16_bits_are_turned_upright(turn: int, tmp_path: Path) -> None:
    values_HW1 = made("uint16", 1)
    write(tmp_path / "a.tif", values_HW1, page0={274: turn})
    stored = Image.fromarray(values_HW1[..., 0].astype(np.int32))
    upright = stored.transpose(TURNS[turn - 2]) if turn > 1 else stored
    found_HW1 = read_channels(tmp_path / "a.tif", picture_header(tmp_path / "a.tif"))
    np.testing.assert_array_equal(found_HW1[..., 0], np.asarray(upright))


def test_values_are_scaled_between_the_ends_and_nan_is_0(tmp_path: Path) -> None:
    values_HW1 = np.array([[[0.0], [100], [150]], [[200], [999], [np.nan]]], np.float32)
    write(tmp_path / "a.tif", values_HW1)
    scaled_HW1, header = read_scaled(tmp_path / "a.tif", Scaling((1,), (100.0,), (200.0,)))
    np.testing.assert_array_equal(scaled_HW1[..., 0], [[0, 0, 0.5], [1, 1, 0]])
    assert str(header) == "1 channel of 32 bits"
    assert read_shown(tmp_path / "a.tif").shape == (2, 3, 3)


def choose(folder: Path) -> FileSpec:
    samples = [Sample(path.name, "", path.name, None) for path in sorted(folder.iterdir())]
    return choose_files("folder", {"train": samples}, folder, PrepareParams(), 1)


def test_the_range_is_measured_on_the_training_pictures(tmp_path: Path) -> None:
    pictures = [made("uint16", 3) * (1 + number) for number in range(3)]
    for number, values_HW3 in enumerate(pictures):
        write(tmp_path / f"{number}.png", values_HW3)
    files = choose(tmp_path)
    ends = np.quantile(np.stack(pictures).astype(np.float64), (0.001, 0.999))
    assert files.channels == PICTURES.channels
    assert files.scaling == Scaling((1, 2, 3), (ends[0],) * 3, (ends[1],) * 3)
    assert files.dtype == np.float16
    image_HW3, seen_HW = build_reader(files).read_image(tmp_path / "1.png")
    wanted = ((pictures[1] - ends[0]) / (ends[1] - ends[0])).clip(0, 1)
    np.testing.assert_allclose(image_HW3, wanted, atol=5e-4)
    assert seen_HW.all()
    assert picture_of(image_HW3, files).shape == (6, 9, 3)


def test_each_of_five_channels_has_its_own_range(tmp_path: Path) -> None:
    values_HWC = (made("uint8", 5) * [1, 0.5, 0.25, 1, 0.1]).astype(np.uint8)
    write(tmp_path / "a.tif", values_HWC)
    files = choose(tmp_path)
    assert files.scaling is not None
    assert files.channels == tuple(f"channel {k}" for k in range(1, 6))
    ends = np.quantile(values_HWC.reshape(-1, 5).astype(np.float64), (0.001, 0.999), axis=0)
    np.testing.assert_array_equal([files.scaling.low, files.scaling.high], ends)


def test_most_of_the_pictures_say_how_all_are_read_and_the_others_are_refused(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a.png", made("uint16", 3))
    for name in "bcd":
        Image.fromarray(made("uint8", 3)).save(tmp_path / f"{name}.png")
    assert choose(tmp_path) == PICTURES
    with pytest.raises(DataError, match=r"a\.png: has 16 bits a channel"):
        read_image(tmp_path / "a.png")
    for name in "ef":
        write(tmp_path / f"{name}.png", made("uint16", 3))
    (tmp_path / "d.png").unlink()
    files = choose(tmp_path)
    reader = build_reader(files)
    reader.read_image(tmp_path / "a.png")
    with pytest.raises(
        DataError, match=r"b\.png: has 3 channels of 8 bits, where the training pict"
    ):
        reader.read_image(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("grey.png", "has 1 channel of 16 bits without alpha, where the training pictures have 4"),
        ("text.png", "cannot be read as a picture"),
        ("cut.tif", "cannot be read"),
        ("a.jpg", "where the training pictures have 4"),
    ],
)
def test_other_files_are_refused_in_words(name: str, words: str, tmp_path: Path) -> None:
    write(tmp_path / "grey.png", made("uint16", 1))
    (tmp_path / "text.png").write_text("no picture")
    write(tmp_path / "cut.tif", made("uint16", 4))
    (tmp_path / "cut.tif").write_bytes((tmp_path / "cut.tif").read_bytes()[:-200])
    Image.fromarray(made("uint8", 3)).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=words):
        read_scaled(tmp_path / name, Scaling((1, 2, 3, 4), (0.0,) * 4, (4095.0,) * 4))


def test_the_limit_of_pixels_holds_for_deep_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.tif", made("uint16", 5))
    monkeypatch.setenv("SEGPIPE_MAX_PIXELS", "53")
    with pytest.raises(DataError, match="54 pixels"):
        read_scaled(tmp_path / "a.tif", Scaling((1,) * 5, (0.0,) * 5, (1.0,) * 5))


def test_channels_that_would_be_dropped_are_refused_of_8_bits(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", made("uint8", 5), page0={338: [0, 0]})
    with pytest.raises(DataError, match="has 5 channels, which are neither grey nor red"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_the_canvas_holds_the_whole_image_resized(fit: str, tmp_path: Path) -> None:
    values_HWC = made("uint16", 4)
    write(tmp_path / "a.tif", values_HWC)
    Image.fromarray(np.zeros((6, 9), np.uint8)).save(tmp_path / "m.png")
    scheme = LabelScheme(
        "one", ("a", "b"), (RawLabel(0, "a", (1, 1, 1), 0), RawLabel(1, "b", (2, 2, 2), 1))
    )
    sample = Sample("a", "", "a.tif", "m.png")
    files = FileSpec(
        "picture",
        tuple("abcd"),
        (0, 1, 2),
        scaling=Scaling((1, 2, 3, 4), (0.0,) * 4, (4095.0,) * 4),
    )
    canvas = PrepareParams(height=12, width=12, fit=fit)  # type: ignore[arg-type]
    seen = build_reader(files).read_onto_canvas(sample, tmp_path, scheme, canvas)
    assert seen.unreadable == []
    assert seen.frames_THWC is not None
    assert (seen.frames_THWC.shape, seen.frames_THWC.dtype) == ((1, 12, 12, 4), np.float16)
    assert (seen.image_side, seen.image_mode) == ((6, 9), "4 channels of 16 bits")
    rows, columns = seen.area
    outside = seen.frames_THWC.copy()
    outside[:, rows, columns] = 0
    assert not outside.any()
    whole = build_reader(files).read(sample, tmp_path, scheme).frames_THWC[0]
    np.testing.assert_allclose(whole, values_HWC / 4095, atol=5e-4)
    if fit == "stretch":
        np.testing.assert_array_equal(seen.frames_THWC[0], resize_image(whole, 12, 12))
        band = Image.fromarray(whole[..., 1].astype(np.float32)).resize((12, 12), 2)
        np.testing.assert_allclose(seen.frames_THWC[0, ..., 1], np.asarray(band), atol=5e-4)
