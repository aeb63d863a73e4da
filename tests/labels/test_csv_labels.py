"""Labels as CSV, in the forms that spreadsheets write, and the encodings of all label files."""

from pathlib import Path

import numpy as np
import pytest

from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.runtime.errors import DataError

HEADER = "id,name,red,green,blue"
PLAIN = f"{HEADER}\n7,road,128,64,128\n8,café,1,2,3\n0,void,0,0,0\n"
EXPECTED = (
    RawLabel(7, "road", (128, 64, 128), 0),
    RawLabel(8, "café", (1, 2, 3), 1),
    RawLabel(0, "void", (0, 0, 0), VOID),
)


def read(folder: Path, content: str | bytes, name: str = "classes.csv") -> LabelScheme:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_scheme(name, {}, folder)


def refusal(folder: Path, content: str | bytes, name: str = "classes.csv") -> str:
    """The message, without the path before it."""
    with pytest.raises(DataError) as raised:
        read(folder, content, name)
    said = str(raised.value)
    assert said.startswith(f"{folder / name}:")
    return said.removeprefix(f"{folder / name}:").strip()


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ", "),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.replace(",", "\t").replace("\n", "\r\n").encode("utf-16-be"),
        PLAIN.replace(HEADER, "ID,Name,Red,Green,Blue"),
        PLAIN.replace(HEADER, " Id , NAME,red ,\tgreen, blue"),
        PLAIN.replace(HEADER, '"id","name","red","green","blue"'),
        PLAIN.replace(HEADER, '"ID";"Name";"Red";"Green";"Blue"').replace(",", ";"),
        f"{PLAIN},,,,\n",
        f"{PLAIN}\n\n",
        f",,,,\n{PLAIN}",
        PLAIN.replace("\n8", "\n,,,,\n \n8"),
        PLAIN.replace("7,road,128", "7.0,road,128.0"),
        PLAIN.replace("7,road", '"7","road"'),
        PLAIN.replace("8,café", "8,café,").replace(HEADER, "id,name,class,red,green,blue")
        .replace("road", "road,road").replace("void", "void,"),
        PLAIN.replace("\n", ",,\n"),
        PLAIN.replace(HEADER, f"{HEADER},comment").replace("64,128", "64,128,grey, mostly"[:11]),
    ],
    ids=lambda value: ascii(value)[:40],
)  # fmt: skip
def test_the_same_table_in_every_form(content: str | bytes, tmp_path: Path) -> None:
    scheme = read(tmp_path, content)
    assert scheme.raw == EXPECTED
    assert scheme.classes == ("road", "café")


def test_columns_in_another_order_and_a_suffix_in_capitals(tmp_path: Path) -> None:
    scheme = read(tmp_path, "Blue;Green;Red;Name;ID\n3;2;1;a;5\n6;5;4;b;9\n", "Classes.CSV")
    assert scheme.raw == (RawLabel(5, "a", (1, 2, 3), 0), RawLabel(9, "b", (4, 5, 6), 1))
    assert scheme.name == "Classes"


@pytest.mark.parametrize(
    "content",
    [
        "Pixel Value, Class, R, G, B\n0, sky, 1, 2, 3\n1, road, 4, 5, 6\n",  # Roboflow's, with colours
        "value;name;red;green;blue\n0;sky;1;2;3\n1;road;4;5;6\n",
        "LABEL_ID\tLabel\tr\tg\tb\n0\tsky\t1\t2\t3\n1\troad\t4\t5\t6\n",
        "label|class name|Red|Green|Blue\n0|sky|1|2|3\n1|road|4|5|6\n",
        "name,r,g,b\nsky,1,2,3\nroad,4,5,6\n",
        "label,class,r,g,b\n0,sky,1,2,3\n1,road,4,5,6\n",
        "id,label,value,r,g,b\n0,sky,7,1,2,3\n1,road,8,4,5,6\n",
    ],
)
def test_columns_have_other_names_and_ids_may_be_left_out(content: str, tmp_path: Path) -> None:
    found = read(tmp_path, content)
    assert [(label.id, label.name, label.colour, label.train_id) for label in found.raw] == [
        (0, "sky", (1, 2, 3), 0),
        (1, "road", (4, 5, 6), 1),
    ]


