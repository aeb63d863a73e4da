"""Every file of a data set read once, whatever its listing has to say."""

from pathlib import Path

from segpipe.dataset.layout import STORED_SPLITS
from segpipe.labels.exclusion import excluded_labels
from segpipe.labels.scheme import LabelScheme
from segpipe.params.prepare import PrepareParams
from segpipe.params.schema import LabelParams
from segpipe.preparation.file_spec import choose_files
from segpipe.preparation.prepare import survey_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.preparation.sample_stats import SampleStats, Survey
from segpipe.sources.listing import Listing


def plan_preparation(
    source: str,
    labels: LabelParams,
    prepare: PrepareParams,
    listing: Listing,
    scheme: LabelScheme,
    raw: Path,
) -> PrepareContext | None:
    """Return what the workers need to read the files below `raw`; source: its name in params.yaml.

    None where no training sample is listed: then nothing says how rasters are to be read, and
    training is out of the question. Raises ParameterError when labels.exclude_images_with names no
    label, DataError when a training raster cannot be read.
    """
    excluded = excluded_labels(scheme, labels.exclude_images_with)
    if not listing.samples["train"]:
        return None
    files = choose_files(source, listing.samples, raw, prepare, listing.truth_ratio)
    return PrepareContext(raw, scheme, files, prepare, excluded)


def survey_listing(listing: Listing, context: PrepareContext | None) -> Survey:
    """Read every file that is listed, and write nothing; without `context` the names are all."""
    if context is not None:
        return survey_data(listing.samples, context)
    return Survey(
        [SampleStats(each, split) for split in listing.samples for each in listing.samples[split]]
    )


def fit_to_prepare(listing: Listing) -> bool:
    """Return whether arrays can be made: no error in the names, something to train and validate on."""
    sound = all(finding.severity == "warning" for finding in listing.findings)
    return sound and all(listing.samples[split] for split in STORED_SPLITS)
