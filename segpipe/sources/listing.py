"""What a source found below data/raw: the samples by split, and what is wrong with the files' names."""

from dataclasses import dataclass, field

from segpipe.raw.sample import Sample
from segpipe.runtime.findings import Finding


@dataclass(frozen=True)
class Listing:
    """samples: by split (train, val, test), sorted by name, those that are whole.

    findings: what does not pair, appears twice or lies in the wrong place. Listing goes on after
    each of them, so that a person learns of all at once. truth_ratio: image pixels along each side
    of a truth pixel; above 1 where the truth is coarser than the image. folders: which ones hold images
    and masks, in words; empty where they have the usual names.
    """

    samples: dict[str, list[Sample]]
    findings: list[Finding] = field(default_factory=list)
    truth_ratio: int = 1
    folders: str = ""
