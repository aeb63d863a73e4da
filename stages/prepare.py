"""Stage prepare: check, split and resize the raw files into a few large arrays.

reads   data/raw/
writes  data/prepared/ (images.npy, masks.npy and index.csv by split; dataset.json)

Example: dvc exp run -S prepare.height=192 -S prepare.width=384
"""

import sys
from pathlib import Path

from segpipe.atomic import whole_folder
from segpipe.console import say
from segpipe.labels.load import load_scheme
from segpipe.params.schema import Params
from segpipe.provenance import Snapshot
from segpipe.sources.build import list_samples
from segpipe.storage.prepare import prepare_data
from stages.entry import run_stage

RAW, PREPARED = Path("data/raw"), Path("data/prepared")


def run(params: Params, snapshot: Snapshot) -> None:
    """Prepare into data/prepared, whole or not at all."""
    samples = list_samples(params.source, params.prepare.split, RAW)
    scheme = load_scheme(params.labels.scheme, params.labels.map, RAW)
    with whole_folder(PREPARED) as partial:
        prepare_data(samples, RAW, scheme, params.prepare, partial)
        snapshot.verify()
    counts = ", ".join(f"{len(members)} {split}" for split, members in samples.items())
    say(f"{counts} samples with {scheme.num_classes} classes are prepared in {PREPARED}/")


if __name__ == "__main__":
    sys.exit(run_stage("prepare", run, __doc__))
