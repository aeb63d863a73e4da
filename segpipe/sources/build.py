"""The sources by name: the one file that knows them all (law 2)."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from segpipe.params.schema import SourceParams, SplitParams
from segpipe.sample import Sample
from segpipe.sources import cityscapes, folder
from segpipe.sources.archives import unpack
from segpipe.sources.synthetic.archives import write_archives
from segpipe.sources.synthetic.world import read_world


def fetch(source: SourceParams, target: Path) -> None:
    """Bring the raw data into the folder `target`, as its owner publishes it."""
    path = Path(source.path)
    match source.name:
        case "synthetic":
            with tempfile.TemporaryDirectory(prefix=".archives.", dir=target.parent) as packed:
                for archive in write_archives(source.synthetic, path, Path(packed)):
                    unpack(archive, target)
        case "cityscapes":
            cityscapes.fetch(path, target)
        case "folder":
            folder.fetch(path, target)


def list_samples(source: SourceParams, split: SplitParams, raw: Path) -> dict[str, list[Sample]]:
    """Return the samples below `raw` by split, sorted by name; DataError lists what does not pair."""
    match source.name:
        case "synthetic" | "cityscapes":
            return cityscapes.list_samples(raw)
        case "folder":
            return folder.list_samples(raw, split)


@dataclass(frozen=True)
class CheckedSource:
    """What was found where source.path points, before anything is fetched.

    samples: by split; None where they are made, not found. readable: whether they lie there as
    files below source.path, and not in archives.
    """

    samples: dict[str, list[Sample]] | None
    readable: bool


def check_source(source: SourceParams, split: SplitParams) -> CheckedSource:
    """Look at the source as it is; raises the errors that fetch and prepare would raise."""
    path = Path(source.path)
    match source.name:
        case "synthetic":
            read_world(path)
            return CheckedSource(None, readable=False)
        case "cityscapes":
            samples = cityscapes.check_without_unpacking(path)
            return CheckedSource(samples, readable=cityscapes.is_unpacked(path))
        case "folder":
            return CheckedSource(folder.list_samples(path, split), readable=True)
