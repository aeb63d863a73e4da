"""Label schemes: raw ids, colours and train ids."""

import os
import pickle
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import labels as official
from cityscapesscripts.helpers.labels import trainId2label

from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import VOID, LabelScheme, pack_colours
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.runtime.validation import typed
from tests.forge import CLASSES_CSV


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "classes.csv").write_text(CLASSES_CSV)
    return tmp_path


def cityscapes() -> LabelScheme:
    return load_scheme("cityscapes19", {}, Path("nowhere"))


def test_cityscapes_is_what_the_official_table_says() -> None:
    scheme = cityscapes()
    assert scheme.num_classes == 19
    by_id = {label.id: label for label in scheme.raw}
    counted = 0
    for label in official:
        if label.id < 0:
            continue
        assert by_id[label.id].name == label.name
        assert by_id[label.id].train_id == label.trainId
        assert by_id[label.id].colour == label.color
        counted += 1
    assert counted == 34
    for train_id in range(19):
        assert scheme.classes[train_id] == trainId2label[train_id].name
        assert tuple(scheme.palette_K3[train_id]) == trainId2label[train_id].color
        assert scheme.raw_ids_K[train_id] == trainId2label[train_id].id


def test_encoding_is_the_table_applied_pixel_by_pixel() -> None:
    raw = np.random.default_rng(0).integers(0, 34, (13, 17)).astype(np.uint8)
    train, unknown = cityscapes().encode(raw)
    by_id = {label.id: label.trainId for label in official}
    assert unknown == {}
    assert train.tolist() == [[by_id[value] for value in row] for row in raw.tolist()]


