"""Sheets of samples: images beside their masks, whole and in true colours."""

import numpy as np
import pytest

from segpipe.labels.scheme import VOID, LabelScheme, RawLabel, pack_colours
from segpipe.rendering import samples

SCHEME = LabelScheme(
    "two",
    ("sky", "road"),
    (
        RawLabel(0, "sky", (70, 130, 180), 0),
        RawLabel(1, "road", (128, 64, 128), 1),
        RawLabel(9, "void", (0, 0, 0), VOID),
    ),
)


def test_a_sample_stands_beside_its_painted_mask() -> None:
    image = np.full((200, 320, 3), (10, 200, 30), np.uint8)
    mask = np.zeros((200, 320), np.uint8)
    mask[:, 160:] = VOID
    mask[150:, :160] = 1
    sheet = samples.sample_sheet([("a", image, mask)], SCHEME)
    assert (sheet[12:212, 12:332] == (10, 200, 30)).all()
    painted = sheet[12:212, 336:656]
    assert (painted[:145, :150] == (70, 130, 180)).all()
    assert (painted[155:, :150] == (128, 64, 128)).all()
    hatched = painted[:, 165:].reshape(-1, 3)
    assert {tuple(colour) for colour in np.unique(hatched, axis=0).tolist()} == {
        (38, 38, 42),
        (84, 84, 90),
    }
    legend = sheet[240:].reshape(-1, 3)
    for colour in ((70, 130, 180), (128, 64, 128), (84, 84, 90)):
        assert (legend == colour).all(1).any()


def test_a_coarser_mask_covers_its_image() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    mask = np.array([[0, 1], [1, 0]], np.uint8)
    painted = samples.sample_sheet([("tile", image, mask)], SCHEME)[12:412, 416:816]
    assert (painted[5:195, 5:195] == (70, 130, 180)).all()
    assert (painted[5:195, 205:395] == (128, 64, 128)).all()
    assert (painted[205:395, 205:395] == (70, 130, 180)).all()


@pytest.mark.parametrize("columns", [1, 2, 8])
def test_sheets_have_a_bounded_width_and_masks_are_not_interpolated(columns: int) -> None:
    image = np.zeros((1024, 2048, 3), np.uint8)
    mask = np.random.default_rng(0).integers(0, 2, (1024, 2048)).astype(np.uint8)
    sheet = samples.sample_sheet([(f"s{k}", image, mask) for k in range(columns)], SCHEME, columns)
    assert sheet.shape[1] <= 2400
    # Black images, the two classes and the lighter shades of their borders, and nothing between
    # them; captions and legend are of grey letters on white.
    packed = np.unique(pack_colours(sheet)).tolist()
    colours = {(code >> 16, code >> 8 & 255, code & 255) for code in packed}
    known = {(70, 130, 180), (128, 64, 128), (162, 192, 218), (192, 160, 192)}
    vivid = {colour for colour in colours if max(colour) - min(colour) > 20}
    assert vivid <= known


def test_copies_stand_behind_their_originals() -> None:
    dark, light = (np.full((100, 320, 3), value, np.uint8) for value in (20, 220))
    before, after = np.zeros((100, 320), np.uint8), np.ones((100, 320), np.uint8)
    sheet = samples.copies_sheet([("a", dark, before, light, after)] * 2, SCHEME)
    tile = 2 * 320 + 4
    row = sheet[60]
    assert (row[12:332] == 20).all()
    assert (row[336 + 4 : 650] == (70, 130, 180)).all()
    second = 12 + tile + 12
    assert (row[second : second + 320] == 220).all()
    assert (row[second + 330 : second + tile - 4] == (128, 64, 128)).all()


def test_sheets_refuse_nothing_and_masks_of_other_sizes() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(ValueError, match="0 samples"):
        samples.sample_sheet([], SCHEME)
    with pytest.raises(ValueError, match="0 columns"):
        samples.sample_sheet([("a", image, image[..., 0])], SCHEME, 0)
    with pytest.raises(ValueError, match="drive7: a mask of"):
        samples.sample_sheet([("drive7", image, np.zeros((7, 30), np.uint8))], SCHEME)
