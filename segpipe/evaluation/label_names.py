"""The names of label images, predictions and photographs: which belong together, and in which group."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from segpipe.runtime.findings import Finding, refuse
from segpipe.sources.pairing import IMAGE_ENDS, MASK_ENDS
from segpipe.sources.splits import groups_by_pattern

# The official evaluator of Cityscapes takes whatever follows the frame's name; `_pred` is usual.
_PREDICTED_END = re.compile(r"_pred[^/]*$")
_CITYSCAPES = re.compile(r"(?:.*/)?([a-z-]+)_\d{6}_\d{6}")


def partners(names: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Return the other name of each name that has one: the same, without ending, or its last part."""
    pairs: dict[str, str] = {}
    for key in (_same, stem, _last):
        left = unique(key, [name for name in names if name not in pairs])
        taken = set(pairs.values())
        left_others = unique(key, [name for name in others if name not in taken])
        pairs |= {left[each]: left_others[each] for each in left.keys() & left_others.keys()}
    return pairs


def sample_groups(names: list[str], pattern: str | None) -> dict[str, str]:
    """Return the group by name: what the pattern's parentheses catch in the last part of the name.

    Without a pattern it is the city where all names are those of Cityscapes; else the folder, and for
    an image that lies in none the name. Raises DataError for names in which it finds none.
    """
    if pattern is None:
        cities = {name: _CITYSCAPES.match(name) for name in names}
        if all(cities.values()):
            return {name: city[1] for name, city in cities.items() if city}
        return {name: name.rpartition("/")[0] or name for name in names}
    findings: list[Finding] = []
    groups = groups_by_pattern(names, pattern, findings, origin="--group")
    refuse(findings)
    return groups


def stem(name: str) -> str:
    """Return a path without the ending that programs and data sets add to the name of an image."""
    name = _PREDICTED_END.sub("", name)
    ends = sorted((*MASK_ENDS, *IMAGE_ENDS), key=len, reverse=True)
    end = next((end for end in ends if name.endswith(end)), "")
    return name.removesuffix(end)


def unique(key: Callable[[str], str], names: list[str]) -> dict[str, str]:
    """Return the name by its key, of the names that share it with no other."""
    counts = Counter(map(key, names))
    return {key(name): name for name in names if counts[key(name)] == 1}


def _same(name: str) -> str:
    return name


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]


def _last(name: str) -> str:
    return _last_part(stem(name))
