"""Synthetic scenes become raw data by way of archives, as Cityscapes does."""

from pathlib import Path

from segpipe.params.source import SourceParams
from segpipe.runtime.atomic import temporary_dir
from segpipe.sources.archives import unpack
from segpipe.sources.synthetic.archives import write_archives


def fetch(source: SourceParams, target: Path) -> None:
    """Draw the scenes and unpack them into the folder `target`; errors as in `write_archives`."""
    with temporary_dir(target.parent) as packed:
        world = Path(source.path)
        for archive in write_archives(source.synthetic, source.clip, world, packed):
            unpack(archive, target)
