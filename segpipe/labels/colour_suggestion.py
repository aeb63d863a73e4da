"""What may have been meant by colours of painted masks that a label scheme does not know.

All functions are pure: they judge from the colours of a whole data set and their pixels alone.
"""

from collections.abc import Mapping

from segpipe.labels.scheme import LabelScheme, RawLabel, colour_text, unpack_colour
from segpipe.labels.suggestion import Suggestion

# Lossy compression moves the channels of a flat area by a few steps; at borders it mixes colours.
_FEW_STEPS = 24
_MOST = 0.8
_NAMED = 4


def suggest_colours(scheme: LabelScheme, colours: Mapping[int, int]) -> Suggestion | None:
    """Return what unknown colours may mean, None where nothing is recognised.

    colours: the colours outside the scheme, as 0xRRGGBB, with their pixels in the whole data set.
    Recognised, where it holds for most of the pixels: channels in the order blue, green, red;
    colours a few steps from known ones, as lossy compression makes them.
    """
    most = _MOST * sum(colours.values())
    if not most:
        return None
    known = {label.colour for label in scheme.raw}
    swapped = sum(pixels for code, pixels in colours.items() if unpack_colour(code)[::-1] in known)
    if swapped >= most:
        return Suggestion(
            "the colours are those of the scheme with red and blue exchanged",
            "save the masks with their channels in the order red, green, blue (OpenCV writes and "
            "reads blue first)",
        )
    near = {code: nearest_colour(scheme, code) for code in colours}
    close = {code: (label, far) for code, (label, far) in near.items() if far <= _FEW_STEPS}
    if sum(colours[code] for code in close) < most:
        return None
    ranked = sorted(close, key=lambda code: (-colours[code], code))[:_NAMED]
    shown = ", ".join(f"{colour_text(code)} near {close[code][0].name}" for code in ranked)
    worst = max(far for _, far in close.values())
    return Suggestion(
        f"most of the colours are up to {worst} steps from known ones ({shown}), as JPEG or resizing "
        "leaves them",
        "export the masks anew as PNG, resized by nearest alone; or paint each pixel in the nearest "
        "colour of the scheme",
    )


def nearest_colour(scheme: LabelScheme, code: int) -> tuple[RawLabel, int]:
    """Return the label whose colour is nearest to 0xRRGGBB, and how far: the largest difference of
    the three channels. Of equally near ones it is the first of the scheme.
    """

    def far(label: RawLabel) -> int:
        return max(abs(a - b) for a, b in zip(label.colour, unpack_colour(code), strict=True))

    label = min(scheme.raw, key=far)
    return label, far(label)
