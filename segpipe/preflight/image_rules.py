"""Rules about what images look like: too small, of other proportions, black."""

from collections.abc import Sequence

from segpipe.params.prepare import PrepareParams
from segpipe.preflight.wording import pictures_of, size
from segpipe.preparation.sample_stats import SampleStats
from segpipe.raw.sample import Side
from segpipe.runtime.findings import Finding

_ENLARGED = 2.0  # along one side
_DISTORTED = 1.25  # of width : height
_NEARLY = 1.5 / 255  # brightness that no picture of a scene has, from either end


def enlarged(samples: Sequence[SampleStats], prepare: PrepareParams) -> list[Finding]:
    """Making an image larger adds no detail, and costs time at every step."""
    small = [
        stats
        for stats, (height, width) in _pictures(samples)
        if prepare.height >= _ENLARGED * height or prepare.width >= _ENLARGED * width
    ]
    if not small:
        return []
    canvas = size((prepare.height, prepare.width))
    text = f"{len(small)} images are much smaller than the prepared size, {canvas} (height x width)"
    repair = "lower prepare.height and prepare.width in params.yaml, or get the images in full size"
    return [_finding("enlarged", small, text, repair)]


def distorted(samples: Sequence[SampleStats], prepare: PrepareParams) -> list[Finding]:
    """Stretching changes the shape of things; other ways to fit keep it."""
    if prepare.fit != "stretch":
        return []
    wanted = prepare.width / prepare.height
    bent = [
        stats
        for stats, (height, width) in _pictures(samples)
        if not 1 / _DISTORTED <= width / height / wanted <= _DISTORTED
    ]
    if not bent:
        return []
    canvas = size((prepare.height, prepare.width))
    text = f"{len(bent)} images have very different proportions from the prepared size, {canvas}"
    repair = (
        "set prepare.fit to pad or crop, or prepare.height and prepare.width to their proportions"
    )
    return [_finding("distorted", bent, text, repair)]


def featureless(samples: Sequence[SampleStats]) -> list[Finding]:
    """Black, white and single-coloured images are mostly accidents of a camera or a copy."""
    flat = [
        stats
        for stats in samples
        if stats.brightness is not None
        and (not _NEARLY < stats.brightness < 1 - _NEARLY or stats.dhash == 0)
        and stats.sample.window is None
    ]
    if not flat:
        return []
    text = f"{len(flat)} images show nothing: they are black, white or of one brightness"
    repair = "look at them; copy them again, or move image and mask away"
    items = tuple(
        f"{stats.sample.image}: mean brightness {stats.brightness:.3f} of 1" for stats in flat
    )
    return [Finding("featureless", "warning", text, repair, items, pictures_of(flat))]


def _pictures(samples: Sequence[SampleStats]) -> list[tuple[SampleStats, Side]]:
    """Return images and their sizes; a window of a raster has the prepared size by construction."""
    return [
        (stats, stats.image_side)
        for stats in samples
        if stats.image_side is not None and stats.sample.window is None
    ]


def _finding(kind: str, samples: Sequence[SampleStats], text: str, repair: str) -> Finding:
    items = tuple(
        f"{stats.sample.image} is {size(stats.image_side)}" for stats in samples if stats.image_side
    )
    return Finding(kind, "warning", text, repair, items)
