"""Which files below the folders of images and masks are read, and which are passed over."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding, about
from segpipe.sources.layout import Layout
from segpipe.sources.other_layouts import advice, conversion, count_suffixes

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def read_files(files: Iterable[Path], suffixes: Collection[str]) -> list[Path]:
    """Return the files with one of `suffixes`, which may be written in capitals, in their order."""
    return [path for path in files if path.suffix.lower() in suffixes]


def named_apart(
    files: Iterable[Path],
    raw: Path,
    layout: Layout,
    part: Literal["images", "masks"],
    suffixes: Collection[str],
    by_folder: bool,
    findings: list[Finding],
) -> dict[str, str]:
    """Map names (`Layout.name`, of which by_folder is a part) to paths below `raw`, in their order.

    files: all below `raw`, of which those of `part` with one of `suffixes` are taken. Files of one
    name are added to `findings`, and the first of them is taken. Raises DataError, which names the
    suffixes that are looked for and what lies there, when there is none at all.
    """
    found: dict[str, str] = {}
    twice = []
    for path in read_files(files, suffixes):
        place = path.relative_to(raw).as_posix()
        name = layout.name(place, part, by_folder)
        if name is not None and found.setdefault(name, place) != place:
            twice.append(f"{found[name]} and {place}")
    if not found:
        folders = layout.images if part == "images" else layout.masks
        where = ", ".join(str(raw / folder) for folder in folders)
        text = f"{where}: holds no {', '.join(sorted(suffixes))} files"
        raise DataError("\n".join([text, *advice(raw, suffixes)]))
    findings += about(
        twice,
        "name_twice",
        f"{{n}} base names appear twice among the {part}; which one is meant?",
        "remove or rename one of each two",
    )
    return found


def ignored_files(
    raw: Path, files: Iterable[Path], suffixes: Collection[str], beside: Collection[str] = ()
) -> list[Finding]:
    """Return a warning that counts the files of other kinds among `files`, which lie below `raw`.

    Such a file is often an image that someone believes to be used. beside: endings of files that
    are read with those of `suffixes`.
    """
    known = (*suffixes, *beside)
    others = [path for path in files if not path.name.lower().endswith(known)]
    commands = "".join(f"; {command}" for command in conversion(others, raw, suffixes))
    return about(
        (path.relative_to(raw).as_posix() for path in others),
        "ignored_files",
        f"{{n}} files in images/ and masks/ are not of a kind that is read ({count_suffixes(others)})",
        f"save them as {', '.join(sorted(suffixes))} if they are meant, else move them away{commands}",
        severity="warning",
    )
