"""What lies in a folder that holds no images or masks under a known name, and how it would be read."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from segpipe.runtime.errors import listing
from segpipe.runtime.findings import Finding
from segpipe.sources.folder_walk import files_below

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
# What Pillow converts to PNG without a loss.
_CONVERTED = frozenset({".gif", ".ppm", ".pgm", ".jp2"})
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"})


def advice(source: Path, suffixes: Collection[str]) -> list[str]:
    """Return lines that say what lies in `source`, and how it would be read.

    suffixes: of the files that the source reads.
    """
    unread: list[Finding] = []
    files = files_below(source, ["."], unread)
    folders = count_by_folder(files, source)
    there = [f"{folder or '.'}/: {counts}" for folder, counts in folders.items()]
    return [
        f"found there:\n{listing(there)}" if there else "no file was found there",
        *_places(source, folders),
        *conversion(files, source, suffixes),
        *(str(finding) for finding in unread if finding.severity == "error"),
    ]


def conversion(files: Iterable[Path], source: Path, suffixes: Collection[str]) -> list[str]:
    """Return what makes files of other kinds fit to be read, for the kinds that are known.

    suffixes: of the files that are read already.
    """
    kinds = {path.suffix.lower() for path in files} - set(suffixes)
    lines = []
    if ".png" not in suffixes:
        if kinds & _PICTURES:
            lines.append("pictures are read where source.name in params.yaml is folder")
    elif convertible := sorted(kinds & _CONVERTED):
        code = (
            "from pathlib import Path; from PIL import Image; "
            f"[Image.open(p).save(p.with_suffix('.png')) for p in Path({str(source)!r}).rglob('*') "
            f"if p.suffix.lower() in {convertible} and not p.with_suffix('.png').exists()]"
        )
        lines.append(f"convert {', '.join(convertible)} to .png: python -c {shlex.quote(code)}")
    if archives := sorted(kinds & _ARCHIVES):
        lines.append(f"unpack what lies in archives ({', '.join(archives)})")
    return lines


def count_by_folder(files: Iterable[Path], source: Path) -> dict[str, str]:
    """Return what lies in the folders below `source`, at most two deep, "" for itself (`count_suffixes`)."""
    folders: dict[str, list[Path]] = {}
    for path in files:
        inside = path.relative_to(source).parts[:-1]
        folders.setdefault("/".join(inside[:2]), []).append(path)
    return {folder: count_suffixes(paths) for folder, paths in folders.items()}


def count_suffixes(files: Iterable[Path]) -> str:
    """Return how many files there are of each suffix, such as `2 .bmp, 1 no suffix`."""
    kinds = Counter(path.suffix.lower() or "no suffix" for path in files)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _places(source: Path, folders: Collection[str]) -> list[str]:
    """Return where the images and masks of `folders` (at most two deep) belong, or are."""
    for folder in sorted({folder.partition("/")[0] for folder in folders} - {""}):
        if all((source / folder / part).is_dir() for part in ("images", "masks")):
            return [f"set source.path in params.yaml to {source / folder}"]
    if "" in folders:
        return [
            "put images into images/ and their masks, with the same base names, into masks/; with "
            "prepare.split.by ratio or lists they need no further folders"
        ]
    return []
