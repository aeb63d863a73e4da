"""Files that are damaged, or are no files: read within bounds, or refused in plain words."""

import os
import re
from pathlib import Path

import pytest

from segpipe.runtime import small_files
from segpipe.runtime.small_files import parse_any_json, parse_json, read_json, read_small_file


def test_an_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, {"b": null}]}')
    assert read_json(tmp_path / "a.json") == {"a": [1, {"b": None}]}
    assert parse_any_json(b"[1.5]") == [1.5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[" * 3000 + "]" * 3000, "more than 64 lists and objects inside each other"),
        ('{"a": ' * 200 + "1" + "}" * 200, "more than 64 lists and objects inside each other"),
        ("[]", "must hold a JSON object, {...}, not list"),
        ("3", "not int"),
        ("{", "Expecting property name"),
        ("1" * 5000, "4300 digits"),
        (b"\xff\xfe{", "decode"),
    ],
)
def test_what_is_no_plain_object_is_refused(content: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_json(content)


def test_64_levels_are_read() -> None:
    text = "[" * 64 + "1" + "]" * 64
    assert repr(parse_any_json(text)) == text
    with pytest.raises(ValueError, match="more than 64"):
        parse_any_json(f"[{text}]")


def test_a_file_above_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}" + " " * 9)
    monkeypatch.setattr(small_files, "_MOST_JSON_BYTES", 11)
    assert read_json(path) == {}
    path.write_text("{}" + " " * 10)
    with pytest.raises(ValueError, match="larger than 11 bytes"):
        read_json(path)


def test_a_pipe_and_a_folder_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a pipe or a device, not a file"):
        read_small_file(tmp_path / "pipe", 10)
    with pytest.raises(IsADirectoryError):
        read_small_file(tmp_path, 10)
