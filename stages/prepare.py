"""Stage prepare: check, split and resize the raw files into arrays.

reads   data/raw/
writes  data/prepared/ (images and masks in shards, and index.csv, by split; dataset.json),
        data/report/ (what was found in the data: report.html), also when the data is refused,
        data/statistics/ (what the data is like: statistics.html)

Example: dvc exp run -S prepare.height=192 -S prepare.width=384
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from segpipe.params.schema import Params
from segpipe.preflight.inspection import fit_to_prepare, plan_preparation, survey_listing
from segpipe.preflight.judge import judge
from segpipe.preflight.label_proposal import load_scheme_of
from segpipe.preflight.report import write_report
from segpipe.preflight.splits import kept_and_left_out
from segpipe.preflight.statistics_page import HTML, write_statistics
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.console import say
from segpipe.runtime.findings import refuse, say_warnings
from segpipe.runtime.process_exit import uninterrupted
from segpipe.runtime.provenance import Snapshot
from segpipe.runtime.workers import closing
from segpipe.sources.build import list_samples
from stages.entry import run_stage

RAW, PREPARED = Path("data/raw"), Path("data/prepared")
REPORT, STATISTICS = Path("data/report"), Path("data/statistics")


def run(params: Params, snapshot: Snapshot) -> None:
    """Prepare into data/prepared, whole or not at all, and report on the data."""
    listing = list_samples(params.source, params.prepare, RAW)
    scheme = load_scheme_of(params, listing, RAW)
    context = plan_preparation(
        params.source.name, params.labels, params.prepare, listing, scheme, RAW
    )
    with closing(ThreadPoolExecutor(1)) as beside, atomic_dir(PREPARED) as partial:
        # Importing torch takes seconds, in which the workers read already.
        with uninterrupted():
            memory = beside.submit(_forecast, params, context)
        totals = None
        if context is not None and fit_to_prepare(listing):
            survey, totals = prepare_data(listing.samples, context, partial)
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
            write_statistics(drawn, survey, partial, totals["train"].histogram_C256)
            snapshot.verify()
    kept, left_out = kept_and_left_out(survey)
    copies = params.prepare.copies.count
    with_copies = f" and {copies} copies of each of train" if copies else ""
    say(
        f"{kept}{with_copies}, with {scheme.num_classes} classes, are prepared in {PREPARED}/"
        f"{left_out}; see {page} and {STATISTICS / HTML}"
    )


def _forecast(params: Params, context: PrepareContext | None) -> dict[str, Any] | None:
    from segpipe.training.forecast import forecast_training

    return None if context is None else forecast_training(params, context)


if __name__ == "__main__":
    sys.exit(run_stage("prepare", run, __doc__))