def test_unknown_values_are_counted_and_void() -> None:
    raw = np.array([[7, 77, 77], [200, 8, 7]], np.uint8)
    train, unknown = cityscapes().encode(raw)
    assert unknown == {77: 2, 200: 1}
    assert train.tolist() == [[0, VOID, VOID], [VOID, 1, 0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_all_kinds_of_whole_numbers_are_encoded_alike(dtype: type[np.integer]) -> None:
    scheme = cityscapes()
    values = [-1, -300, 65536, 2**31 - 1, 65535, 255, 254] if dtype().itemsize > 2 else [254, 255]
    raw = np.random.default_rng(2).choice([*range(40), *values], (31, 17)).astype(dtype)
    train, unknown = scheme.encode(raw)
    by_id = {label.id: label.train_id for label in scheme.raw}
    flat = raw.ravel().tolist()
    assert train.ravel().tolist() == [by_id.get(value, VOID) for value in flat]
    assert unknown == {value: flat.count(value) for value in set(flat) if value not in by_id}
    assert train.dtype == np.uint8


def test_the_largest_scheme_keeps_its_last_class_and_void_apart(tmp_path: Path) -> None:
    rows = "".join(f"{value},label{value},{value},{value // 2},7\n" for value in range(254))
    (tmp_path / "many.csv").write_text(f"id,name,red,green,blue\n{rows}")
    scheme = load_scheme("many.csv", {300: "void"}, tmp_path)
    raw = np.array([[253, 254, 300]], np.uint16)
    train, unknown = scheme.encode(raw)
    assert (train.tolist(), unknown) == ([[253, VOID, VOID]], {254: 1})
    assert scheme.encode_colours(scheme.paint(train)[:, :1])[0].tolist() == [[253]]
    (tmp_path / "many.csv").write_text(f"id,name,red,green,blue\n{rows}254,one more,1,1,1\n")
    with pytest.raises(DataError, match="255 classes; a mask of train ids holds at most 254"):
        load_scheme("many.csv", {}, tmp_path)


def test_packing_is_red_green_blue_from_the_left() -> None:
    colours = np.random.default_rng(3).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    expected = [
        [int(f"{red:02x}{green:02x}{blue:02x}", 16) for red, green, blue in row]
        for row in colours.tolist()
    ]
    assert pack_colours(colours).tolist() == expected
    assert pack_colours(colours[:, ::2]).tolist() == [row[::2] for row in expected]


def test_workers_get_the_scheme_without_its_tables(folder: Path) -> None:
    scheme = load_scheme("classes.csv", {}, folder)
    scheme.encode_colours(scheme.paint(np.zeros((2, 2), np.uint8)))
    sent = pickle.dumps(scheme)
    assert len(sent) < 2000
    assert pickle.loads(sent) == scheme


def test_decoding_brings_back_the_raw_ids() -> None:
    scheme = cityscapes()
    train = np.arange(19, dtype=np.uint8)[None]
    assert scheme.encode(scheme.decode(train))[0].tolist() == train.tolist()
    assert scheme.decode(train).dtype == np.uint8
    assert scheme.decode(np.array([[VOID]], np.uint8)).tolist() == [[0]]


def test_colour_masks_give_the_same_as_index_masks(folder: Path) -> None:
    scheme = load_scheme("classes.csv", {}, folder)
    raw = np.random.default_rng(1).choice([0, 1, 2, 9], (9, 7)).astype(np.uint8)
    colours = {label.id: label.colour for label in scheme.raw}
    painted = np.array([[colours[value] for value in row] for row in raw.tolist()], np.uint8)
    assert (scheme.encode_colours(painted)[0] == scheme.encode(raw)[0]).all()
    painted[0, 0] = (1, 2, 3)
    assert scheme.encode_colours(painted)[1] == {0x010203: 1}


def test_painting_shows_the_colours_and_void_black(folder: Path) -> None:
    scheme = load_scheme("classes.csv", {}, folder)
    assert scheme.paint(np.array([[2, VOID]], np.uint8)).tolist() == [[[0, 0, 142], [0, 0, 0]]]


def test_the_map_adds_moves_and_voids_values(folder: Path) -> None:
    scheme = load_scheme("classes.csv", {255: "void", 2: "road", 40: "car"}, folder)
    raw = np.array([[255, 2, 40, 1]], np.uint8)
    assert scheme.encode(raw)[0].tolist() == [[VOID, 1, 2, 1]]


def test_mapped_values_take_the_colour_of_what_they_mean(folder: Path) -> None:
    scheme = load_scheme("classes.csv", {40: "car", 41: "void"}, folder)
    colours = {label.id: label.colour for label in scheme.raw}
    assert (colours[40], colours[41]) == (colours[2], colours[9])
    assert scheme.ambiguous_colours == {}
    black = np.zeros((1, 1, 3), np.uint8)
    assert scheme.encode_colours(black)[0].tolist() == [[VOID]]
    (folder / "binary.csv").write_text("id,name,red,green,blue\n0,rest,0,0,0\n1,sky,255,255,255\n")
    binary = load_scheme("binary.csv", {7: "void"}, folder)
    assert binary.ambiguous_colours == {}
    assert binary.encode_colours(black)[0].tolist() == [[0]]


def test_a_colour_of_several_meanings_is_refused(folder: Path) -> None:
    text = "id,name,red,green,blue\n0,a,1,1,1\n1,b,2,2,2\n2,c,1,1,1\n3,void,2,2,2\n4,d,5,5,5\n"
    (folder / "twice.csv").write_text(text)
    scheme = load_scheme("twice.csv", {}, folder)
    shared = scheme.ambiguous_colours
    names = {code: [label.name for label in labels] for code, labels in shared.items()}
    assert names == {0x010101: ["a", "c"], 0x020202: ["b", "void"]}
    assert scheme.encode(np.array([[0, 1, 2, 3]], np.uint8))[0].tolist() == [[0, 1, 2, VOID]]
    painted = np.array([[[5, 5, 5], [1, 1, 1], [2, 2, 2], [9, 9, 9]]], np.uint8)
    with pytest.raises(DataError) as raised:
        scheme.encode_colours(painted)
    said = str(raised.value)
    assert "colour 1,1,1: a (a) and c (c)" in said
    assert "colour 2,2,2: b (b) and void (void)" in said
    # A map cannot take the only label of class c.
    assert "or a label scheme in which the labels of one colour are one class" in said
    train, unknown = scheme.encode_colours(painted[:, ::3])
    assert (train.tolist(), unknown) == ([[3, VOID]], {0x090909: 1})


def test_the_line_of_the_message_joins_the_labels() -> None:
    scheme = cityscapes()
    said = scheme.ambiguity([0x999999, 0x804080])
    assert said is not None
    assert "colour 153,153,153: pole (pole) and polegroup (void)" in said
    assert "`map: {18: pole}`" in said
    assert scheme.ambiguity([0x804080]) is None
    joined = load_scheme("cityscapes19", {18: "pole"}, Path("nowhere"))
    grey = np.full((1, 1, 3), 153, np.uint8)
    assert joined.encode_colours(grey)[0].tolist() == [[5]]


def test_a_scheme_survives_json(folder: Path) -> None:
    scheme = load_scheme("classes.csv", {70: "sky"}, folder)
    assert typed(LabelScheme, asdict(scheme)) == scheme


def test_ids_above_a_byte_are_written_with_two(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text("id,name,red,green,blue\n1000,a,1,1,1\n2000,b,2,2,2\n")
    scheme = load_scheme("wide.csv", {}, tmp_path)
    train, unknown = scheme.encode(np.array([[1000, 2000, 5]], np.uint16))
    assert train.tolist() == [[0, 1, VOID]]
    assert unknown == {5: 1}
    assert scheme.decode(np.array([[1]], np.uint8)).dtype == np.uint16


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({5: "raod"}, "did you mean road"),
        ({70000: "road"}, "70000 cannot occur in a mask"),
        ({-32769: "void"}, r"-32769 cannot occur in a mask; values are -32768\.\.65535"),
        (
            {2: "void"},
            r"^params.yaml: labels.map leaves no raw value for class car: `\{2: void\}` moves its value 2 "
            r"away; take such an entry out, or add the value that means car in the masks \(`VALUE: car`\)"
            ", or choose a labels.scheme without this class$",
        ),
    ],
)
def test_a_faulty_map_is_explained(extra: dict[int, str], message: str, folder: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        load_scheme("classes.csv", extra, folder)


def test_unknown_and_missing_schemes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cityscapes19"):
        load_scheme("cityscape", {}, tmp_path)
    with pytest.raises(DataError, match=r"labels\.scheme in params\.yaml names it"):
        load_scheme("labels.csv", {}, tmp_path)
    with pytest.raises(ParameterError, match=r"did you mean cityscapes34\?"):
        load_scheme("cityscape34", {}, tmp_path)
    for name in ("labels.yaml", f"{'a' * 300}.csv", "a\0.csv"):
        with pytest.raises(DataError, match=r"labels\.scheme in params\.yaml names it"):
            load_scheme(name, {}, tmp_path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder\.csv: is not a file"):
        load_scheme("folder.csv", {}, tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match=r"pipe\.csv: is not a file"):
        load_scheme("pipe.csv", {}, tmp_path)


@pytest.mark.parametrize(
    ("ids", "extra", "void", "dtype"),
    [
        ((0, 255), {}, 254, np.uint8),
        ((0, 1), {}, 255, np.uint8),
        ((254, 255), {}, 253, np.uint8),
        ((0, 255), {255: "a", 9: "void", 7: "void"}, 9, np.uint8),
        ((0, 255), {-1: "void"}, 254, np.uint8),
        ((0, 255), {-1: "void", 3: "void"}, 3, np.uint8),
        ((0, 300), {}, 65535, np.uint16),
        ((0, 65535), {}, 65534, np.uint16),
        ((0, 1), dict.fromkeys(range(256), "a") | {1: "b"}, 65535, np.uint16),
        ((0, 1), {700: "void"}, 700, np.uint16),
    ],
)
def test_void_is_written_as_a_value_that_no_class_has(
    ids: tuple[int, int],
    extra: dict[int, str],
    void: int,
    dtype: type[np.integer],
    tmp_path: Path,
) -> None:
    rows = "".join(f"{k},{name},{k % 256},0,0\n" for k, name in zip(ids, "ab", strict=True))
    (tmp_path / "two.csv").write_text(f"id,name,red,green,blue\n{rows}")
    if extra.get(255) == "a":  # class b keeps a value
        extra = extra | {2: "b"}
    scheme = load_scheme("two.csv", extra, tmp_path)
    assert scheme.void_id == void
    assert scheme.meanings.get(void, "void") == "void"
    written = scheme.decode(np.array([[0, 1, VOID]], np.uint8))
    assert written.dtype == dtype
    assert written[0, 2] == void
    train, _ = scheme.encode(written)
    assert train.tolist() == [[0, 1, VOID]]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_values_below_zero_can_be_void_or_a_class(
    dtype: type[np.integer], folder: Path, tmp_path: Path
) -> None:
    scheme = load_scheme("classes.csv", {-1: "void", -5: "road"}, folder)
    first = int(scheme.raw_ids_K[scheme.classes.index("road")])
    assert first >= 0
    train, unknown = scheme.encode(np.array([[-1, -5, -7, first]], dtype))
    road = scheme.classes.index("road")
    assert train.tolist() == [[VOID, road, VOID, road]]
    assert unknown == {-7: 1}
    assert scheme.meanings[-1] == "void"


def test_a_csv_may_name_ids_below_zero_that_are_void(tmp_path: Path) -> None:
    rows = "0,road,1,1,1\n-1,plate,2,2,2,void\n"
    (tmp_path / "own.csv").write_text(f"id,name,red,green,blue,class\n{rows}")
    assert load_scheme("own.csv", {}, tmp_path).meanings == {0: "road", -1: "void"}
    (tmp_path / "own.csv").write_text("id,name,red,green,blue\n0,road,1,1,1\n-1,plate,2,2,2\n")
    with pytest.raises(DataError, match="plate has the id -1; below 0 an id can only be void"):
        load_scheme("own.csv", {}, tmp_path)
    (tmp_path / "own.csv").write_text("id,name,red,green,blue\n0,road,1,1,1\n1,car,2,2,2\n")
    with pytest.raises(ParameterError, match="leaves no raw value for class car"):
        load_scheme("own.csv", {1: "void", -1: "car"}, tmp_path)
