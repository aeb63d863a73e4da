"""LabelScheme: what the values of a mask mean, in the data set's words and in the model's.

Three kinds of number name a class:
- raw id: the value in the data set's mask files (Cityscapes: 0..33); below 0 (-1 is a usual value for
  `not labelled`) files are read alone and never written,
- colour: the same in masks that are painted instead of numbered, packed as 0xRRGGBB,
- train id: 0..K-1, the channel of the model's output; VOID (255) counts nowhere (law 4).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from segpipe.runtime.errors import DataError, listing

VOID = 255
# The train ids of so many classes end below the value that marks what a scheme does not know.
MAX_CLASSES = 254
_UNKNOWN = 254
# Raw ids: those of unsigned files of 16 bits, and of signed ones.
SMALLEST_ID, LARGEST_ID = -32768, 65535
# Names that count nowhere, in small letters.
VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored"})
Colour = tuple[int, int, int]
# Checked when a scheme is read from a JSON file (`segpipe.runtime.validation.typed`).
_Byte = Annotated[int, Field(ge=0, le=255)]
_STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class RawLabel:
    """One value that may occur in a mask file; `train_id` is VOID where it counts nowhere."""

    __pydantic_config__ = _STRICT

    id: Annotated[int, Field(ge=SMALLEST_ID, le=LARGEST_ID)]
    name: str
    colour: tuple[_Byte, _Byte, _Byte]
    train_id: _Byte


@dataclass(frozen=True)
class LabelScheme:
    """The classes of a model (in the order of its outputs) and the raw labels that map to them."""

    __pydantic_config__ = _STRICT

    name: str
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=MAX_CLASSES)]
    raw: tuple[RawLabel, ...]

    def __post_init__(self) -> None:
        known, used = {*range(self.num_classes)}, {label.train_id for label in self.raw}
        if odd := used - known - {VOID}:
            raise ValueError(
                f"train id {min(odd)} is not in 0..{len(known) - 1}, nor {VOID} (void)"
            )
        # Ids below 0 are read alone: a class needs one that can be written.
        if missing := known - {label.train_id for label in self.raw if label.id >= 0}:
            raise ValueError(f"no raw label of 0 or more has train id {min(missing)}")
        if len(set(self.classes)) < len(known) or len({one.id for one in self.raw}) < len(self.raw):
            raise ValueError("duplicate names of classes, or duplicate raw ids")

    @property
    def num_classes(self) -> int:
        """K, the outputs of a model of this scheme."""
        return len(self.classes)

    @cached_property
    def palette_K3(self) -> NDArray[np.uint8]:
        """Colours by train id, (K, 3): those of the first raw label of each class."""
        return np.array([self._first(k).colour for k in range(self.num_classes)], np.uint8)

    @cached_property
    def raw_ids_K(self) -> NDArray[np.int64]:
        """Raw ids by train id, (K,): the first of 0 or more of each class, in the scheme's order."""
        return np.array([self._first(k).id for k in range(self.num_classes)], np.int64)

    @cached_property
    def meanings(self) -> dict[int, str]:
        """The class of each raw id, or `void`."""
        names = {VOID: "void"} | dict(enumerate(self.classes))
        return {label.id: names[label.train_id] for label in self.raw}

    @property
    def void_ids(self) -> list[int]:
        """The raw ids that count nowhere."""
        return [label.id for label in self.raw if label.train_id == VOID]

    @cached_property
    def void_id(self) -> int:
        """The raw id that label files hold where nothing is known; it is never that of a class.

        The scheme's first void id of 0 or more; where it has none, the largest value that no label
        has, of uint8, or of uint16 where ids are above 255 or take all of uint8.
        """
        given = [value for value in self.void_ids if value >= 0]
        taken = {label.id for label in self.raw}
        top = 255 if max(taken) <= 255 else LARGEST_ID
        free = (k for k in chain(range(top, -1, -1), range(LARGEST_ID, 255, -1)) if k not in taken)
        return given[0] if given else next(free)

    @cached_property
    def ambiguous_colours(self) -> dict[int, tuple[RawLabel, ...]]:
        """The colours (0xRRGGBB) that labels of different meaning share, with those labels.

        Masks of numbers are not concerned; in a painted mask such a colour says nothing safe.
        """
        sharing: dict[int, list[RawLabel]] = {}
        for label in self.raw:
            sharing.setdefault(pack_colour(label.colour), []).append(label)
        return {
            code: tuple(labels)
            for code, labels in sharing.items()
            if len({label.train_id for label in labels}) > 1
        }

    def ambiguity(self, colours: Iterable[int]) -> str | None:
        """Return what is wrong with a painted mask that holds these colours (0xRRGGBB).

        None where none of them is ambiguous; else one sentence of cause and repair for all of them.
        """
        faults: list[str] = []
        joined: dict[int, str] = {}
        for code in sorted(self.ambiguous_colours.keys() & set(colours)):
            labels = self.ambiguous_colours[code]
            names = " and ".join(f"{label.name} ({self.meanings[label.id]})" for label in labels)
            faults.append(f"colour {colour_text(code)}: {names}")
            kept = next(label for label in labels if label.train_id != VOID)
            moved = [label.id for label in labels if label.train_id != kept.train_id]
            joined |= dict.fromkeys(moved, self.meanings[kept.id])
        if not faults:
            return None
        return (
            f"is painted, and the scheme {self.name} gives one colour several meanings; use masks of "
            f"numbers, or {self._joining(joined)}:\n{listing(faults)}"
        )

    def encode(self, raw_HW: NDArray[Any]) -> tuple[NDArray[np.uint8], dict[int, int]]:
        """Turn raw ids into train ids.

        raw_HW: whole numbers of any type. Returns the train ids, (H, W) uint8, and the values that
        the scheme does not know with their number of pixels (such pixels are VOID in the result).
        """
        if raw_HW.dtype in (np.uint8, np.uint16):
            return _split_unknown(self._by_id.take(raw_HW), raw_HW)
        inside_HW = (raw_HW >= SMALLEST_ID) & (raw_HW <= LARGEST_ID)
        train_HW = self._by_id.take(np.where(inside_HW, raw_HW, 0))
        train_HW[~inside_HW] = _UNKNOWN
        return _split_unknown(train_HW, raw_HW)

    def encode_colours(
        self, colour_HW3: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], dict[int, int]]:
        """As `encode`, for masks of colours; unknown values come as 0xRRGGBB.

        Raises DataError where a colour of the mask has several meanings (`ambiguous_colours`).
        """
        code_HW = _packed(colour_HW3)
        train_HW, unknown = _split_unknown(self._by_colour.take(code_HW), code_HW)
        if fault := self.ambiguity(unknown):
            raise DataError(f"a mask {fault}")
        return train_HW, unknown

    def decode(self, train_HW: NDArray[np.uint8]) -> NDArray[Any]:
        """Turn train ids 0..K-1 into raw ids, (H, W): uint8, or uint16 where an id is above 255.

        VOID becomes `void_id`.
        """
        largest = max(self.void_id, *(label.id for label in self.raw))
        table: NDArray[Any] = np.full(256, self.void_id, np.uint16 if largest > 255 else np.uint8)
        table[: self.num_classes] = self.raw_ids_K
        return table.take(train_HW)

    def paint(self, train_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the colours of train ids, (H, W, 3) uint8; VOID is black."""
        table = np.zeros((256, 3), np.uint8)
        table[: self.num_classes] = self.palette_K3
        painted: NDArray[np.uint8] = table.take(train_HW, axis=0)
        return painted

    def __reduce__(self) -> tuple[type["LabelScheme"], tuple[Any, ...]]:
        """Send worker processes the scheme alone; they make the tables anew where they need them."""
        return LabelScheme, (self.name, self.classes, self.raw)

    def _first(self, train_id: int) -> RawLabel:
        return next(each for each in self.raw if each.train_id == train_id and each.id >= 0)

    def _joining(self, joined: dict[int, str]) -> str:
        """Say how labels are joined: by labels.map, unless it would leave a class without a label."""
        if set(self.classes) - {*(self.meanings | joined).values()}:
            return "a label scheme in which the labels of one colour are one class"
        entries = ", ".join(f"{value}: {name}" for value, name in joined.items())
        return f"join the labels in params.yaml: `map: {{{entries}}}` under labels"

    @cached_property
    def _by_id(self) -> NDArray[np.uint8]:
        """Train id by raw id; ids below 0 count from the end, as numpy's indices do."""
        table = np.full(LARGEST_ID + 1 - SMALLEST_ID, _UNKNOWN, np.uint8)
        for label in self.raw:
            table[label.id] = label.train_id
        return table

    @cached_property
    def _by_colour(self) -> NDArray[np.uint8]:
        """Train id by packed colour: 16 MB, a third of the time of a search in a short table."""
        table = np.full(1 << 24, _UNKNOWN, np.uint8)
        for label in self.raw:
            table[pack_colour(label.colour)] = label.train_id
        table[list(self.ambiguous_colours)] = _UNKNOWN
        return table


def pack_colour(colour: Colour) -> int:
    """Return a colour as one number 0xRRGGBB."""
    red, green, blue = colour
    return (red << 16) | (green << 8) | blue


def unpack_colour(code: int) -> Colour:
    """Return the colour of a number 0xRRGGBB."""
    return code >> 16, code >> 8 & 255, code & 255


def colour_text(code: int) -> str:
    """Write a number 0xRRGGBB as red,green,blue."""
    return ",".join(map(str, unpack_colour(code)))


def pack_colours(colour_HW3: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return each pixel's colour as one number 0xRRGGBB."""
    return _packed(colour_HW3).astype(np.int64)


def _packed(colour_HW3: NDArray[np.uint8]) -> NDArray[np.uint32]:
    # The bytes of a little-endian number, the lowest first.
    bytes_HW4 = np.zeros((*colour_HW3.shape[:-1], 4), np.uint8)
    for place in range(3):  # five times as fast as one assignment of reversed channels
        bytes_HW4[..., place] = colour_HW3[..., 2 - place]
    packed_HW1: NDArray[np.uint32] = bytes_HW4.view("<u4")
    return packed_HW1[..., 0]


def _split_unknown(
    train_HW: NDArray[np.uint8], raw_HW: NDArray[Any]
) -> tuple[NDArray[np.uint8], dict[int, int]]:
    """Make what is unknown VOID, in place, and count its values."""
    unknown_HW = train_HW == _UNKNOWN
    if not unknown_HW.any():
        return train_HW, {}
    values, counts = np.unique(raw_HW[unknown_HW], return_counts=True)
    train_HW[unknown_HW] = VOID
    return train_HW, dict(zip(values.tolist(), counts.tolist(), strict=True))
