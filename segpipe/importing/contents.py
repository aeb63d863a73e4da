"""What is read of an annotation tool's export, before anything is written.

The reader of a form lists images, classes and faults; the mask of an image is made when it is written.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from segpipe.labels.scheme import LARGEST_ID, Colour
from segpipe.runtime.errors import DataError
from segpipe.sources.layout import SPLIT_WORDS

# From the height and width of the upright image to its mask of ids, (H, W) whole numbers.
Draw = Callable[[int, int], NDArray[Any]]

BACKGROUND = "background"
_SPLIT = re.compile(rf"(?<![a-z])({'|'.join(SPLIT_WORDS)})(?![a-z])")


@dataclass(frozen=True)
class ExportClass:
    """A class of an export.

    id: its value in masks. colour: None where the form has none. counts: False where it is void.
    """

    id: int
    name: str
    colour: Colour | None = None
    counts: bool = True


@dataclass(frozen=True)
class Annotated:
    """An image of an export.

    place: its path in the export. image: the file, or what returns the content of a file that lies in
    another one. split: train, val or test; None where the export does not say. draw: makes the mask; None
    where there is none.
    """

    place: str
    image: Path | Callable[[], bytes]
    split: str | None
    draw: Draw | None


@dataclass
class Contents:
    """What an export holds; lists grow while it is read and while its masks are drawn.

    faults: what cannot be read, as `FILE: reason`. passed_over: shapes that cover no area.
    unannotated: images of which nothing says that a person has looked at them. notes: sentences about
    how the export was understood. open_classes: the masks' values are classes, though no file names
    them.
    """

    images: list[Annotated] = field(default_factory=list)
    classes: list[ExportClass] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    unannotated: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    open_classes: bool = False

    def leave_out_others(self, places: Iterable[str]) -> None:
        """Add the images at `places` that nothing has named to those without an annotation."""
        used = {each.place for each in self.images}
        self.unannotated += [place for place in places if place not in used]

    def ids(self) -> dict[str, int]:
        """Return the id of each class by name."""
        return {each.name: each.id for each in self.classes}


@contextlib.contextmanager
def collected(faults: list[str], place: str) -> Iterator[None]:
    """Add what is wrong with a file to `faults`, so that the next one can be read."""
    try:
        with malformed_explained():
            yield
    except DataError as error:
        faults.append(f"{place}: {error}")


@contextlib.contextmanager
def malformed_explained() -> Iterator[None]:
    """Turn what Python raises at content of another structure than documented into a DataError."""
    try:
        yield
    except KeyError as error:
        raise DataError(f"the entry {error} is missing") from error
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise DataError(f"is not as its form documents it ({error})") from error


def split_word(name: str) -> str | None:
    """Return train, val or test for a folder of such a name (valid, training, ...), else None."""
    return SPLIT_WORDS.get(name.casefold())


def split_named(text: str) -> str | None:
    """Return the split that a path or file name mentions first, as in instances_val2017.json."""
    found = _SPLIT.search(text.casefold())
    return SPLIT_WORDS[found[1]] if found else None


def in_order(named: Iterable[tuple[str, Colour | None]]) -> list[ExportClass]:
    """Return classes of a form without ids: background is 0, the others count from 1 in their order."""
    background, colours = ExportClass(0, BACKGROUND), dict[str, Colour | None]()
    for name, colour in named:
        if is_background(name):
            background = ExportClass(0, name, colour)
        else:
            colours.setdefault(name, colour)
    others = enumerate(colours.items(), start=1)
    return [background, *(ExportClass(number, name, colour) for number, (name, colour) in others)]


def with_ids(classes: Sequence[ExportClass], contents: Contents) -> dict[int, int]:
    """Set the classes of a form with ids, and background; return the mask's value by the form's id.

    The ids are kept where all are in 0..65534, so that a mask holds them and the next number; else the
    classes count from 1 in their order, and a note says so. Background gets 0 where that is free, else
    the next number.
    """
    values = {each.id: each.id for each in classes}
    if any(not 0 <= number < LARGEST_ID for number in values):
        values = {each.id: place for place, each in enumerate(classes, start=1)}
        contents.notes.append(
            f"the ids of the classes ({min(values)}..{max(values)}) are no values of a mask; they are "
            "numbered in their order"
        )
    contents.classes = [
        ExportClass(values[each.id], each.name, each.colour, each.counts) for each in classes
    ]
    if not any(is_background(each.name) for each in classes):
        free = 0 if 0 not in values.values() else max(values.values()) + 1
        contents.classes.insert(0, ExportClass(free, BACKGROUND))
    return values


def background_id(contents: Contents) -> int:
    """Return the value of pixels that lie in no shape."""
    return next(each.id for each in contents.classes if is_background(each.name))


def is_background(name: str) -> bool:
    """Return whether a class is what lies in no shape; Labelme writes _background_."""
    return name.strip("_").casefold() == BACKGROUND
