"""params.yaml as it is written: every parameter with its description from the schema."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML

from segpipe.params.length import Length
from segpipe.params.schema import Params
from segpipe.params.section import Section, section_of

_COLUMN = 29  # where the comments begin
_FIRST_WORDS = "# All parameters of the pipeline."
_INTRODUCTION = (
    f"{_FIRST_WORDS} Lengths are in pixels (height before width), probabilities and\n"
    "# fractions in 0..1. Change one for one run with `dvc exp run -S train.lr=0.0005`. Every parameter\n"
    "# must be here, and nothing else may: `segpipe check` says what is wrong.\n"
)


def write_params(params: Params, header: str = "", reasons: Mapping[str, str] | None = None) -> str:
    """Return the text of a parameter file.

    header: comment lines to stand at the top, such as those of a recipe; the introduction, which is
    the same in every file, follows it (and is not repeated where the header ends with it).
    reasons: why a value was chosen, by dotted key; it stands in place of the description.
    """
    top = header_of(header)
    blocks = [f"{top}#\n{_INTRODUCTION}" if top else _INTRODUCTION]
    for name in Params.model_fields:
        lines = _lines(
            name, getattr(params, name), Params.model_fields[name].description, "", reasons or {}
        )
        blocks.append("".join(f"{line}\n" for line in lines))
    return "\n".join(blocks)


def header_of(text: str) -> str:
    """Return the comment lines at the top of a parameter file, without the introduction."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#") or line.startswith(_FIRST_WORDS):
            break
        lines.append(f"{line}\n")
    while lines and lines[-1] == "#\n":
        lines.pop()
    return "".join(lines)


def yaml_value(value: Any) -> str:
    """Return a parameter's value as YAML 1.2 on one line."""
    if isinstance(value, Length):
        value = str(value) if value.amount else 0
    if isinstance(value, tuple):
        value = list(value)
    if value is None:
        return "null"
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width = True, 1 << 20
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue().removesuffix("...\n").rstrip("\n")


def parameters_page() -> str:
    """Return docs/parameters.md: a table of each section with default and description."""
    parts = [
        "# Parameters\n\nWritten from `segpipe/params`, the only place where a parameter is documented, by "
        "`make parameters`.\nDefaults are what a recipe leaves out; `segpipe use NAME` writes all of them "
        "into params.yaml.\n"
    ]
    for name, field in Params.model_fields.items():
        section = section_of(field)
        assert section is not None
        rows = [
            f"| `{place}` | {default} | {text} |" for place, default, text in _rows(section, name)
        ]
        about = " ".join((section.__doc__ or "").split())
        head = "| parameter | default | meaning |\n| --- | --- | --- |"
        parts.append("\n".join([f"## {name}\n\n{about}\n", head, *rows]) + "\n")
    return "\n".join(parts)


def _lines(
    place: str, value: Any, description: str | None, indent: str, reasons: Mapping[str, str]
) -> Iterator[str]:
    name = place.rpartition(".")[2]
    if not isinstance(value, Section):
        yield _commented(f"{indent}{name}: {yaml_value(value)}", reasons.get(place, description))
        return
    fields = type(value).model_fields
    yield _commented(f"{indent}{name}:{'' if fields else ' {}'}", description)
    for inner, field in fields.items():
        child = getattr(value, inner)
        yield from _lines(f"{place}.{inner}", child, field.description, f"{indent}  ", reasons)


def _commented(text: str, description: str | None) -> str:
    if not description:
        return text
    return f"{text:<{_COLUMN - 2}}  # {' '.join(description.split())}"


def _rows(section: type[Section], prefix: str) -> Iterator[tuple[str, str, str]]:
    usual = section()
    for name, field in section.model_fields.items():
        inner, text = section_of(field), " ".join((field.description or "").split())
        shown = text.replace("|", "\\|")
        if inner is None:
            yield f"{prefix}.{name}", f"`{yaml_value(getattr(usual, name))}`", shown
        elif inner.model_fields:
            about = " ".join((inner.__doc__ or "").split()).replace("|", "\\|")
            yield f"{prefix}.{name}", "", shown or about
            yield from _rows(inner, f"{prefix}.{name}")
