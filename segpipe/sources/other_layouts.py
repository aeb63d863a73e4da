"""What lies in a folder that is not in the layout images/ and masks/, and how it gets there."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from segpipe.runtime.errors import listing
from segpipe.runtime.findings import Finding
from segpipe.sources.folder_walk import files_below

# Folders of other layouts, in lower case, and what they are called here.
_KINDS = {
    **dict.fromkeys(("images", "image", "imgs", "img", "jpegimages", "rgb"), "images"),
    **dict.fromkeys(("masks", "mask", "labels", "label", "annotations", "annotation"), "masks"),
    **dict.fromkeys(("segmentationclass", "ground_truth", "groundtruth", "gt"), "masks"),
}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_PICTURES = frozenset({".jpg", ".jpeg", ".png"})
# What Pillow converts to PNG without a loss.
_CONVERTED = frozenset({".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".jp2"})
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"})


def advice(source: Path, suffixes: Collection[str]) -> list[str]:
    """Return lines that say what lies in `source`, and how it would be read.

    suffixes: of the files that the source reads.
    """
    unread: list[Finding] = []
    files = files_below(source, ["."], unread)
    folders: dict[str, list[Path]] = {}
    for path in files:
        inside = path.relative_to(source).parts[:-1]
        folders.setdefault("/".join(inside[:2]), []).append(path)
    there = [f"{folder or '.'}/: {count_suffixes(paths)}" for folder, paths in folders.items()]
    return [
        f"found there:\n{listing(there)}" if there else "no file was found there",
        *_moves(source, folders),
        *conversion(files, source, suffixes),
        *(str(finding) for finding in unread if finding.severity == "error"),
    ]


def conversion(files: Iterable[Path], source: Path, suffixes: Collection[str]) -> list[str]:
    """Return what makes files of other kinds fit to be read, for the kinds that are known.

    suffixes: of the files that are read already.
    """
    kinds = {path.suffix.lower() for path in files} - set(suffixes)
    lines = []
    if ".tif" in suffixes:
        if kinds & _PICTURES:
            lines.append("pictures are read where source.name in params.yaml is folder")
    elif convertible := sorted(kinds & _CONVERTED):
        code = (
            "from pathlib import Path; from PIL import Image; "
            f"[Image.open(p).save(p.with_suffix('.png')) for p in Path({str(source)!r}).rglob('*') "
            f"if p.suffix.lower() in {convertible} and not p.with_suffix('.png').exists()]"
        )
        lines.append(f"convert {', '.join(convertible)} to .png: python -c {shlex.quote(code)}")
        if kinds & {".tif", ".tiff"}:
            lines.append("georeferenced .tif are read where source.name in params.yaml is rasters")
    if archives := sorted(kinds & _ARCHIVES):
        lines.append(f"unpack what lies in archives ({', '.join(archives)})")
    return lines


def count_suffixes(files: Iterable[Path]) -> str:
    """Return how many files there are of each suffix, such as `2 .bmp, 1 no suffix`."""
    kinds = Counter(path.suffix.lower() or "no suffix" for path in files)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _moves(source: Path, folders: Collection[str]) -> list[str]:
    """Return the command that brings `folders` (at most two deep) into the layout that is read."""
    places = {folder: place for folder in folders if (place := _place_here(folder))}
    moved = {
        old: new
        for old, new in places.items()
        if old != new and places.get(old.partition("/")[0]) in (None, old.partition("/")[0], new)
    }
    if moved and len(set(places.values())) == len(places):
        # rmdir and mv stop, and lose nothing, where a folder is in the way that holds something.
        empty = [f"rmdir {new}" for new in moved.values() if (source / new).exists()]
        parents = {new.rpartition("/")[0] for new in moved.values()} - {""}
        steps = [f"cd {shlex.quote(str(source))}", *empty]
        steps += [f"mkdir -p {' '.join(sorted(parents))}"] if parents else []
        steps += [f"mv {shlex.quote(old)} {shlex.quote(new)}" for old, new in moved.items()]
        return [f"this brings it into the layout that is read: {' && '.join(steps)}"]
    for folder in sorted({folder.partition("/")[0] for folder in folders} - {""}):
        if all((source / folder / part).is_dir() for part in ("images", "masks")):
            return [f"set source.path in params.yaml to {source / folder}"]
    if "" in folders:
        return [
            "put images into images/ and their masks, with the same base names, into masks/; with "
            "prepare.split.by ratio or lists they need no further folders"
        ]
    return []


def _place_here(folder: str) -> str | None:
    """Return `images/train` for train/imgs and for Images/training, None where a folder says nothing."""
    first, _, second = folder.partition("/")
    for kind, split in ((first, second), (second, first)):
        if kind.lower() in _KINDS and split.lower() in _SPLITS:
            return f"{_KINDS[kind.lower()]}/{_SPLITS[split.lower()]}"
    if first.lower() not in _KINDS:
        return None
    return "/".join(filter(None, (_KINDS[first.lower()], second)))
