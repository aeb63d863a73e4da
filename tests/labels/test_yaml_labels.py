"""A person's own labels as YAML."""

from pathlib import Path

import numpy as np
import pytest

from segpipe.labels.colours import _lab, distinct_colours
from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.runtime.errors import DataError, ParameterError


def read(folder: Path, text: str) -> LabelScheme:
    (folder / "labels.yaml").write_text(text, encoding="utf-8")
    return load_scheme("labels.yaml", {}, folder)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(DataError) as raised:
        read(folder, text)
    return str(raised.value)


def test_sections_lists_and_single_ids(tmp_path: Path) -> None:
    scheme = read(
        tmp_path,
        """
        classes:
          road: {colour: [128, 64, 128], ids: [7, 8]}
          car: {ids: 26, colour: [0, 0, 142]}
          tree: 21
          person: [24, 25]
        void: [0, 255]
        """,
    )
    assert scheme.name == "labels"
    assert scheme.classes == ("road", "car", "tree", "person")
    assert scheme.raw[:3] == (
        RawLabel(7, "road 7", (128, 64, 128), 0),
        RawLabel(8, "road 8", (128, 64, 128), 0),
        RawLabel(26, "car", (0, 0, 142), 1),
    )
    train, unknown = scheme.encode(np.array([[7, 8, 26, 21, 24, 25, 0, 255, 3]], np.uint8))
    assert train.tolist() == [[0, 0, 1, 2, 3, 3, VOID, VOID, VOID]]
    assert unknown == {3: 1}
    assert scheme.ambiguous_colours == {}


def test_the_shortest_file_is_a_list_of_names(tmp_path: Path) -> None:
    scheme = read(tmp_path, "classes: [sky, road, car]\nvoid: 255\n")
    assert [(label.id, label.name) for label in scheme.raw] == [
        (0, "sky"),
        (1, "road"),
        (2, "car"),
        (255, "void"),
    ]
    assert scheme.void_ids == [255]
    assert len({label.colour for label in scheme.raw}) == 4
    assert scheme == read(tmp_path, "classes: {sky: , road: , car: }\nvoid: 255\n")


def test_painted_masks_need_no_ids(tmp_path: Path) -> None:
    scheme = read(
        tmp_path,
        """
        classes:
          tree: {colour: [[0, 128, 0], [10, 200, 10]]}
          sky: {colour: [70, 130, 180]}
        void: {colour: [[0, 0, 0], [255, 255, 255]]}
        """,
    )
    assert [label.id for label in scheme.raw] == [0, 1, 2, 255, 254]
    painted = [[10, 200, 10], [0, 128, 0], [70, 130, 180], [255, 255, 255], [0, 0, 0]]
    train, unknown = scheme.encode_colours(np.array([painted], np.uint8))
    assert (train.tolist(), unknown) == ([[0, 0, 1, VOID, VOID]], {})


def test_a_colour_for_each_id(tmp_path: Path) -> None:
    scheme = read(tmp_path, "classes: {a: {ids: [4, 5], colour: [[1, 1, 1], [2, 2, 2]]}, b: 6}\n")
    colours = {label.id: label.colour for label in scheme.raw}
    assert (colours[4], colours[5]) == ((1, 1, 1), (2, 2, 2))


def test_void_is_black_unless_a_class_is(tmp_path: Path) -> None:
    assert read(tmp_path, "classes: [a]\nvoid: 9\n").raw[-1].colour == (0, 0, 0)
    scheme = read(tmp_path, "classes: {rest: {ids: 0, colour: [0, 0, 0]}, sky: 1}\nvoid: 255\n")
    assert scheme.ambiguous_colours == {}
    assert scheme.encode_colours(np.zeros((1, 1, 3), np.uint8))[0].tolist() == [[0]]


def test_one_colour_twice_is_right_for_numbers_and_wrong_for_paint(tmp_path: Path) -> None:
    same = "{ids: %d, colour: [9, 9, 9]}"
    scheme = read(tmp_path, f"classes:\n  a: {same % 1}\n  b: {same % 2}\n")
    assert scheme.encode(np.array([[1, 2]], np.uint8))[0].tolist() == [[0, 1]]
    assert list(scheme.ambiguous_colours) == [0x090909]


