"""The sources by name: the one file that knows them all (law 2)."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from segpipe.params.prepare import PrepareParams
from segpipe.params.source import SourceParams
from segpipe.sources import esd, folder, rasters
from segpipe.sources.archives import unpack
from segpipe.sources.cityscapes import source as cityscapes
from segpipe.sources.listing import Listing
from segpipe.sources.synthetic.archives import write_archives
from segpipe.sources.synthetic.world import read_world
from segpipe.sources.synthetic_esd.generate import write_tiles
from segpipe.sources.synthetic_esd.land import read_land


def fetch(source: SourceParams, target: Path, downloads: Path) -> None:
    """Bring the raw data into the folder `target`, as its owner publishes it.

    downloads: where archives that had to be downloaded are kept.
    """
    path = Path(source.path)
    match source.name:
        case "synthetic":
            with tempfile.TemporaryDirectory(prefix=".archives.", dir=target.parent) as packed:
                made = write_archives(source.synthetic, source.clip, path, Path(packed))
                for archive in made:
                    unpack(archive, target)
        case "cityscapes":
            cityscapes.fetch(source, target, downloads)
        case "folder":
            folder.fetch(path, target)
        case "rasters":
            rasters.fetch(path, target)
        case "esd":
            esd.fetch(path, target)
        case "synthetic_esd":
            write_tiles(source.synthetic_esd, path, target)


def list_samples(source: SourceParams, prepare: PrepareParams, raw: Path) -> Listing:
    """Return the samples below `raw`, and what is wrong with the files' names.

    Raises DataError when nothing at all can be listed.
    """
    split, sides = prepare.split, (prepare.height, prepare.width)
    match source.name:
        case "synthetic" | "cityscapes":
            withheld = source.name == "cityscapes"
            return cityscapes.list_samples(raw, source, truth_withheld=withheld)
        case "folder":
            return folder.list_samples(raw, split)
        case "rasters":
            return rasters.list_samples(raw, split, *sides, prepare.rasters)
        case "esd" | "synthetic_esd":
            return esd.list_samples(raw, split, *sides)


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
