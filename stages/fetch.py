"""Stage fetch: bring the raw images and masks to data/raw.

reads   source.path (the description of a synthetic world, or the folder of the data); packages of
        Cityscapes that are not there are downloaded once to .segpipe/downloads/
writes  data/raw/

Example: dvc repro fetch
"""

import sys
from pathlib import Path

from segpipe.params.schema import Params
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.console import say
from segpipe.runtime.provenance import Snapshot
from segpipe.runtime.state import downloads_folder
from segpipe.sources.build import fetch
from stages.entry import run_stage

RAW = Path("data/raw")


def run(params: Params, snapshot: Snapshot) -> None:
    """Fetch into data/raw, whole or not at all."""
    with atomic_dir(RAW) as partial:
        fetch(params.source, partial, downloads_folder())
        snapshot.verify()
    files = sum(path.is_file() for path in RAW.rglob("*"))
    say(f"{files} files of the {params.source.name} source are in {RAW}/")


if __name__ == "__main__":
    sys.exit(run_stage("fetch", run, __doc__))
