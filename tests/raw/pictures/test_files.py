"""Masks of every format and depth; ids in three equal channels; what changes values."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segpipe.cli.main import main
from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.raw.pictures.files import GREY, TRIPLED, open_mask, read_mask
from segpipe.runtime.errors import DataError
from tests.forge import make_folder, save, tiny_parameters, write_parameters
from tests.raw.pictures.made import write_deep_png, write_tiff

IDS = np.array([[0, 1, 2, 300], [2, 2, 1, 0]], np.uint16)
SMALL = np.minimum(IDS, 2).astype(np.uint8)


def scheme_of(folder: Path, *rows: str) -> LabelScheme:
    text = "id,name,red,green,blue\n" + "\n".join(rows)
    (folder / "classes.csv").write_text(text)
    return load_scheme("classes.csv", {}, folder)


@pytest.fixture
def scheme(tmp_path: Path) -> LabelScheme:
    """Void is black, though 0 is a class: a mask of greys may mean either."""
    return scheme_of(
        tmp_path,
        "0,sky,70,130,180",
        "1,road,128,64,128",
        "2,car,0,0,142",
        "300,bus,9,8,7",
        "255,void,0,0,0",
    )


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_ids_of_8_bits_in_every_lossless_format(
    suffix: str, mode: str, scheme: LabelScheme, tmp_path: Path
) -> None:
    path = tmp_path / f"mask{suffix}"
    picture = Image.fromarray(SMALL)
    if mode == "P":
        picture.putpalette([channel for grey in range(256) for channel in (grey,) * 3])
    (picture.convert("RGB") if mode == "RGB" else picture).save(path)
    train_HW, unknown, painted = read_mask(path, scheme)
    np.testing.assert_array_equal(train_HW, SMALL)
    assert (unknown, painted) == ({}, False)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lossless_webp_holds_ids_in_three_channels(
    mode: str, scheme: LabelScheme, tmp_path: Path
) -> None:
    Image.fromarray(SMALL).convert(mode).save(tmp_path / "mask.webp", lossless=True)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.webp", scheme)[0], SMALL)
    assert not open_mask(tmp_path / "mask.webp", scheme).lossy


def test_ids_of_16_bits_and_signed_ones(scheme: LabelScheme, tmp_path: Path) -> None:
    write_deep_png(tmp_path / "mask.png", IDS[..., None])
    write_tiff(tmp_path / "mask.tif", IDS[..., None], photometric=1)
    write_tiff(tmp_path / "signed.tif", IDS[..., None].astype(np.int16), photometric=1)
    for name in ("mask.png", "mask.tif", "signed.tif"):
        np.testing.assert_array_equal(
            read_mask(tmp_path / name, scheme)[0], np.where(IDS == 300, 3, IDS)
        )


def test_ids_of_16_bits_in_three_equal_channels(scheme: LabelScheme, tmp_path: Path) -> None:
    tripled = np.repeat(IDS[..., None], 3, axis=2)
    write_deep_png(tmp_path / "mask.png", tripled)
    write_tiff(tmp_path / "mask.tif", tripled)
    for name in ("mask.png", "mask.tif"):
        mask = open_mask(tmp_path / name, scheme)
        assert (mask.mode, mask.painted) == (f"I, {TRIPLED}", False)
        np.testing.assert_array_equal(
            mask.encoded(scheme, mask.picture), np.where(IDS == 300, 3, IDS)
        )
    tripled[0, 0, 1] = 7
    write_deep_png(tmp_path / "mask.png", tripled)
    with pytest.raises(DataError, match="has 16 bits a channel"):
        open_mask(tmp_path / "mask.png", scheme)


def kind(path: Path, *values: tuple[int, int, int], scheme: LabelScheme) -> tuple[str, list[int]]:
    Image.fromarray(np.array([values], np.uint8)).save(path)
    mask = open_mask(path, scheme)
    return mask.mode, mask.encoded(scheme, mask.picture)[0].tolist()


def test_greys_are_ids_where_the_scheme_knows_them_rather_so(
    scheme: LabelScheme, tmp_path: Path
) -> None:
    path, black = tmp_path / "mask.png", (0, 0, 0)
    ids = kind(path, black, (1, 1, 1), (2, 2, 2), scheme=scheme)
    assert ids == (f"RGB, {TRIPLED}", [0, 1, 2])
    assert kind(path, black, (70, 130, 180), scheme=scheme) == ("RGB", [VOID, 0])
    # All of it is a colour of the scheme, so it is painted, as it was always read.
    assert kind(path, black, scheme=scheme) == ("RGB", [VOID])
    assert kind(path, (77, 77, 77), scheme=scheme) == (f"RGB, {TRIPLED}", [VOID])


def test_greys_that_mean_the_same_in_either_way(tmp_path: Path) -> None:
    binary = scheme_of(tmp_path, "0,rest,0,0,0", "1,thing,255,255,255")
    path, black, white = tmp_path / "mask.png", (0, 0, 0), (255, 255, 255)
    assert kind(path, black, white, scheme=binary) == ("RGB", [0, 1])
    assert kind(path, black, (1, 1, 1), scheme=binary) == (f"RGB, {TRIPLED}", [0, 1])
    assert kind(path, black, scheme=binary) == (f"RGB, {GREY}", [0])


def findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, masks: list[NDArray[np.uint8]], suffix: str
) -> dict[str, str]:
    """What `segpipe check` says of a data set whose masks in train are these, severity by kind."""
    data = make_folder(tmp_path / "data", train=len(masks), val=2)
    for path, mask in zip(sorted((data / "masks/train").iterdir()), masks, strict=True):
        path.unlink()
        save(path.with_suffix(suffix), mask)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("segpipe.training.forecast.available_bytes", lambda _device: 1 << 40)
    write_parameters(Path("params.yaml"), tiny_parameters(data))
    main(["check"])
    report = json.loads(Path(".segpipe/preflight/report.json").read_text())
    return {finding["kind"]: finding["severity"] for finding in report["findings"]}


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_masks_are_refused_where_their_values_left_the_scheme(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0).integers(0, 3, (48, 64))
    noisy = np.repeat((random * 80).astype(np.uint8)[..., None], 3, axis=2)
    assert findings(tmp_path, monkeypatch, [noisy] * 4, suffix)["lossy_mask"] == "error"


def test_clean_lossy_masks_are_doubted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = np.zeros((48, 64), np.uint8)
    assert findings(tmp_path, monkeypatch, [flat] * 4, ".jpg")["lossy_mask"] == "warning"
