"""The user's own folder of images and masks.

Layout: images/ and masks/ with files of the same base name, either in images/{train,val,test}
(prepare.split.by: folder) or anywhere below images/ (lists, ratio); for `lists` train.txt, val.txt
and perhaps test.txt beside them, a base name a line; a CSV of the labels beside them.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from segpipe.errors import DataError, listing
from segpipe.params.schema import SplitParams
from segpipe.sample import SPLITS, Sample
from segpipe.sources.copying import copy_files, refuse_nested
from segpipe.sources.splits import split_by_ratio

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_BESIDE = frozenset({".csv", ".txt"})


def fetch(source: Path, target: Path) -> None:
    """Copy images, masks, label and list files from `source`, which is only read, to `target`."""
    refuse_missing(source)
    refuse_nested(source, target)
    pictures = [*_pictures(source / "images"), *_pictures(source / "masks")]
    beside = sorted(path for path in source.iterdir() if path.suffix.lower() in _BESIDE)
    copy_files(source, [*beside, *pictures], target)


def list_samples(raw: Path, split: SplitParams) -> dict[str, list[Sample]]:
    """Return the samples by split below `raw`, sorted by name.

    Raises DataError, listing all offenders of a kind, for images without a mask, masks without an
    image, base names that stand twice, names in no list or in two, names without a group.
    """
    refuse_missing(raw)
    images, masks = _by_name(raw, "images"), _by_name(raw, "masks")
    _refuse_unpaired(images, masks)
    names = sorted(images)
    groups = _groups(names, split.group)
    match split.by:
        case "folder":
            chosen = _by_folder(names)
        case "lists":
            chosen = _by_lists(names, raw)
        case "ratio":
            chosen = split_by_ratio(groups, split.val, split.test, split.seed)
    if split.group is not None:
        _refuse_torn_groups(chosen, groups)
    prefix = len if split.by == "folder" else (lambda _part: -1)
    return {
        part: [
            Sample(name[prefix(part) + 1 :], groups[name], images[name], masks.get(name))
            for name in chosen[part]
        ]
        for part in SPLITS
    }


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


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _by_name(raw: Path, part: str) -> dict[str, str]:
    """Map names (the path below images/ or masks/, without suffix) to paths below `raw`."""
    found: dict[str, str] = {}
    twice = []
    for path in _pictures(raw / part):
        name = path.relative_to(raw / part).with_suffix("").as_posix()
        if name in found:
            twice.append(f"{found[name]} and {path.relative_to(raw).as_posix()}")
        found[name] = path.relative_to(raw).as_posix()
    if twice:
        raise DataError(
            f"{raw}: {len(twice)} base names stand twice in {part}/; which one is meant?\n{listing(twice)}"
        )
    if not found:
        raise DataError(f"{raw / part}: holds no {', '.join(sorted(SUFFIXES))} files")
    return found


def _refuse_unpaired(images: Mapping[str, str], masks: Mapping[str, str]) -> None:
    """Truth may be withheld in test/ alone, and there for all images or none."""
    test_masks = any(name.startswith("test/") for name in masks)
    bare = [
        images[name]
        for name in sorted(set(images) - set(masks))
        if test_masks or not name.startswith("test/")
    ]
    lonely = [masks[name] for name in sorted(set(masks) - set(images))]
    faults = []
    if bare:
        faults.append(
            f"{len(bare)} images have no mask of the same base name below masks/:\n{listing(bare)}"
        )
    if lonely:
        faults.append(
            f"{len(lonely)} masks have no image of the same base name below images/:\n{listing(lonely)}"
        )
    if faults:
        raise DataError("\n".join(faults))


def _groups(names: list[str], pattern: str | None) -> dict[str, str]:
    """Return each name's group: what the pattern's parentheses catch, or the name itself."""
    if pattern is None:
        return {name: name for name in names}
    groups, strays = {}, []
    for name in names:
        found = re.search(pattern, name.rpartition("/")[2])
        if found is None or found[1] is None:
            strays.append(name)
        else:
            groups[name] = found[1]
    if strays:
        raise DataError(
            f"params.yaml: prepare.split.group {pattern!r} finds no group in {len(strays)} "
            f"names:\n{listing(strays)}"
        )
    return groups


def _by_folder(names: list[str]) -> dict[str, list[str]]:
    chosen = {part: [name for name in names if name.startswith(f"{part}/")] for part in SPLITS}
    strays = sorted(set(names) - {name for part in chosen.values() for name in part})
    if strays:
        raise DataError(
            f"{len(strays)} images are not in images/train, images/val or images/test; move them, "
            f"or set prepare.split.by to lists or ratio:\n{listing(strays)}"
        )
    return chosen


def _by_lists(names: list[str], raw: Path) -> dict[str, list[str]]:
    known = set(names)
    chosen: dict[str, list[str]] = {}
    faults: list[str] = []
    owner: dict[str, str] = {}
    for part in SPLITS:
        path = raw / f"{part}.txt"
        if not path.is_file():
            if part != "test":
                faults.append(f"{path}: there is no such file")
            chosen[part] = []
            continue
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        chosen[part] = sorted(line for line in lines if line and not line.startswith("#"))
        faults += [f"{path.name}: {name} is no image" for name in chosen[part] if name not in known]
        for name in chosen[part]:
            if name in owner:
                faults.append(f"{path.name}: {name} stands in {owner[name]} too")
            owner[name] = path.name
    if faults:
        raise DataError(f"prepare.split.by is lists, but:\n{listing(faults)}")
    return chosen


def _refuse_torn_groups(chosen: Mapping[str, list[str]], groups: Mapping[str, str]) -> None:
    """A drive or scene in two splits lets the model be tested on what it was taught."""
    parts: dict[str, set[str]] = {}
    for part, members in chosen.items():
        for name in members:
            parts.setdefault(groups[name], set()).add(part)
    torn = [
        f"{group}: {', '.join(sorted(where))}"
        for group, where in sorted(parts.items())
        if len(where) > 1
    ]
    if torn:
        raise DataError(
            f"{len(torn)} groups of prepare.split.group stand in more than one split:\n{listing(torn)}"
        )
