"""Which names train, validate and test: by folder, by lists, or by seeded shares of whole groups."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segpipe.params.prepare import SplitParams
from segpipe.raw.sample import SPLITS
from segpipe.runtime.findings import Finding, about
from segpipe.runtime.randomness import ranked


def split_names(
    split: SplitParams,
    groups: Mapping[str, str],
    every: Iterable[str],
    folder: Path,
    what: str,
    findings: list[Finding],
) -> dict[str, list[str]]:
    """Share names out to train, val and test as `prepare.split` says; groups: group by name.

    every, folder, what: as in `split_by_lists`. What is wrong becomes a finding.
    """
    match split.by:
        case "folder":
            chosen = split_by_folder(groups, every, what, findings)
        case "lists":
            chosen = split_by_lists(groups, every, folder, what, findings)
        case "ratio":
            chosen = split_by_ratio(groups, split.val, split.test, split.seed)
    if split.group is not None:
        torn_groups(chosen, groups, findings)
    return chosen


def split_by_ratio(
    groups: Mapping[str, str], val: float, test: float, seed: int
) -> dict[str, list[str]]:
    """Share names out to train, val and test by whole groups.

    groups: group by name. val, test: shares of the samples, reached as nearly as whole groups allow,
    with at least one group in val (and in test where its share is above 0).

    The groups are ranked by a hash of (seed, group), so that one more group moves at most a few.
    """
    members: dict[str, list[str]] = {}
    for name in sorted(groups):
        members.setdefault(groups[name], []).append(name)
    ranking = ranked(members, seed)
    chosen: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for part, share in (("test", test), ("val", val)):
        wanted = share * len(groups)
        while share > 0 and len(ranking) > 1:
            group = ranking[0]
            # A group goes in when that brings the split nearer to its share.
            if chosen[part] and len(chosen[part]) + len(members[group]) / 2 > wanted:
                break
            chosen[part] += members[ranking.pop(0)]
    for group in ranking:
        chosen["train"] += members[group]
    return {part: sorted(names) for part, names in chosen.items()}


def split_by_folder(
    names: Iterable[str], every: Iterable[str], what: str, findings: list[Finding]
) -> dict[str, list[str]]:
    """Share out names such as train/a by their first folder.

    every: all names, also those that are left out for another fault; what of them lies in no split
    becomes a finding. what: in the plural, for messages (images).
    """
    wanted = sorted(names)
    chosen = {part: [name for name in wanted if name.startswith(f"{part}/")] for part in SPLITS}
    strays = sorted(name for name in every if not name.startswith(tuple(f"{s}/" for s in SPLITS)))
    findings += about(
        strays,
        "outside_splits",
        f"{{n}} {what} are not in images/train, images/val or images/test",
        "move them, or set prepare.split.by to lists or ratio",
    )
    return chosen


def split_by_lists(
    names: Iterable[str], every: Iterable[str], folder: Path, what: str, findings: list[Finding]
) -> dict[str, list[str]]:
    """Share out names by train.txt, val.txt and perhaps test.txt in `folder`.

    A name a line; empty lines and those that begin with # are passed over. every: all names, also
    those that are left out for another fault; a list may name them. what: in the plural, for
    messages. What is wrong with the lists, and what stands in none, becomes a finding.
    """
    usable, known = set(names), set(every)
    chosen: dict[str, list[str]] = {part: [] for part in SPLITS}
    faults: list[str] = []
    owner: dict[str, str] = {}
    for part in SPLITS:
        path = folder / f"{part}.txt"
        if not path.is_file():
            faults += [f"{path}: there is no such file"] if part != "test" else []
            continue
        for name in sorted(_listed(path, faults)):
            if name not in known:
                meant = _without_suffix(name, known)
                faults.append(f"{path.name}: {name} is not among the {what}{meant}")
            elif owner.get(name) == path.name:
                faults.append(f"{path.name}: {name} appears twice")
            elif name in owner:
                faults.append(f"{path.name}: {name} is in {owner[name]} too")
            elif name in usable:
                chosen[part].append(name)
            owner.setdefault(name, path.name)
    # Without a single list there is nothing to be left out of.
    unlisted = sorted(known - set(owner)) if owner else []
    findings += about(
        faults,
        "lists",
        "prepare.split.by is lists, but {n} things are wrong with the lists",
        f"each line must be the name of one of the {what}, in one list alone",
    )
    findings += about(
        unlisted,
        "unlisted",
        f"{{n}} {what} are in no list, so they are not used",
        "add them to train.txt, val.txt or test.txt if they are meant",
        severity="warning",
    )
    return chosen


def _without_suffix(name: str, known: set[str]) -> str:
    bare = name.removeprefix("images/").rpartition(".")[0]
    return f" (did you mean {bare}?)" if bare in known else ""


def groups_by_pattern(
    names: Sequence[str],
    pattern: str | None,
    findings: list[Finding],
    origin: str = "params.yaml: prepare.split.group",
) -> dict[str, str]:
    """Return the group by name: what the pattern's parentheses catch, or the name without pattern.

    The pattern is searched in the last part of the name. Names without a group are left out, and
    become a finding. origin: where the pattern stands, for its text.
    """
    if pattern is None:
        return {name: name for name in names}
    found = {name: re.search(pattern, name.rpartition("/")[2]) for name in names}
    groups = {name: match[1] for name, match in found.items() if match and match[1] is not None}
    strays = sorted(set(names) - set(groups))
    findings += about(
        strays,
        "no_group",
        f"{origin} {pattern!r} finds no group in {len(strays)} names",
        "change the pattern so that it fits all names, or rename these files",
    )
    return groups


def torn_groups(
    chosen: Mapping[str, Sequence[str]], groups: Mapping[str, str], findings: list[Finding]
) -> None:
    """Add a finding of the groups in two splits: they test a model on what it was taught."""
    parts: dict[str, set[str]] = {}
    for part, members in chosen.items():
        for name in members:
            parts.setdefault(groups[name], set()).add(part)
    torn = [
        f"{group}: {', '.join(sorted(where))}"
        for group, where in sorted(parts.items())
        if len(where) > 1
    ]
    findings += about(
        torn,
        "torn_group",
        "{n} groups of prepare.split.group are in more than one split",
        "put all samples of a group into one split, or set prepare.split.by to ratio",
    )


def _listed(path: Path, faults: list[str]) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        faults.append(f"{path}: is not UTF-8 text")
        return []
    return [line for line in lines if line and not line.startswith("#")]