def test_label_files_are_those_of_the_data_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC would not notice a change of a file elsewhere."""
    data = tmp_path / "data"
    (data / "own").mkdir(parents=True)
    for name in ("labels.yml", "other.yml", "data/own/labels.yml"):
        (tmp_path / name).write_text("classes: [of, elsewhere]")
    (data / "labels.yml").write_text("classes: [of, the, data]")
    monkeypatch.chdir(tmp_path)
    assert load_scheme("labels.yml", {}, data).classes == ("of", "the", "data")
    with pytest.raises(DataError, match="must lie in the folder of the data"):
        load_scheme("other.yml", {}, data)
    for name in ("../labels.yml", str(tmp_path / "labels.yml"), "own/labels.yml"):
        with pytest.raises(ParameterError, match="it must be a file's name alone"):
            load_scheme(name, {}, data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold `classes:`"),
        ("- road\n- car\n", "must hold `classes:`"),
        ("a: [b", "not valid YAML"),
        ("classes: " + "[" * 3000, "line 1: more than 64 sections and lists are inside each other"),
        ("a: &a [a, *a]", "line 1: an alias (*name) is part of what it stands for"),
        ("classes: {a: 1, a: 2}", "not valid YAML"),
        ("void: 3\n", "classes is empty; it must name the classes"),
        ("classes: {}\n", "it must name the classes"),
        ("classes: 3\n", "classes is 3"),
        ("clases: [a]\n", "unknown key clases; did you mean classes?"),
        ("classes: [a, b, a]\n", "duplicate name a"),
        ("classes: {a: {color: [1, 2, 3]}}\n", "a: unknown key color; did you mean colour?"),
        ("classes: {a: {ids: 1, x: 2}}\n", "a: unknown key x; a can have ids and colour"),
        ("classes: {a: 70000}\n", "a: 70000 is not an id; ids are whole numbers -32768..65535"),
        ("classes: {a: -32769}\n", "a: -32769 is not an id"),
        ("classes: {a: [1, -1]}\n", "a -1 has the id -1; below 0 an id can only be void"),
        ("classes: {a: '7'}\n", "a: '7' is not an id"),
        ("classes: {a: true}\n", "a: true is not an id"),
        ("classes: {a: []}\n", "a is an empty list"),
        ("classes: {a: {ids: 1, colour: red}}\n", "a.colour: 'red' is not a colour"),
        ("classes: {a: {ids: 1, colour: [1, 2]}}\n", "a.colour: [1, 2] is not a colour"),
        ("classes: {a: {ids: 1, colour: [1, 2, 256]}}\n", "a.colour: [1, 2, 256] is not a colour"),
        ("classes: {a: {ids: 1, colour: [1, 2, true]}}\n", "is not a colour"),
        (
            "classes: {a: {ids: [1, 2, 3], colour: [[1, 1, 1], [2, 2, 2]]}}\n",
            "a has 3 ids and 2 colours; give one colour, or one for each",
        ),
        ("classes: {a: 1, b: [2, 1]}\n", "duplicate id 1: a, b 1"),
        ("classes: {a: [1, 1]}\n", "duplicate id 1: a 1, a 1"),
        ("classes: {a: 1}\nvoid: [0, 1]\n", "duplicate id 1: a, void 1"),
        ("classes: {a: 1, b: }\n", "b has no ids, though other classes have"),
        ("classes: {a: 1, Void: 2}\n", "Void is a name for what counts nowhere"),
        ("classes: {a: 1, ignored: 2}\n", "move its ids to `void:`"),
        ("classes: {a: 1, 2: 2}\n", "2 is not a name; write it in quotes"),
        ("classes: {a: 1, '': 2}\n", "classes: the name is empty"),
        ("classes: {a: [1, 2], a 1: 3}\n", "duplicate name a 1"),
        (f"classes: [{', '.join(f'c{k}' for k in range(255))}]\n", "255 classes; a mask of train"),
    ],
)
def test_a_faulty_file_is_explained(text: str, message: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, text)
    assert message in said
    assert said.startswith(str(tmp_path / "labels.yaml"))


def test_all_faults_stand_in_one_message(tmp_path: Path) -> None:
    said = refusal(
        tmp_path,
        "classes: {a: 1, b: 1, c: {idz: 5}, void: 7, d: {ids: 99999, colour: [1]}}\nviod: 0\n",
    )
    for part in (
        "viod",
        "idz",
        "void is a name",
        "99999",
        "[1] is not a colour",
        "duplicate id 1: a, b",
    ):
        assert part in said


def test_254_classes_are_read(tmp_path: Path) -> None:
    scheme = read(tmp_path, f"classes: [{', '.join(f'c{k}' for k in range(254))}]\n")
    assert scheme.num_classes == 254
    assert len({label.colour for label in scheme.raw}) == 254


def test_chosen_colours_are_the_same_every_time_and_far_apart() -> None:
    taken = [(128, 64, 128), (0, 0, 255)]
    chosen = distinct_colours(20, taken)
    assert chosen == distinct_colours(20, taken)
    assert chosen[:7] == distinct_colours(7, taken)
    # The nearest two of these twenty differ more than the nearest two of the Cityscapes palette
    # (car 0,0,142 and truck 0,0,70: 72 steps in one channel).
    every = np.array([*chosen, *taken, (0, 0, 0), (255, 255, 255)], np.int64)
    apart = np.linalg.norm(every[:, None] - every[None], axis=-1)
    assert apart[~np.eye(len(every), dtype=bool)].min() > 50


def test_the_colour_space_is_cielab() -> None:
    """The published coordinates of the corners of sRGB under D65."""
    rgb = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]], np.float64)
    expected = [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
    assert np.allclose(_lab(rgb), [*expected, [100, 0, 0], [0, 0, 0]], atol=0.06)


@pytest.mark.parametrize(
    "names", ["[sky, road, void, car]", "{0: sky, 1: road, 2: void, 3: car}"], ids=["list", "ids"]
)
def test_names_as_ultralytics_writes_them(names: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(f"path: ../street\ntrain: images/train\nnames: {names}\n")
    scheme = load_scheme("data.yaml", {}, tmp_path)
    assert scheme.classes == ("sky", "road", "car")
    assert scheme.meanings == {0: "sky", 1: "road", 3: "car", 2: "void"}


def test_names_that_are_none_are_explained(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: 3\n")
    with pytest.raises(DataError, match="names is 3; it must name the classes"):
        load_scheme("data.yaml", {}, tmp_path)
