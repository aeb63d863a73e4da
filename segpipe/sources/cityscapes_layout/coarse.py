"""Which coarsely annotated scenes train beside the finely annotated ones."""

import hashlib
import math
from collections.abc import Iterable

# This image of train_extra is all black in the published archive, and its coarse truth is one value.
DAMAGED = frozenset({"troisdorf_000000_000073"})


def wanted_number(ratio: float, fine: int) -> int:
    """Return how many coarse scenes go with `fine` training samples, rounded to the nearest."""
    return math.floor(ratio * fine + 0.5)


def choose(stems: Iterable[str], number: int, seed: int) -> list[str]:
    """Return `number` of the stems (all, if there are fewer), sorted by name.

    They are ranked by a hash of (seed, stem): a larger number keeps those that a smaller one chose,
    and one more scene on the disk changes at most one choice.
    """
    ranked = sorted(stems, key=lambda stem: (_rank(seed, stem), stem))
    return sorted(ranked[:number])


def _rank(seed: int, stem: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{stem}".encode(), digest_size=8).digest()
