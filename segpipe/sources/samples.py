"""The sources by name: how their samples are listed (law 2)."""

from pathlib import Path

from segpipe.params.prepare import PrepareParams
from segpipe.params.source import SourceParams
from segpipe.sources.cityscapes import samples as cityscapes
from segpipe.sources.esd import samples as esd
from segpipe.sources.folder import samples as folder
from segpipe.sources.listing import Listing
from segpipe.sources.rasters import samples as rasters
from segpipe.sources.synthetic import samples as synthetic
from segpipe.sources.synthetic_esd import samples as synthetic_esd


def list_samples(source: SourceParams, prepare: PrepareParams, raw: Path) -> Listing:
    """Return the samples below `raw`, and what is wrong with the files' names.

    Raises DataError when nothing at all can be listed.
    """
    split, height, width = prepare.split, prepare.height, prepare.width
    match source.name:
        case "synthetic":
            return synthetic.list_samples(raw, source)
        case "cityscapes":
            return cityscapes.list_samples(raw, source)
        case "folder":
            return folder.list_samples(raw, split)
        case "rasters":
            return rasters.list_samples(raw, split, height, width, prepare.rasters)
        case "esd":
            return esd.list_samples(raw, split, height, width)
        case "synthetic_esd":
            return synthetic_esd.list_samples(raw, split, height, width)
