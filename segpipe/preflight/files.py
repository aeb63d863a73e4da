"""Rules about files: unreadable ones, sizes that differ, pixels of several kinds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from segpipe.preflight.wording import pictures_of, size
from segpipe.preparation.sample_stats import SampleStats
from segpipe.raw.pictures.files import GREY, TRIPLED
from segpipe.runtime.findings import Finding, about

_GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
_COLOUR = frozenset({"RGB", "RGBA", "RGBa", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB"})
_ALPHA = frozenset({"RGBA", "LA", "PA"})
_JPEG = frozenset({".jpg", ".jpeg"})  # also where nothing could be decoded


def unreadable(samples: Sequence[SampleStats]) -> list[Finding]:
    """Files that are damaged, cut off, missing or of a form that cannot be read are errors."""
    reasons = [reason for stats in samples for reason in stats.unreadable]
    if not reasons:
        return []
    text = f"{len(reasons)} files cannot be read"
    repair = "copy or save them again, or move image and mask away"
    return [Finding("unreadable", "error", text, repair, tuple(reasons))]


def further_pages(samples: Sequence[SampleStats]) -> list[Finding]:
    """Of a stack of pages or an animation the first picture alone is read."""
    return about(
        (item for stats in samples for item in stats.left_out),
        "further_pages",
        "{n} files hold further pages or frames; only the first one is read",
        "save each page that is meant as a file of its own",
        severity="warning",
    )


def sizes_differ(samples: Sequence[SampleStats]) -> list[Finding]:
    """A mask must have its image's size; a turned one is named as such."""
    other = [f for f in samples if f.image_side and f.mask_side and f.image_side != f.mask_side]
    turned = [stats for stats in other if _swapped(stats)]
    rest = [stats for stats in other if not _swapped(stats)]
    found = []
    if turned:
        text = f"{len(turned)} masks lie on their side: height and width are those of their image, swapped"
        repair = (
            "turn the masks by a quarter; perhaps they were drawn before the camera's mark of rotation "
            "(EXIF), which is honoured here, was applied to the image"
        )
        found.append(_sizes("turned", turned, text, repair))
    if rest:
        text = f"{len(rest)} masks are not of their image's size (height x width)"
        repair = "export the masks at the size of their images; resize labels by nearest only"
        found.append(_sizes("size_differs", rest, text, repair))
    return found


def _swapped(stats: SampleStats) -> bool:
    return stats.image_side is not None and stats.image_side[::-1] == stats.mask_side


def _sizes(kind: str, samples: Sequence[SampleStats], text: str, repair: str) -> Finding:
    items = tuple(
        f"{stats.sample.image} is {size(stats.image_side)}, {stats.sample.mask} is {size(stats.mask_side)}"
        for stats in samples
        if stats.image_side and stats.mask_side
    )
    return Finding(kind, "error", text, repair, items, pictures_of(samples))


def mask_modes(samples: Sequence[SampleStats]) -> list[Finding]:
    """Numbered masks among painted ones, and masks with alpha, are doubtful."""
    masks = [stats for stats in samples if stats.mask_mode]
    # Greys that mean the same in either way fit both; for ids in three channels see `values.grey_masks`.
    painted = [stats for stats in masks if stats.painted and not stats.mask_mode.endswith(GREY)]
    numbered = [f for f in masks if not f.painted and not f.mask_mode.endswith(TRIPLED)]
    found = []
    if painted and numbered:
        fewer = min((painted, numbered), key=len)
        kind = "painted in colours" if fewer is painted else "of numbers"
        found.append(
            Finding(
                "mask_modes",
                "warning",
                f"{len(fewer)} of {len(masks)} masks are {kind}, unlike the others ({_modes(masks)})",
                "make sure that both mean the same; better export all masks in one way",
                tuple(f"{stats.sample.mask} ({stats.mask_mode})" for stats in fewer),
                pictures_of(fewer),
            )
        )
    clear = [stats for stats in masks if stats.mask_mode.partition(",")[0] in _ALPHA]
    if clear:
        found.append(
            Finding(
                "mask_alpha",
                "warning",
                f"{len(clear)} masks have an alpha channel, which is not looked at",
                "save them without alpha; half-transparent edges may hide colours that mean nothing",
                tuple(f"{stats.sample.mask} ({stats.mask_mode})" for stats in clear),
                pictures_of(clear),
            )
        )
    return found


