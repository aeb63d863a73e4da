"""Which files of a folder are pictures, and which are passed over."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from segpipe.runtime.errors import DataError, listing
from segpipe.runtime.findings import Finding, about

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


def _files(folder: Path) -> list[Path]:
    """Return all files below `folder` but hidden ones, such as ._name.png of macOS."""
    return sorted(
        path
        for path in folder.rglob("*")
        if not path.is_dir()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def picture_files(folder: Path) -> list[Path]:
    """Return the JPEG and PNG files below `folder`, in any case of the suffix, sorted."""
    return [path for path in _files(folder) if path.suffix.lower() in SUFFIXES]


def by_name(raw: Path, part: str, findings: list[Finding]) -> dict[str, str]:
    """Map the names of the pictures below images/ or masks/ to paths, as `named_apart` does."""
    return named_apart(picture_files(raw / part), raw, part, SUFFIXES, findings)


def named_apart(
    files: Sequence[Path],
    raw: Path,
    part: str,
    suffixes: Collection[str],
    findings: list[Finding],
) -> dict[str, str]:
    """Map names (the path below raw/part, without suffix) to paths below `raw`, in their order.

    Files of one name are added to `findings`, and the first of them is taken. Raises DataError,
    which names the suffixes that are looked for, when there is none at all.
    """
    found: dict[str, str] = {}
    twice = []
    for path in files:
        name = path.relative_to(raw / part).with_suffix("").as_posix()
        place = path.relative_to(raw).as_posix()
        if found.setdefault(name, place) != place:
            twice.append(f"{found[name]} and {place}")
    if not found:
        raise DataError(f"{raw / part}: holds no {', '.join(sorted(suffixes))} files")
    findings += about(
        twice,
        "name_twice",
        f"{{n}} base names appear twice in {part}/; which one is meant?",
        "remove or rename one of each two",
    )
    return found


def ignored_files(raw: Path) -> list[Finding]:
    """Return a warning that counts the files of other kinds in images/ and masks/.

    Such a file is often an image that someone believes to be used.
    """
    others = [
        path
        for part in ("images", "masks")
        for path in _files(raw / part)
        if path.suffix.lower() not in SUFFIXES
    ]
    if not others:
        return []
    kinds = Counter(path.suffix.lower() or "no suffix" for path in others)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return about(
        (path.relative_to(raw).as_posix() for path in others),
        "ignored_files",
        f"{{n}} files in images/ and masks/ are not pictures that are read ({counts})",
        f"save them as {', '.join(sorted(SUFFIXES))} if they are meant, else move them away",
        severity="warning",
    )


def refuse_missing(source: Path) -> None:
    """Raise DataError when the folder, its images or its masks are not there."""
    if not source.is_dir():
        raise DataError(
            f"{source}: there is no such folder; put your data (or a link to it) there, "
            "or set source.path in params.yaml"
        )
    missing = [f"{source / part}/" for part in ("images", "masks") if not (source / part).is_dir()]
    if missing:
        raise DataError(
            f"{source}: needs a folder images/ and a folder masks/; not found:\n{listing(missing)}"
        )
