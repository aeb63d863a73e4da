"""Randomness as a function, not a state (law 5)."""

import hashlib
from collections.abc import Iterable

import numpy as np


def generator(*key: int | str) -> np.random.Generator:
    """Return a generator that depends on `key` alone, for instance (seed, "order", epoch).

    The key is hashed to the 128-bit key of Philox, a counter-based generator (Salmon et al.,
    "Parallel random numbers: as easy as 1, 2, 3", SC 2011), so that neighbouring keys give
    unrelated streams and no stream is ever advanced by another's draws.
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def ranked(names: Iterable[str], seed: int) -> list[str]:
    """Rank names by a hash of (seed, name).

    A longer beginning holds every shorter one, and one more name moves no two others.
    """

    def rank(name: str) -> tuple[bytes, str]:
        return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), name

    return sorted(names, key=rank)
