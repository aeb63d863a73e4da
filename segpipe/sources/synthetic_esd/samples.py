"""Samples of the synthetic ESD tiles: its own file, so that a change here prepares no other source anew."""

from pathlib import Path

from segpipe.params.prepare import SplitParams
from segpipe.sources import esd_tiles
from segpipe.sources.listing import Listing


def list_samples(raw: Path, split: SplitParams, height: int, width: int) -> Listing:
    """Return the subtiles of height x width image pixels below `raw`; see `esd_tiles`."""
    return esd_tiles.list_samples(raw, split, height, width)
