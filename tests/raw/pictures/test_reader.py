"""What the reader of pictures says of files that it does not read whole."""

from pathlib import Path

import numpy as np

from segpipe.labels.load import load_scheme
from segpipe.params.prepare import PrepareParams
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.pictures.reader import PictureReader
from segpipe.raw.sample import Sample
from tests.forge import CLASSES_CSV, save, scene
from tests.raw.pictures.made import write_tiff

IMAGE, MASK = scene(0)


def test_what_is_left_out_is_said_in_words(tmp_path: Path) -> None:
    reader = build_reader(PICTURES)
    assert isinstance(reader, PictureReader)
    save(tmp_path / "a.png", IMAGE)
    save(tmp_path / "a.jpg", IMAGE)
    write_tiff(tmp_path / "two.tif", IMAGE, IMAGE)
    write_tiff(tmp_path / "many.tif", *[IMAGE] * 40)
    (tmp_path / "none.png").write_bytes(b"none")
    words = {
        "a.png": None,
        "a.jpg": None,
        "two.tif": "1 further page",
        "many.tif": "39 further pages",
        "none.png": None,  # reading it says why
        "gone.png": None,
    }
    assert {name: reader.left_out(tmp_path / name) for name in words} == words


def test_reading_a_sample_notes_the_further_pages_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text(CLASSES_CSV)
    scheme = load_scheme("classes.csv", {}, tmp_path)
    write_tiff(tmp_path / "frame.tif", IMAGE[::-1], IMAGE)
    save(tmp_path / "image.png", IMAGE)
    write_tiff(tmp_path / "mask.tif", *[MASK[..., None]] * 3, photometric=1)
    sample = Sample("a", "a", "image.png", "mask.tif", frames=("frame.tif",))
    canvas = PrepareParams(height=48, width=64)
    seen = build_reader(PICTURES).read_onto_canvas(sample, tmp_path, scheme, canvas)
    assert seen.left_out == ["frame.tif: 1 further page", "mask.tif: 2 further pages"]
    assert seen.frames_THWC is not None and seen.mask_hw is not None
    np.testing.assert_array_equal(seen.frames_THWC, np.stack([IMAGE[::-1], IMAGE]))
    np.testing.assert_array_equal(seen.mask_hw, scheme.encode(MASK)[0])
