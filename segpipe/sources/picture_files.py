"""Which files below images/ and masks/ are read, and which are passed over."""

from collections.abc import Collection, Iterable
from pathlib import Path

from segpipe.runtime.errors import DataError, listing
from segpipe.runtime.findings import Finding, about
from segpipe.sources.other_layouts import advice, conversion, count_suffixes

PARTS = ("images", "masks")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


def read_files(files: Iterable[Path], suffixes: Collection[str]) -> list[Path]:
    """Return the files with one of `suffixes`, which may be written in capitals, in their order."""
    return [path for path in files if path.suffix.lower() in suffixes]


def named_apart(
    files: Iterable[Path],
    raw: Path,
    part: str,
    suffixes: Collection[str],
    findings: list[Finding],
) -> dict[str, str]:
    """Map names (the path below raw/part, without suffix) to paths below `raw`, in their order.

    files: all below `raw`, of which those in `part` with one of `suffixes` are taken. Files of one
    name are added to `findings`, and the first of them is taken. Raises DataError, which names the
    suffixes that are looked for and what lies there, when there is none at all.
    """
    found: dict[str, str] = {}
    twice = []
    for path in read_files(files, suffixes):
        place = path.relative_to(raw)
        if place.parts[0] == part:
            name = place.relative_to(part).with_suffix("").as_posix()
            if found.setdefault(name, place.as_posix()) != place.as_posix():
                twice.append(f"{found[name]} and {place.as_posix()}")
    if not found:
        text = f"{raw / part}: holds no {', '.join(sorted(suffixes))} files"
        raise DataError("\n".join([text, *advice(raw, suffixes)]))
    findings += about(
        twice,
        "name_twice",
        f"{{n}} base names appear twice in {part}/; which one is meant?",
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


def refuse_missing(source: Path, suffixes: Collection[str]) -> None:
    """Raise DataError, which says what lies there instead, when the folder, images/ or masks/ is missing."""
    if not source.is_dir():
        raise DataError(
            f"{source}: there is no such folder; put your data (or a link to it) there, "
            "or set source.path in params.yaml"
        )
    missing = [_missing(source / part) for part in PARTS if not (source / part).is_dir()]
    if missing:
        text = f"{source}: needs a folder images/ and a folder masks/; not found:"
        raise DataError("\n".join([text, listing(missing), *advice(source, suffixes)]))


def _missing(folder: Path) -> str:
    return f"{folder}/" + (f", a link to {folder.readlink()}" if folder.is_symlink() else "")
