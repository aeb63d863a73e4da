"""Seeded splits that keep the samples of a group together and move few when data is added."""

import hashlib
from collections.abc import Mapping


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
    ranked = sorted(members, key=lambda group: (_rank(seed, group), group))
    chosen: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for part, share in (("test", test), ("val", val)):
        wanted = share * len(groups)
        while share > 0 and len(ranked) > 1:
            group = ranked[0]
            # A group goes in when that brings the split nearer to its share.
            if chosen[part] and len(chosen[part]) + len(members[group]) / 2 > wanted:
                break
            chosen[part] += members[ranked.pop(0)]
    for group in ranked:
        chosen["train"] += members[group]
    return {part: sorted(names) for part, names in chosen.items()}


def _rank(seed: int, group: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{group}".encode(), digest_size=8).digest()
