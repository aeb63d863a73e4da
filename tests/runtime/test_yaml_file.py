"""YAML: as DVC reads it, and within bounds of size, depth and aliases."""

import os
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml

from segpipe.runtime.errors import ParameterError
from segpipe.runtime.yaml_file import parse_yaml, read_yaml

LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


def refusal(content: str) -> str:
    with pytest.raises(ParameterError) as caught:
        parse_yaml(content.encode(), "x.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1e-4\nb: 0x10\nc: 010\nd: yes\ne: 2001-01-01\n",
        "a: &x [1, 2]\nb: *x\nc: *x\n",
        "base: &base {p: 1, q: 2}\nb: {<<: *base, q: 3}\n",
        "a: {b: {c: {d: {e: [[[1]]]}}}}\n",
        "a: &x 1\nb: *x\nc:\n- *x\n- &y {d: *x}\n- *y\n",
    ],
)
def test_it_is_read_as_dvc_reads_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    assert read_yaml(tmp_path / "x.yaml") == load_yaml(str(tmp_path / "x.yaml"))


def test_a_later_anchor_replaces_one_of_its_name() -> None:
    assert parse_yaml(b"a: &x 1\nb: &x 2\nc: *x", "x") == {"a": 1, "b": 2, "c": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LAUGHS, "x.yaml: line 6: aliases (*name) repeat more than 100,000 values"),
        ("a: &a [1, *a]", "x.yaml: line 1: an alias (*name) is part of what it stands for"),
        ("k: 1\na: " + "[" * 3000, "x.yaml: line 2: more than 64 sections and lists"),
        ("{a: " * 3000, "x.yaml: line 1: more than 64 sections and lists"),
        ("- " * 3000 + "1", "x.yaml: line 1: more than 64 sections and lists"),
        ("#" * (1 << 20) + "\n", "x.yaml: is larger than 1,048,576 bytes"),
        ("a: 2001-99-99", "x.yaml: not valid YAML: month must be in 1..12"),
        ("a: " + "1" * 5000, "x.yaml: not valid YAML: Exceeds the limit (4300 digits)"),
        ("a: !!bool maybe", "x.yaml: not valid YAML"),
        ("a: !!int ''", "x.yaml: not valid YAML"),
        ('a: "\\UFFFFFFFF"', "x.yaml: not valid YAML"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
    ],
)
def test_what_exceeds_a_bound_or_is_not_valid_is_refused(content: str, words: str) -> None:
    assert words in refusal(content)


def test_the_bounds_are_exact() -> None:
    nested = "[" * 64 + "1" + "]" * 64
    assert repr(parse_yaml(nested.encode(), "x")) == nested
    assert "more than 64" in refusal(f"[{nested}]")
    hundred = "a: &x [" + "1, " * 99 + "]\n"  # 99 numbers and their list
    read = parse_yaml(f"{hundred}b: [{'*x, ' * 1000}]".encode(), "x")
    assert read["b"] == [[1] * 99] * 1000
    assert "more than 100,000 values" in refusal(f"{hundred}b: [{'*x, ' * 1001}]")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"none\.yaml: there is no such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(ParameterError, match=r"params\.yaml: is a folder; put the YAML file"):
        read_yaml(tmp_path / "params.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ParameterError, match=r"pipe\.yaml: cannot be read: it is a pipe"):
        read_yaml(tmp_path / "pipe.yaml")
