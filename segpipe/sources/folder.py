"""The user's own folder of images and masks.

Layout: images/ and masks/ with files of the same base name, either in images/{train,val,test}
(prepare.split.by: folder) or anywhere below images/ (lists, ratio); for `lists` train.txt, val.txt
and perhaps test.txt beside them, a base name a line; a CSV of the labels beside them.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from segpipe.errors import DataError, listing
from segpipe.findings import Finding
from segpipe.params.prepare import SplitParams
from segpipe.sample import SPLITS, Sample
from segpipe.sources.copying import beside_data, copy_files, refuse_nested
from segpipe.sources.listing import Listing
from segpipe.sources.pairing import unpaired
from segpipe.sources.picture_files import by_name, ignored_files, picture_files
from segpipe.sources.splits import split_by_ratio


def fetch(source: Path, target: Path) -> None:
    """Copy images, masks, label and list files from `source`, which is only read, to `target`."""
    refuse_missing(source)
    refuse_nested(source, target)
    pictures = [*picture_files(source / "images"), *picture_files(source / "masks")]
    copy_files(source, [*beside_data(source), *pictures], target)


def list_samples(raw: Path, split: SplitParams) -> Listing:
    """Return the samples by split below `raw`, sorted by name, and all that is wrong with the names.

    Errors among the findings: images without a mask and masks without an image (`unpaired`), base
    names that stand twice (`name_twice`), images outside of the splits' folders (`outside_splits`),
    lists that are missing or name what is not there or what another list names (`lists`), names in
    which prepare.split.group finds nothing (`no_group`), groups in two splits (`torn_group`).
    Warnings: files of other kinds in images/ and masks/ (`ignored_files`), images in no list
    (`unlisted`). Hidden files are passed over in silence.

    Raises DataError when there is no images/ or masks/, or no picture in one of them.
    """
    refuse_missing(raw)
    findings: list[Finding] = []
    images = by_name(raw, "images", findings)
    masks = by_name(raw, "masks", findings)
    findings += ignored_files(raw)
    findings += unpaired(images, masks)
    names = sorted(set(images) & (set(masks) | _withheld(images, masks)))
    groups = _groups(names, split.group, findings)
    match split.by:
        case "folder":
            chosen = _by_folder(sorted(groups), sorted(images), findings)
        case "lists":
            chosen = _by_lists(groups, images, raw, findings)
        case "ratio":
            chosen = split_by_ratio(groups, split.val, split.test, split.seed)
    if split.group is not None:
        findings += _torn_groups(chosen, groups)
    prefix = len if split.by == "folder" else (lambda _part: -1)
    samples = {
        part: [
            Sample(name[prefix(part) + 1 :], groups[name], images[name], masks.get(name))
            for name in chosen[part]
        ]
        for part in SPLITS
    }
    return Listing(samples, findings)


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


def _withheld(images: Mapping[str, str], masks: Mapping[str, str]) -> set[str]:
    """Truth may be withheld in test/ alone, and there for all images or none."""
    if any(name.startswith("test/") for name in masks):
        return set()
    return {name for name in images if name.startswith("test/")}


def _groups(names: list[str], pattern: str | None, findings: list[Finding]) -> dict[str, str]:
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
        findings.append(
            Finding(
                "no_group",
                "error",
                f"params.yaml: prepare.split.group {pattern!r} finds no group in {len(strays)} names",
                "change the pattern so that it fits all names, or rename these files",
                tuple(strays),
            )
        )
    return groups


def _by_folder(
    names: list[str], images: list[str], findings: list[Finding]
) -> dict[str, list[str]]:
    chosen = {part: [name for name in names if name.startswith(f"{part}/")] for part in SPLITS}
    strays = [name for name in images if name.partition("/")[0] not in SPLITS or "/" not in name]
    if strays:
        findings.append(
            Finding(
                "outside_splits",
                "error",
                f"{len(strays)} images are not in images/train, images/val or images/test",
                "move them, or set prepare.split.by to lists or ratio",
                tuple(strays),
            )
        )
    return chosen


def _by_lists(
    names: Mapping[str, str], images: Mapping[str, str], raw: Path, findings: list[Finding]
) -> dict[str, list[str]]:
    """Return the listed of `names`; what the lists name beyond `images` is a fault of theirs."""
    chosen: dict[str, list[str]] = {part: [] for part in SPLITS}
    faults: list[str] = []
    owner: dict[str, str] = {}
    for part in SPLITS:
        path = raw / f"{part}.txt"
        if not path.is_file():
            faults += [f"{path}: there is no such file"] if part != "test" else []
            continue
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        for name in sorted(line for line in lines if line and not line.startswith("#")):
            if name not in images:
                faults.append(f"{path.name}: {name} is no image{_without_suffix(name, images)}")
            elif owner.get(name) == path.name:
                faults.append(f"{path.name}: {name} stands in it twice")
            elif name in owner:
                faults.append(f"{path.name}: {name} stands in {owner[name]} too")
            elif name in names:
                chosen[part].append(name)
            owner.setdefault(name, path.name)
    if faults:
        findings.append(
            Finding(
                "lists",
                "error",
                f"prepare.split.by is lists, but {len(faults)} things are wrong with the lists",
                "each line must be the base name of one image, in one list alone",
                tuple(faults),
            )
        )
    unlisted = sorted(set(images) - set(owner))
    if unlisted and owner:
        findings.append(
            Finding(
                "unlisted",
                "warning",
                f"{len(unlisted)} images stand in no list, so they are not used",
                "add them to train.txt, val.txt or test.txt if they are meant",
                tuple(images[name] for name in unlisted),
            )
        )
    return chosen


def _without_suffix(name: str, images: Mapping[str, str]) -> str:
    bare = name.removeprefix("images/").rpartition(".")[0]
    return f" (did you mean {bare}?)" if bare in images else ""


def _torn_groups(chosen: Mapping[str, list[str]], groups: Mapping[str, str]) -> list[Finding]:
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
    if not torn:
        return []
    return [
        Finding(
            "torn_group",
            "error",
            f"{len(torn)} groups of prepare.split.group stand in more than one split",
            "put all samples of a group into one split, or set prepare.split.by to ratio",
            tuple(torn),
        )
    ]
