"""Recipes: overlays in recipes/, each with a header that says what it needs.

A folder recipes/ in the working directory stands in place of the recipes that come with segpipe.
"""

import contextlib
import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe.params.chosen import chosen, flat
from segpipe.params.load import is_whole, load_overlay
from segpipe.params.writer import header_of, write_params
from segpipe.project.make import RECIPES
from segpipe.runtime.errors import ParameterError, listing
from segpipe.runtime.yaml_file import read_yaml

FOLDER = Path("recipes")
# `# data      text`, continued by lines that are indented further: `#           more text`.
_FIELD = re.compile(r"#\s([a-z]+)(?::\s*|\s{2,})(\S.*)")
_MORE = re.compile(r"#\s{3,}(\S.*)")


@dataclass(frozen=True)
class Header:
    """What the comment at the top of a parameter file says.

    about: its first paragraph. fields: what stands behind `data`, `command`, `result` and the like.
    """

    about: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Change:
    """A parameter, by its dotted key, that a recipe sets otherwise; None where it is in one alone."""

    key: str
    old: str | None
    new: str | None

    @property
    def section(self) -> str:
        """The first part of the key."""
        return self.key.partition(".")[0]


def recipe_paths() -> list[Path]:
    """Return the recipes of the working directory by name, or those that come with segpipe."""
    own, shipped = (
        sorted(path for path in folder.glob("*.yaml") if path.is_file())
        for folder in (FOLDER, RECIPES)
    )
    return own or shipped


def find_recipe(name: str) -> Path:
    """Return recipes/NAME.yaml, the file that `name` is the path of, or the recipe of segpipe.

    Raises ParameterError with the nearest names when there is neither.
    """
    with contextlib.suppress(OSError):  # a name may be too long for a file
        for path in (FOLDER / f"{name}.yaml", Path(name), FOLDER / name, RECIPES / f"{name}.yaml"):
            if path.is_file():
                return path
    known = [path.stem for path in recipe_paths()]
    near = difflib.get_close_matches(Path(name).stem, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the recipes:\n{listing(known, 50)}"
    raise ParameterError(f"{name[:100]}: is neither a recipe nor a parameter file; {hint}")


def read_header(text: str) -> Header:
    """Read the comment lines at the top of a parameter file."""
    about: list[str] = []
    fields: dict[str, str] = {}
    field, paragraph = "", True
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if found := _FIELD.fullmatch(line.rstrip()):
            field, paragraph = found[1], False
            fields[field] = found[2]
        elif field and (found := _MORE.fullmatch(line.rstrip())):
            fields[field] += f" {found[1]}"
        else:
            field, words = "", line.lstrip("#").strip()
            paragraph = paragraph and bool(words or not about)
            about += [words] if paragraph and words else []
    return Header(" ".join(about), fields)


def changes(old: Any, new: Any) -> tuple[list[Change], int]:
    """Compare two parameter files (nested dictionaries): what differs, and how many keys do not."""
    before, after = flat(old), flat(new)
    keys = [*after, *(key for key in before if key not in after)]
    differing = [
        Change(key, before.get(key), after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    ]
    # What the recipe does not have stands with its section, not at the end.
    sections = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    differing.sort(key=lambda change: sections.index(change.section))
    return differing, len(keys) - len(differing)


def change_lines(differing: list[Change]) -> list[str]:
    """Return the differences as lines, below the name of their section."""
    lines, section = [], None
    for change in differing:
        if change.section != section:
            section = change.section
            lines.append(section)
        old = "(not used)" if change.old is None else change.old
        new = "(not used)" if change.new is None else change.new
        lines.append(f"  {change.key}: {old} → {new}")
    return lines


def params_text(path: Path) -> str:
    """Return params.yaml as a recipe, or another parameter file, gives it.

    A file that names every parameter is taken as it is, with its own comments; any other is laid over
    the defaults and written out. Raises ParameterError when it has a fault.
    """
    params, text = load_overlay(path), path.read_text(encoding="utf-8")
    return text if is_whole(read_yaml(path)) else write_params(params, header_of(text))


def values_of(path: Path) -> Any:
    """Return the parameters of a file that count (`chosen`).

    Of a file with a fault all that stands in it, and nothing where it is not valid YAML.
    """
    try:
        return chosen(load_overlay(path))
    except ParameterError:
        pass
    try:
        return read_yaml(path)
    except ParameterError:
        return {}
