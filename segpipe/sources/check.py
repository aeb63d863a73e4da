"""What can be said of a source before anything is fetched."""

from dataclasses import dataclass
from pathlib import Path

from segpipe.params.prepare import PrepareParams
from segpipe.params.source import SourceParams
from segpipe.sources.cityscapes import fetch as cityscapes
from segpipe.sources.listing import Listing
from segpipe.sources.samples import list_samples
from segpipe.sources.synthetic.world import read_world
from segpipe.sources.synthetic_esd.land import read_land


@dataclass(frozen=True)
class CheckedSource:
    """What was found where source.path points, before anything is fetched.

    listing: None where the samples are made, not found. readable: whether they lie there as files
    below source.path, and not in archives.
    """

    listing: Listing | None
    readable: bool


def check_source(source: SourceParams, prepare: PrepareParams, downloads: Path) -> CheckedSource:
    """Look at the source as it is; raises the errors that fetch and prepare would raise.

    downloads: where fetch keeps downloaded archives.
    """
    path = Path(source.path)
    match source.name:
        case "synthetic":
            read_world(path)
            return CheckedSource(None, readable=False)
        case "synthetic_esd":
            read_land(path)
            return CheckedSource(None, readable=False)
        case "cityscapes":
            listing = cityscapes.check_without_unpacking(source, downloads)
            return CheckedSource(listing, readable=cityscapes.is_unpacked(source))
        case "folder" | "rasters" | "esd":
            return CheckedSource(list_samples(source, prepare, path), readable=True)
