"""The commented parameter file and the page of all parameters, both written from the schema."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml

from segpipe.params.length import Length
from segpipe.params.load import is_whole, load_overlay, validate
from segpipe.params.schema import Params
from segpipe.params.section import Section, section_of
from segpipe.params.writer import header_of, parameters_page, write_params, yaml_value
from segpipe.runtime.yaml_file import read_yaml
from tests.forge import RECIPES, ROOT


def described(section: type[Section], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in section.model_fields.items():
        inner = section_of(field)
        if inner is None:
            yield f"{prefix}{name}", field.description
        else:
            yield from described(inner, f"{prefix}{name}.")


def test_every_parameter_is_described() -> None:
    places = dict(described(Params))
    assert len(places) > 140
    assert [place for place, text in places.items() if not text] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_what_is_written_is_read_back(recipe: Path, tmp_path: Path) -> None:
    params = load_overlay(recipe)
    path = tmp_path / "params.yaml"
    path.write_text(write_params(params, header_of(recipe.read_text())))
    content = read_yaml(path)
    assert content == load_yaml(str(path)), "DVC reads the same"
    assert is_whole(content)
    assert validate(content, "params.yaml") == params
    assert write_params(params, header_of(path.read_text())) == path.read_text()


def test_each_line_carries_its_description_at_one_column() -> None:
    lines = write_params(Params()).splitlines()
    commented = [line for line in lines if "#" in line.lstrip("#") and not line.startswith("#")]
    assert len(commented) > 150
    places = {line.index("#") for line in commented if len(line.partition("#")[0].rstrip()) < 28}
    assert places == {29}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.0001, "0.0001"),
        (1e-05, "1e-05"),
        (5e8, "500000000.0"),
        ((0.5, 1.5), "[0.5, 1.5]"),
        ({"cross_entropy": 1.0}, "{cross_entropy: 1.0}"),
        ({}, "{}"),
        ([], "[]"),
        ("^([^_]+)_", "^([^_]+)_"),
        ("1e-4", "'1e-4'"),
        ("null", "'null'"),
        ("a: b # c", "'a: b # c'"),
        (Length(2.5), "2.5 epochs"),
        (Length(1, "steps"), "1 step"),
        (Length(0), "0"),
    ],
)
def test_values_are_written_so_that_they_are_read_back(
    value: object, text: str, tmp_path: Path
) -> None:
    assert yaml_value(value) == text
    (tmp_path / "x.yaml").write_text(f"x: {text}\n")
    if not isinstance(value, Length):
        assert read_yaml(tmp_path / "x.yaml")["x"] == (
            list(value) if isinstance(value, tuple) else value
        )


def test_the_page_of_parameters_is_up_to_date() -> None:
    page = (ROOT / "docs/parameters.md").read_text()
    assert page == parameters_page(), "run `make parameters`"
    assert len(re.findall(r"^\| `", page, re.MULTILINE)) > 150
