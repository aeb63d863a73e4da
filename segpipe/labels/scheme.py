"""LabelScheme: what the values of a mask mean, in the data set's words and in the model's.

Three kinds of number name a class:
- raw id: the value in the data set's mask files (Cityscapes: 0..33),
- colour: the same in masks that are painted instead of numbered,
- train id: 0..K-1, the channel of the model's output; VOID (255) counts nowhere (law 4).
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOID = 255
_UNKNOWN = -1
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class RawLabel:
    """One value that may stand in a mask file; `train_id` is VOID where it counts nowhere."""

    id: int
    name: str
    colour: Colour
    train_id: int


@dataclass(frozen=True)
class LabelScheme:
    """The classes of a model (in the order of its outputs) and the raw labels that map to them."""

    name: str
    classes: tuple[str, ...]
    raw: tuple[RawLabel, ...]

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
        """Raw ids by train id, (K,): the first raw label of each class, in the scheme's order."""
        return np.array([self._first(k).id for k in range(self.num_classes)], np.int64)

    @property
    def void_ids(self) -> list[int]:
        """The raw ids that count nowhere."""
        return [label.id for label in self.raw if label.train_id == VOID]

    def encode(self, raw_HW: NDArray[Any]) -> tuple[NDArray[np.uint8], dict[int, int]]:
        """Turn raw ids into train ids.

        raw_HW: uint8 or uint16. Returns the train ids, (H, W) uint8, and the values that the scheme
        does not know with their number of pixels (such pixels are VOID in the result).
        """
        train_HW = self._by_id[raw_HW]
        return _split_unknown(train_HW, raw_HW)

    def encode_colours(
        self, colour_HW3: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], dict[int, int]]:
        """As `encode`, for masks of colours; unknown values come as 0xRRGGBB."""
        code_HW = pack_colours(colour_HW3)
        codes = np.array(sorted(self._by_colour), np.int64)
        ids = np.array([self._by_colour[int(code)] for code in codes], np.int64)
        place_HW = np.searchsorted(codes, code_HW).clip(max=len(codes) - 1)
        train_HW = np.where(codes[place_HW] == code_HW, ids[place_HW], _UNKNOWN)
        return _split_unknown(train_HW, code_HW)

    def decode(self, train_HW: NDArray[np.uint8]) -> NDArray[Any]:
        """Turn train ids 0..K-1 into raw ids, (H, W): uint8, or uint16 where an id is above 255.

        VOID becomes the first void raw id of the scheme; where there is none, the type's maximum.
        """
        kind = np.uint16 if max(label.id for label in self.raw) > 255 else np.uint8
        void = self.void_ids[0] if self.void_ids else np.iinfo(kind).max
        table: NDArray[Any] = np.full(256, void, kind)
        table[: self.num_classes] = self.raw_ids_K
        return table[train_HW]

    def paint(self, train_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the colours of train ids, (H, W, 3) uint8; VOID is black."""
        table = np.zeros((256, 3), np.uint8)
        table[: self.num_classes] = self.palette_K3
        painted: NDArray[np.uint8] = table[train_HW]
        return painted

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` reads back."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "LabelScheme":
        """Rebuild a scheme that `to_json` wrote; raises KeyError or TypeError on another form."""
        raw = tuple(
            RawLabel(int(r["id"]), str(r["name"]), _colour(r["colour"]), int(r["train_id"]))
            for r in value["raw"]
        )
        return LabelScheme(str(value["name"]), tuple(value["classes"]), raw)

    def _first(self, train_id: int) -> RawLabel:
        return next(label for label in self.raw if label.train_id == train_id)

    @cached_property
    def _by_id(self) -> NDArray[np.int16]:
        table = np.full(65536, _UNKNOWN, np.int16)
        for label in self.raw:
            table[label.id] = label.train_id
        return table

    @cached_property
    def _by_colour(self) -> dict[int, int]:
        """Train id by packed colour; the first of several labels of one colour gives the name."""
        table: dict[int, int] = {}
        for label in self.raw:
            red, green, blue = label.colour
            table.setdefault((red << 16) | (green << 8) | blue, label.train_id)
        return table


def pack_colours(colour_HW3: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return each pixel's colour as one number 0xRRGGBB."""
    wide = colour_HW3.astype(np.int64)
    packed: NDArray[np.int64] = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    return packed


def _split_unknown(
    train_HW: NDArray[Any], raw_HW: NDArray[Any]
) -> tuple[NDArray[np.uint8], dict[int, int]]:
    unknown_HW = train_HW == _UNKNOWN
    if not unknown_HW.any():
        return train_HW.astype(np.uint8), {}
    values, counts = np.unique(raw_HW[unknown_HW], return_counts=True)
    known_HW = np.where(unknown_HW, VOID, train_HW).astype(np.uint8)
    return known_HW, dict(zip(values.tolist(), counts.tolist(), strict=True))


def _colour(value: Any) -> Colour:
    red, green, blue = (int(part) for part in value)
    return red, green, blue
