"""Synthetic scenes become raw data by way of archives, as Cityscapes does."""

import tempfile
from pathlib import Path

from segpipe.params.source import SourceParams
from segpipe.sources.archives import unpack
from segpipe.sources.synthetic.archives import write_archives


def fetch(source: SourceParams, target: Path) -> None:
    """Draw the scenes and unpack them into the folder `target`; errors as in `write_archives`."""
    with tempfile.TemporaryDirectory(prefix=".archives.", dir=target.parent) as packed:
        world = Path(source.path)
        for archive in write_archives(source.synthetic, source.clip, world, Path(packed)):
            unpack(archive, target)
