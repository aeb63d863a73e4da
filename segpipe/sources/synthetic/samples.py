"""Samples of the synthetic scenes: its own file, so that a change here prepares no other source anew."""

from pathlib import Path

from segpipe.params.source import SourceParams
from segpipe.sources.cityscapes_layout import samples
from segpipe.sources.listing import Listing


def list_samples(raw: Path, source: SourceParams) -> Listing:
    """Return the samples below `raw` by split; all scenes have truth, those of test as well."""
    return samples.list_samples(raw, source, truth_withheld=False)
