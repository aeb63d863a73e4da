"""Samples of Cityscapes: its own file, so that a change here prepares no other source anew."""

from pathlib import Path

from segpipe.params.source import SourceParams
from segpipe.sources.cityscapes_layout import samples
from segpipe.sources.listing import Listing


def list_samples(raw: Path, source: SourceParams) -> Listing:
    """Return the samples below `raw` by split; the truth of the official test split is withheld."""
    return samples.list_samples(raw, source, truth_withheld=True)
