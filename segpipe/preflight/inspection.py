"""Every file of a data set read once, whatever its listing has to say."""

from pathlib import Path

from segpipe.dataset.layout import STORED_SPLITS
from segpipe.labels.exclusion import excluded_labels
from segpipe.labels.scheme import LabelScheme
from segpipe.params.prepare import PrepareParams
from segpipe.params.schema import LabelParams
from segpipe.preparation.prepare import survey_data
from segpipe.preparation.sample_stats import SampleFacts, Survey
from segpipe.preparation.task import Work
from segpipe.raw.input_spec import choose_reading
from segpipe.sources.listing import Listing


def plan_work(
    source: str,
    labels: LabelParams,
    prepare: PrepareParams,
    listing: Listing,
    scheme: LabelScheme,
    raw: Path,
) -> Work | None:
    """Return what the workers need to read the files below `raw`; source: its name in params.yaml.

    None where no training sample is listed: then nothing says how rasters are to be read, and
    training is out of the question. Raises ParameterError when labels.exclude_images_with names no
    label, DataError when a training raster cannot be read.
    """
    excluded = excluded_labels(scheme, labels.exclude_images_with)
    if not listing.samples["train"]:
        return None
    reading = choose_reading(source, listing.samples, raw, prepare, listing.truth_ratio)
    return Work(raw, scheme, reading, prepare, excluded)


def survey_listing(listing: Listing, shared: Work | None) -> Survey:
    """Read every file that is listed, and write nothing; without `shared` the names are all."""
    if shared is not None:
        return survey_data(listing.samples, shared)
    return Survey(
        [SampleFacts(each, split) for split in listing.samples for each in listing.samples[split]]
    )


def fit_to_prepare(listing: Listing) -> bool:
    """Return whether arrays can be made: no error in the names, something to train and validate on."""
    sound = all(finding.severity == "warning" for finding in listing.findings)
    return sound and all(listing.samples[split] for split in STORED_SPLITS)
