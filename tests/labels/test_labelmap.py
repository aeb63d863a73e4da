"""labelmap.txt, as CVAT writes it."""

from pathlib import Path

import numpy as np
import pytest

from segpipe.labels.load import load_scheme, scheme_at
from segpipe.labels.scheme import LabelScheme
from segpipe.runtime.errors import DataError

OF_CVAT = """# label:color_rgb:parts:actions
background:0,0,0::
road:128,64,128::
traffic light:250,170,30:lamp,pole:
ignore:9,9,9::
"""


def read(tmp_path: Path, content: str) -> LabelScheme:
    (tmp_path / "labelmap.txt").write_text(content)
    return load_scheme("labelmap.txt", {}, tmp_path)


def test_ids_are_the_order_and_colours_those_of_the_file(tmp_path: Path) -> None:
    scheme = read(tmp_path, OF_CVAT)
    assert scheme.classes == ("background", "road", "traffic light")
    assert [(label.id, label.colour, label.train_id) for label in scheme.raw] == [
        (0, (0, 0, 0), 0),
        (1, (128, 64, 128), 1),
        (2, (250, 170, 30), 2),
        (3, (9, 9, 9), 255),
    ]
    painted = np.array([[[250, 170, 30], [9, 9, 9]]], np.uint8)
    np.testing.assert_array_equal(scheme.encode_colours(painted)[0], [[2, 255]])
    assert scheme_at(str(tmp_path / "labelmap.txt")) == scheme


def test_names_alone_get_colours(tmp_path: Path) -> None:
    scheme = read(tmp_path, "sky\n\nroad\nvoid\n")
    assert (scheme.classes, [label.id for label in scheme.raw]) == (("sky", "road"), [0, 1, 2])
    assert len({label.colour for label in scheme.raw}) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# label:color_rgb:parts:actions\n", "there is no label; write one a line"),
        ("a:1,2::\n", "line 1: '1,2' is not a colour; write 0..255,0..255,0..255"),
        ("a:1,2,256::\n", "line 1: '1,2,256' is not a colour"),
        ("a:red::\n", "line 1: 'red' is not a colour"),
        (":1,2,3::\n", "line 1: the name is empty"),
        ("a:1,2,3::\na:4,5,6::\n", "duplicate name a (line 1, line 2)"),
    ],
)
def test_a_faulty_file_is_explained(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message.replace("(", r"\(").replace(")", r"\)")):
        read(tmp_path, content)


def test_lists_of_samples_are_no_label_files(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a\n")
    (tmp_path / "labelmap.txt").write_text(OF_CVAT)
    with pytest.raises(DataError, match=r"the label files there are labelmap\.txt$"):
        load_scheme("classes.csv", {}, tmp_path)