def lossy_masks(samples: Sequence[SampleStats]) -> list[Finding]:
    """JPEG and lossy WebP change values; where they left the scheme that is an error, else doubtful."""
    lossy = [stats for stats in samples if is_lossy(stats)]
    if not lossy:
        return []
    broken = [stats for stats in lossy if stats.unknown]
    text = f"{len(lossy)} masks are JPEG or lossy WebP files, whose compression changes the labels"
    if broken:
        text += f"; {len(broken)} of them hold values outside the label scheme"
    return [
        Finding(
            "lossy_mask",
            "error" if broken else "warning",
            text,
            "export them anew as PNG from where they were drawn; to save these as PNG mends nothing",
            tuple(
                f"{stats.sample.mask}"
                + (f": {len(stats.unknown)} values that mean nothing" if stats.unknown else "")
                for stats in sorted(lossy, key=lambda stats: not stats.unknown)
            ),
            pictures_of(broken or lossy),
        )
    ]


def is_lossy(stats: SampleStats) -> bool:
    """Whether the mask is stored in a form that does not keep its values."""
    return stats.mask_lossy or PurePosixPath(stats.sample.mask or "").suffix.lower() in _JPEG


def image_modes(samples: Sequence[SampleStats]) -> list[Finding]:
    """Grey images among coloured ones are doubtful, and so are colours for print."""
    images = [stats for stats in samples if stats.image_mode]
    kinds: dict[str, list[SampleStats]] = {}
    for stats in images:
        kinds.setdefault(_pixel_kind(stats.image_mode), []).append(stats)
    found = []
    if len(kinds) > 1:
        fewer = [f for kind in sorted(kinds, key=lambda k: len(kinds[k]))[:-1] for f in kinds[kind]]
        found.append(
            Finding(
                "image_modes",
                "warning",
                f"{len(fewer)} of {len(images)} images are not of the kind of the others "
                f"({_modes(images, masks=False)})",
                "make sure that they belong here; grey images are used with three equal channels",
                tuple(f"{stats.sample.image} ({stats.image_mode})" for stats in fewer),
                pictures_of(fewer),
            )
        )
    found += about(
        (f.sample.image for f in images if f.image_mode == "RGBA" and _is_tiff(f)),
        "fourth_channel",
        "{n} TIFF images have a fourth channel that the file calls alpha, so it is not read",
        "if it is a measurement, such as near infrared, clear that mark (`gdal_edit.py -colorinterp_4 "
        "undefined FILE`)",
        severity="warning",
    )
    print_colours = [stats for stats in images if stats.image_mode == "CMYK"]
    if print_colours:
        found.append(
            Finding(
                "print_colours",
                "warning",
                f"{len(print_colours)} images hold colours for print (CMYK), converted without a profile",
                "save them as RGB with the programme that made them",
                tuple(stats.sample.image for stats in print_colours),
                pictures_of(print_colours),
            )
        )
    return found


def _is_tiff(stats: SampleStats) -> bool:
    return PurePosixPath(stats.sample.image).suffix.lower() in (".tif", ".tiff")


def _pixel_kind(mode: str) -> str:
    return "grey" if mode in _GREY else "colour" if mode in _COLOUR else mode


def _modes(samples: Sequence[SampleStats], masks: bool = True) -> str:
    counts = Counter(stats.mask_mode if masks else stats.image_mode for stats in samples)
    return ", ".join(f"{count} {mode}" for mode, count in counts.most_common())
