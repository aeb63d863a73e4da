"""What was read from a file of labels becomes a LabelScheme, or one message of all its faults."""

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

from segpipe.labels.scheme import MAX_CLASSES, LabelScheme, RawLabel
from segpipe.runtime.errors import DataError, listing

# Names that count nowhere, in small letters.
VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored"})
LARGEST_ID = 65535


def assemble(
    path: Path, name: str, classes: Sequence[str], raw: Sequence[RawLabel], faults: Sequence[str]
) -> LabelScheme:
    """Return the scheme that the file at `path` describes.

    faults: what was wrong already; the faults of the whole are added, and all are shown at once.
    Raises DataError.
    """
    found = [*faults, *_twice("id", (label.id for label in raw))]
    found += _twice("name", (label.name for label in raw))
    if not classes and not found:
        found.append("every row is void; there is no class to learn")
    if len(classes) > MAX_CLASSES:
        found.append(f"{len(classes)} classes; a mask of train ids holds at most {MAX_CLASSES}")
    if found:
        raise DataError(f"{path}:\n{listing(found)}")
    return LabelScheme(name, tuple(classes), tuple(raw))


def _twice(what: str, values: Iterable[Hashable]) -> list[str]:
    seen: set[Hashable] = set()
    twice: dict[Hashable, None] = {}
    for value in values:
        if value in seen:
            twice[value] = None
        seen.add(value)
    return [f"the {what} {value} stands twice" for value in twice]
