"""Rules about what images look like: too small, of other proportions, black."""

from collections.abc import Sequence

from segpipe.params.prepare import PrepareParams
from segpipe.preflight.wording import pictures_of, size
from segpipe.preparation.sample_stats import SampleFacts, Side
from segpipe.runtime.findings import Finding

_ENLARGED = 2.0  # along one side
_DISTORTED = 1.25  # of width : height
_NEARLY = 1.5 / 255  # brightness that no picture of a scene has, from either end


def enlarged(facts: Sequence[SampleFacts], prepare: PrepareParams) -> list[Finding]:
    """Making an image larger adds no detail, and costs time at every step."""
    small = [
        fact
        for fact, (height, width) in _pictures(facts)
        if prepare.height >= _ENLARGED * height or prepare.width >= _ENLARGED * width
    ]
    if not small:
        return []
    canvas = size((prepare.height, prepare.width))
    text = f"{len(small)} images are much smaller than the prepared size, {canvas} (height x width)"
    repair = "lower prepare.height and prepare.width in params.yaml, or get the images in full size"
    return [_finding("enlarged", small, text, repair)]


def distorted(facts: Sequence[SampleFacts], prepare: PrepareParams) -> list[Finding]:
    """Stretching changes the shape of things; other ways to fit keep it."""
    if prepare.fit != "stretch":
        return []
    wanted = prepare.width / prepare.height
    bent = [
        fact
        for fact, (height, width) in _pictures(facts)
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


def featureless(facts: Sequence[SampleFacts]) -> list[Finding]:
    """Black, white and single-coloured images are mostly accidents of a camera or a copy."""
    flat = [
        fact
        for fact in facts
        if fact.brightness is not None
        and (not _NEARLY < fact.brightness < 1 - _NEARLY or fact.dhash == 0)
        and fact.sample.window is None
    ]
    if not flat:
        return []
    text = f"{len(flat)} images show nothing: they are black, white or of one brightness"
    repair = "look at them; copy them again, or move image and mask away"
    items = tuple(
        f"{fact.sample.image}: mean brightness {fact.brightness:.3f} of 1" for fact in flat
    )
    return [Finding("featureless", "warning", text, repair, items, pictures_of(flat))]


def _pictures(facts: Sequence[SampleFacts]) -> list[tuple[SampleFacts, Side]]:
    """Return images and their sizes; a window of a raster has the prepared size by construction."""
    return [
        (fact, fact.image_side)
        for fact in facts
        if fact.image_side is not None and fact.sample.window is None
    ]


def _finding(kind: str, facts: Sequence[SampleFacts], text: str, repair: str) -> Finding:
    items = tuple(
        f"{fact.sample.image} is {size(fact.image_side)}" for fact in facts if fact.image_side
    )
    return Finding(kind, "warning", text, repair, items)
