"""Rules about the nodata tag of rasters: one that hides a class, one that marks measured pixels."""

from collections import Counter
from collections.abc import Sequence
from math import prod

from segpipe.labels.scheme import LabelScheme
from segpipe.preflight.wording import share
from segpipe.preparation.sample_stats import SampleStats
from segpipe.runtime.findings import Finding

_NOTABLE = 0.01  # fraction of a raster's pixels
_UNSET = "remove the tag (gdal_edit.py -unsetnodata FILE)"


def hidden_classes(samples: Sequence[SampleStats], scheme: LabelScheme) -> list[Finding]:
    """A nodata tag and a label scheme that give one value two meanings contradict each other."""
    hidden: Counter[tuple[str, int]] = Counter()
    pixels: Counter[str] = Counter()
    for stats in samples:
        mask = stats.sample.mask or ""
        pixels[mask] += sum(stats.train_pixels.values())
        hidden.update({(mask, value): count for value, count in stats.hidden_class.items()})
    masks = {key: count for key, count in hidden.items() if count}
    if not masks:
        return []
    part = share(sum(masks.values()), sum(pixels[mask] for mask, _ in masks))
    text = (
        f"the nodata tag of {len(masks)} masks is the value of a class, so that {part} of their "
        "pixels would be unknown"
    )
    values = sorted({value for _, value in masks})
    repair = (
        f"where the value means its class, {_UNSET}; where it means that nothing is labelled there, "
        f"{_as_void(values, scheme)}"
    )
    items = tuple(
        f"{mask}: nodata is {value}, which is {scheme.meanings[value]}; {share(count, pixels[mask])}"
        for (mask, value), count in masks.items()
    )
    return [Finding("nodata_class", "error", text, repair, items)]


def _as_void(values: Sequence[int], scheme: LabelScheme) -> str:
    """Say how values of classes become void."""
    rest = {name for value, name in scheme.meanings.items() if value not in values and value >= 0}
    if set(scheme.classes) <= rest:
        entries = ", ".join(f"{value}: void" for value in values)
        return f"write `map: {{{entries}}}` under labels in params.yaml"
    named = ", ".join(sorted(set(scheme.classes) - rest))
    return f"make {named} void in the file of the labels: the class has no other value"


def partly_nodata(samples: Sequence[SampleStats]) -> list[Finding]:
    """Pixels that hold the nodata value in some of the bands are used; that may not be meant."""
    partly: Counter[str] = Counter()
    pixels: Counter[str] = Counter()
    for stats in samples:
        if stats.image_side is not None:
            pixels[stats.sample.image] += prod(stats.image_side)
            partly[stats.sample.image] += stats.partly_nodata
    images = {image: n for image, n in partly.items() if n and n >= _NOTABLE * pixels[image]}
    if not images:
        return []
    part = share(sum(images.values()), sum(pixels[image] for image in images))
    text = (
        f"in {len(images)} rasters {part} of the pixels hold the nodata value in some of the bands "
        "and not in all; these pixels are used, since only what is nodata in every band is void"
    )
    repair = (
        f"where the value is a measurement (a saturated red is 0 in green and blue), {_UNSET} or "
        "leave it so; where bands were not measured, write NaN there, or an alpha band or mask"
    )
    items = tuple(f"{image}: {share(n, pixels[image])}" for image, n in images.items())
    return [Finding("partly_nodata", "warning", text, repair, items)]
