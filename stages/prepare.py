"""Stage prepare: check, split and resize the raw files into arrays.

reads   data/raw/
writes  data/prepared/ (images and masks in shards, and index.csv, by split; dataset.json),
        data/report/ (what was found in the data: report.html), also when the data is refused,
        data/statistics/ (what the data is like: statistics.html)

Examples:
  dvc exp run -S prepare.height=192 -S prepare.width=384
  python -m stages.prepare --part 3/16    (docs/distributed.md, Preparation on many machines)
"""

import argparse
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from segpipe.labels.scheme import LabelScheme
from segpipe.params.schema import Params
from segpipe.preflight.inspection import fit_to_prepare, plan_preparation, survey_listing
from segpipe.preflight.judge import judge
from segpipe.preflight.label_proposal import load_scheme_of
from segpipe.preflight.report import write_report
from segpipe.preflight.splits import kept_and_left_out
from segpipe.preflight.statistics_page import HTML, write_statistics
from segpipe.preparation.prepare import make_part, prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.preparation.shard_store import Part, shard_store
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import refuse, say_warnings
from segpipe.runtime.process_exit import uninterrupted
from segpipe.runtime.provenance import Snapshot
from segpipe.runtime.workers import closing
from segpipe.sources.build import list_samples
from segpipe.sources.listing import Listing
from stages.entry import run_parsed, stage_parser

RAW, PREPARED = Path("data/raw"), Path("data/prepared")
REPORT, STATISTICS = Path("data/report"), Path("data/statistics")


def run(params: Params, snapshot: Snapshot) -> None:
    """Prepare into data/prepared, whole or not at all, and report on the data.

    Shards that `run_part` has made of the same parameters, code and raw files are taken; what is
    missing or damaged of them is made here.
    """
    listing, scheme, context = _planned(params)
    store = None if context is None else shard_store(snapshot, context)
    with closing(ThreadPoolExecutor(1)) as beside, atomic_dir(PREPARED) as folder:
        # Importing torch takes seconds, in which the workers read already.
        with uninterrupted():
            memory = beside.submit(_forecast, params, context)
        totals = None
        if context is not None and fit_to_prepare(listing):
            survey, totals = prepare_data(listing.samples, context, folder, store)
        else:
            survey = survey_listing(listing, context)
        found = memory.result()
        batch = params.train.batch_size
        findings = judge(survey, listing.findings, scheme, params.prepare, batch, found)
        page = write_report(REPORT, findings, survey, scheme, RAW, found)
        say_warnings(findings)
        refuse(findings, page)
        assert totals is not None  # else there were errors
        with atomic_dir(STATISTICS) as drawn:
            write_statistics(drawn, survey, folder, totals["train"].histogram_C256)
            snapshot.verify()
    if store is not None:
        shutil.rmtree(store, ignore_errors=True)
    kept, left_out = kept_and_left_out(survey)
    copies = params.prepare.copies.count
    with_copies = f" and {copies} copies of each of train" if copies else ""
    say(
        f"{kept}{with_copies}, with {scheme.num_classes} classes, are prepared in {PREPARED}/"
        f"{left_out}; see {page} and {STATISTICS / HTML}"
    )


def run_part(part: Part, params: Params, snapshot: Snapshot) -> None:
    """Make the shards of one part, for the stage to take; nothing is judged or published."""
    listing, _, context = _planned(params)
    if context is None or not fit_to_prepare(listing):
        raise DataError(
            "the names of the raw files have errors, so there is nothing to prepare; "
            "`python -m stages.prepare` lists them"
        )
    store = shard_store(snapshot, context)
    made, shards = make_part(listing.samples, context, store, part)
    there = f"; {shards - made} were there" if shards > made else ""
    say(
        f"part {part.number}/{part.total}: {made} of its {shards} shards are made{there}, in {store}/"
    )


def _planned(params: Params) -> tuple[Listing, LabelScheme, PrepareContext | None]:
    listing = list_samples(params.source, params.prepare, RAW)
    scheme = load_scheme_of(params, listing, RAW)
    return (
        listing,
        scheme,
        plan_preparation(params.source.name, params.labels, params.prepare, listing, scheme, RAW),
    )


def _forecast(params: Params, context: PrepareContext | None) -> dict[str, Any] | None:
    from segpipe.training.forecast import forecast_training

    return None if context is None else forecast_training(params, context)


def _part(text: str) -> Part:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text} is not K/N with K from 1 to N, such as 3/16")
    return Part(int(found[1]), int(found[2]))


def start() -> int:
    """Run the stage, or one part of it; return the exit code."""
    parser = stage_parser("prepare", __doc__)
    parser.add_argument(
        "--part",
        type=_part,
        metavar="K/N",
        help="make every N-th shard, from the K-th on (1 to N), and leave it for the stage to take",
    )
    part: Part | None = parser.parse_args().part
    return run_parsed("prepare", run if part is None else partial(run_part, part))


if __name__ == "__main__":
    sys.exit(start())