def test_a_column_of_classes_still_joins_labels(tmp_path: Path) -> None:
    found = read(tmp_path, "id,label,class\n0,car,vehicle\n1,bus,vehicle\n2,sky,void\n")
    assert [label.name for label in found.raw] == ["car", "bus", "sky"]
    assert found.classes == ("vehicle",)


def test_a_name_may_hold_the_separator_and_lines_in_quotes_are_counted(tmp_path: Path) -> None:
    assert read(tmp_path, f'{HEADER}\n1,"traffic light, red",1,1,1\n').classes == (
        "traffic light, red",
    )
    said = refusal(tmp_path, f'{HEADER},note\n1,a,1,1,1,"two\nlines"\n\n2,b,1,1,x,\n')
    assert said == "line 5: blue is 'x'; it must be a whole number 0..255"


def test_several_void_labels_may_share_a_name(tmp_path: Path) -> None:
    scheme = read(tmp_path, f"{HEADER}\n0,void,0,0,0\n1,a,1,1,1\n255,void,9,9,9\n")
    assert scheme.void_ids == [0, 255]
    assert scheme.classes == ("a",)


def test_colours_that_are_left_out_are_chosen_for_each_class(tmp_path: Path) -> None:
    scheme = read(tmp_path, "id,name,class\n1,car,vehicle\n2,bus,vehicle\n3,tree,\n0,void,\n")
    assert scheme.classes == ("vehicle", "tree")
    colours = [label.colour for label in scheme.raw]
    assert colours[0] == colours[1]
    assert len({*colours}) == 3
    assert colours[3] == (0, 0, 0)
    assert scheme.ambiguous_colours == {}
    some = read(
        tmp_path, f"{HEADER}\n1,a,{','.join(map(str, colours[0]))}\n2,b,,,\n3,c,0,0,0\n4,void,,,\n"
    )
    assert some.raw[0].colour == colours[0]
    assert len({label.colour for label in some.raw}) == 4


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c"], [f"c{k}" for k in range(40)]])
def test_chosen_colours_are_none_that_masks_are_painted_with(
    names: list[str], tmp_path: Path
) -> None:
    """Masks in red, green and blue would else get the classes in the order of the chosen colours."""
    rows = "".join(f"{k},{name}\n" for k, name in enumerate(names))
    steps = [0, 51, 64, 85, 102, 127, 128, 153, 170, 191, 192, 204, 255]
    usual = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3).astype(np.uint8)
    unknown = read(tmp_path, f"id,name\n{rows}").encode_colours(usual)[1]
    grey = {0x999999}  # a step of web colours that is on the grid; it is chosen late, if at all
    assert len(unknown) >= usual.shape[1] - len(grey)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", f"is empty; the first line must be {HEADER}, with a row for each label below"),
        (",,\n\n", f"is empty; the first line must be {HEADER}, with a row for each label below"),
        (f"{HEADER}\n", "there is no row below the header; add one for each label"),
        ("0,sky,1,2,3\n1,road,4,5,6\n",
         "line 1: is a label; the names of the columns must stand in a line above; found "
         f"'0,sky,1,2,3', expected {HEADER} with a row for each label below (separated by commas, "
         "semicolons, tabs or bars)"),
        ("\nname,r,g\nsky,1,2\n", "line 2: lacks the columns id, blue; found 'name,r,g'"),
        ("name,colour\nsky,1\n", "line 1: lacks the columns id, red, green, blue; found 'name,colour'"),
        ("id,name,red,green\n0,sky,1,2\n", "line 1: lacks the column blue; found"),
        ("id!name!red!green!blue\n", "line 1: lacks the columns id, name, red, green, blue; found 'id!name"),
        ("id,ID,name,red,green,blue\n", "line 1: the column id appears twice; found 'id,ID,name"),
        (f"{HEADER},clas\n1,a,1,1,1,b\n", "line 1: has the unknown column 'clas'; rename it to class if it "
         "names the classes, else take it out; found"),
        (f"{HEADER}\nabc,a,1,1,1\n", "line 2: id is 'abc'; it must be a whole number -32768..65535"),
        (f"{HEADER}\n,a,1,1,1\n", "line 2: id is empty; it must be a whole number -32768..65535"),
        (f"{HEADER}\n7.5,a,1,1,1\n", "line 2: id is '7.5'; it must be"),
        (f"{HEADER}\n1e3,a,1,1,1\n", "line 2: id is '1e3'; it must be"),
        (f"{HEADER}\n1_0,a,1,1,1\n", "line 2: id is '1_0'; it must be"),
        (f"{HEADER}\n٣,a,1,1,1\n", "line 2: id is '٣'; it must be"),
        (f"{HEADER}\n{'9' * 5000},a,1,1,1\n", f"line 2: id is '{'9' * 39}...; it must be"),
        (f"{HEADER}\n70000,a,1,1,1\n", "line 2: id is '70000'; it must be a whole number -32768..65535"),
        (f"{HEADER}\n1,a,1,256,1\n", "line 2: green is '256'; it must be a whole number 0..255"),
        (f"{HEADER}\n1,a,1,1,-1\n", "line 2: blue is '-1'; it must be a whole number 0..255"),
        (f"{HEADER}\n1,a,1,,1\n", "line 2: green is empty; it must be a whole number 0..255"),
        (f"{HEADER}\n1,a,1,1\n", "line 2: blue is empty; it must be a whole number 0..255"),
        (f"{HEADER}\n1,,1,1,1\n", "line 2: the name is empty"),
        (f"{HEADER}\n1,light, red,1,1,1\n", "line 2: has 6 cells where the header names 5; a cell that holds "
         "the separator must be in quotes"),
        (f'{HEADER}\n1,"a,1,1,1\n2,b,2,2,2\n', "line 2: cannot be divided into cells; close each quotation "
         "mark at the end of its cell, and write one inside of a quoted cell twice"),
        (f'{HEADER}\n1,"a"b,1,1,1\n', "line 2: cannot be divided into cells"),
        (f"{HEADER}\n1,{'a' * 200_000},1,1,1\n", "line 2: cannot be divided into cells"),
        (f"{HEADER}\n1,a\x1b[31m,1,1,1\n", "line 2: the name 'a\\x1b[31m' holds the invisible character "
         "U+001B; type the name anew"),
        (f"{HEADER}\n1,a\u200bb,1,1,1\n", "line 2: the name 'a\\u200bb' holds the invisible character U+"),
        (f'{HEADER}\n1,"a\nb",1,1,1\n', "line 2: the name 'a\\nb' holds the invisible character U+000A"),
        (f"{HEADER}\n1,{'a' * 101},1,1,1\n", f"line 2: the name '{'a' * 39}... has 101 characters; at most"),
        (f"{HEADER},class\n1,a,1,1,1,b\x07\n", "line 2: the name 'b\\x07' holds the invisible character"),
        (f"{HEADER}\n1,a,1,1,1\n\n1,b,2,2,2\n", "duplicate id 1: a (line 2), b (line 4)"),
        (f"{HEADER}\n1,a,1,1,1\n2,a,2,2,2\n", "duplicate name a (line 2, line 3); give each label a name of "
         "its own; to join several to one class, name it in a column `class`"),
        (f"{HEADER}\n1,Road,1,1,1\n2,road ,2,2,2\n", "the names 'Road' and 'road' differ only in case or "
         "spaces; spell them alike, or choose another name"),
        (f"{HEADER}\n1,bus stop,1,1,1\n2,bus  stop,2,2,2\n", "the names 'bus stop' and 'bus  stop' differ"),
        (f"{HEADER},class\n1,a,1,1,1,Flat\n2,b,2,2,2,flat\n", "the names 'Flat' and 'flat' differ only in"),
        (f"{HEADER}\n1,void,1,1,1\n", "every label is void; there is no class to learn"),
        (HEADER + "".join(f"\n{k},c{k},1,1,1" for k in range(300)),
         "300 classes; a mask of train ids holds at most 254: join some, or make some void"),
        (PLAIN.encode("cp1252"), "line 3: byte 0xE9 is not UTF-8; if the file comes from Windows in Western "
         "Europe or America: `iconv -f cp1252 -t utf-8 classes.csv > utf8 && mv utf8 classes.csv`"),
        (PLAIN.encode("utf-16-le"), "holds zero bytes, as UTF-16 without a byte order mark does; if it is "
         "that: `iconv -f utf-16le -t utf-8 classes.csv > utf8 && mv utf8 classes.csv`"),
        (PLAIN.encode("utf-16")[:-1], "is UTF-16 that is cut off or damaged; save it anew"),
        (b"PK\x03\x04\x14\x00", "is a workbook or an archive, not text; in the spreadsheet, save the"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a workbook or an archive, not text"),
    ],
    ids=lambda value: ascii(value)[:40],
)  # fmt: skip
def test_a_faulty_file_is_explained(content: str | bytes, message: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, content)
    assert said.startswith(message)
    assert "\n" not in said
    assert said.isprintable()


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    said = refusal(tmp_path, b"a" * (2**24 + 1))
    assert said == "is larger than 16,777,216 bytes; this is no label file"


