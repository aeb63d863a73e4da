"""Near-duplicate images in two splits, by their difference hashes.

N, M: images of two splits. A difference hash has 64 bits, one row of 8 a byte; it hardly changes
when an image is resized, stored anew, made brighter or darker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from segpipe.preflight.wording import place
from segpipe.preparation.sample_stats import SampleStats
from segpipe.raw.sample import SPLITS
from segpipe.runtime.findings import Finding

# Measured on street scenes: copies that were stored anew or resized differ in 0 to 4 bits, recoloured
# ones mostly in 0 to 5, different scenes of one camera in 8 or more, nearly always.
FAR = 4
# So few bits (or clear bits) say hardly anything: fog, a plain wall, a dark frame.
_TELLING = 8
_BLOCK = 512  # rows compared at a time: 512 x 25,000 distances are 13 MB
_PICTURES = 4
# An 8-bit row seen in a mirror: the bits in reverse order, and each the opposite.
_MIRRORED = np.array([int(f"{255 - byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)


@dataclass(frozen=True)
class _Pair:
    first: SampleStats
    second: SampleStats
    distance: int
    mirrored: bool

    def __str__(self) -> str:
        same = (
            self.distance == 0
            and not self.mirrored
            and self.first.brightness == self.second.brightness
            and self.first.image_side == self.second.image_side
        )
        how = (
            "the same picture"
            if same
            else f"nearly the same picture ({self.distance} of 64 bits of their hashes differ)"
        )
        return f"{place(self.first)} and {place(self.second)}: {how}" + (
            ", mirrored" if self.mirrored else ""
        )


def near_duplicates(samples: Sequence[SampleStats]) -> list[Finding]:
    """An image of which training has seen a copy tells nothing about new images.

    For each image of a later split the nearest one of each earlier split is named. Copies that were
    resized, stored anew, recoloured or mirrored are found; images within one split are not compared.
    """
    pairs = [pair for a, b in combinations(SPLITS, 2) for pair in _between(samples, a, b)]
    if not pairs:
        return []
    pairs.sort(key=lambda pair: (pair.distance, pair.mirrored))
    text = f"{len(pairs)} images look like one of another split, so that scores promise too much"
    repair = (
        "take them out of one of the splits, or keep samples of one scene together with "
        "prepare.split.group"
    )
    shown = tuple(place(stats) for pair in pairs[:_PICTURES] for stats in (pair.first, pair.second))
    items = tuple(str(pair) for pair in pairs)
    return [Finding("near_duplicate", "warning", text, repair, items, shown)]


def _between(samples: Sequence[SampleStats], first: str, second: str) -> list[_Pair]:
    """Return for each image of `second` the nearest of `first` that is near enough."""
    one, other = ([stats for stats in samples if stats.split == split] for split in (first, second))
    telling_one, telling_other = ([f for f in side if _telling(f)] for side in (one, other))
    pairs: dict[int, _Pair] = {}
    hashes_N, hashes_M = _hashes(telling_one), _hashes(telling_other)
    for mirrored, seen_M in ((False, hashes_M), (True, mirror(hashes_M))):
        for m, n, distance in nearest_within(hashes_N, seen_M, FAR):
            stats = telling_other[m]
            if id(stats) not in pairs or distance < pairs[id(stats)].distance:
                pairs[id(stats)] = _Pair(telling_one[n], stats, distance, mirrored)
    return list(pairs.values()) + _equal_where_hashes_say_little(one, other)


def nearest_within(
    hashes_N: NDArray[np.uint64], hashes_M: NDArray[np.uint64], far: int
) -> list[tuple[int, int, int]]:
    """Return (m, n, distance) for each m whose nearest n is at most `far` bits away.

    Every pair is compared, block by block: exact for any hashes, and 25,000 images take a second.
    """
    found = []
    if not len(hashes_N):
        return []
    for start in range(0, len(hashes_M), _BLOCK):
        block = hashes_M[start : start + _BLOCK]
        distances = np.bitwise_count(block[:, None] ^ hashes_N[None, :])
        nearest = distances.argmin(axis=1)
        least = distances[np.arange(len(block)), nearest]
        for row in np.flatnonzero(least <= far).tolist():
            found.append((start + row, int(nearest[row]), int(least[row])))
    return found


def mirror(hashes_N: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the hashes that the images would have if left and right were exchanged.

    Exact where no two neighbouring areas are equally bright.
    """
    rows_N8 = hashes_N.astype(">u8").view(np.uint8).reshape(-1, 8)
    mirrored: NDArray[np.uint64] = _MIRRORED[rows_N8].view(">u8").reshape(-1).astype(np.uint64)
    return mirrored


def _hashes(samples: Sequence[SampleStats]) -> NDArray[np.uint64]:
    return np.array([stats.dhash for stats in samples], np.uint64)


def _telling(stats: SampleStats) -> bool:
    return stats.dhash is not None and telling(stats.dhash)


def telling(dhash: int) -> bool:
    """Return whether a difference hash has enough bits of both kinds to say what an image shows."""
    return _TELLING <= dhash.bit_count() <= 64 - _TELLING


def _equal_where_hashes_say_little(
    one: Sequence[SampleStats], other: Sequence[SampleStats]
) -> list[_Pair]:
    """Pair images of little contrast only where brightness, size and labels agree as well."""
    known = {_traits(stats): stats for stats in one if _traits(stats) is not None}
    pairs = []
    for stats in other:
        traits = _traits(stats)
        if traits is not None and traits in known:
            pairs.append(_Pair(known[traits], stats, 0, False))
    return pairs


def _traits(stats: SampleStats) -> tuple[object, ...] | None:
    if stats.dhash in (None, 0) or _telling(stats) or stats.brightness is None:
        return None
    labels = tuple(sorted(stats.train_pixels.items()))
    return stats.dhash, stats.brightness, stats.image_side, labels