def test_all_faults_stand_in_one_message(tmp_path: Path) -> None:
    said = refusal(tmp_path, f"{HEADER}\nx,a,1,1,1\n1,b,1,1,300\n2,c,1,1,1\n2,d,1,1,1\n")
    assert said.splitlines() == [
        "line 2: id is 'x'; it must be a whole number -32768..65535",
        "  line 3: blue is '300'; it must be a whole number 0..255",
        "  duplicate id 2: c (line 4), d (line 5)",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_yaml_file_may_be_in_the_same_encodings(encoding: str, tmp_path: Path) -> None:
    scheme = read(tmp_path, "classes: [road, café]\n".encode(encoding), "labels.yaml")
    assert scheme.classes == ("road", "café")


def test_a_yaml_file_in_another_encoding_is_explained_alike(tmp_path: Path) -> None:
    said = refusal(tmp_path, "classes:\n  café: 1\n".encode("cp1252"), "labels.yaml")
    assert said.startswith("line 2: byte 0xE9 is not UTF-8; if the file comes from Windows")
    assert "`iconv -f cp1252 -t utf-8 labels.yaml > utf8 && mv utf8 labels.yaml`" in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('classes: {"a\\e[31m": 1}\n', "classes: the name 'a\\x1b[31m' holds the invisible character U+001B"),
        (f"classes: [{'a' * 101}]\n", f"classes: the name '{'a' * 39}... has 101 characters; at most 100"),
        ("classes: [Road, road]\n", "the names 'Road' and 'road' differ only in case or spaces"),
        ('classes: [a]\n"\\e[31m": 1\n', "the file: unknown key '\\x1b[31m'; the file can have"),
        (f"classes: {{a: [{', '.join(['x'] * 999)}]}}\n", "a: 'x' is not an id; ids are whole numbers"),
        (f"classes: {{a: {{ids: 1, colour: {'x' * 999}}}}}\n", f"a.colour: '{'x' * 39}... is not a colour"),
    ],
    ids=lambda value: ascii(value)[:40],
)  # fmt: skip
def test_names_in_yaml_are_bound_likewise(content: str, message: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, content, "labels.yaml")
    assert said.startswith(message)
    assert len(said) < 1000
    assert said.replace("\n", "").isprintable()
