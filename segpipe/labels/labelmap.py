"""Labels as labelmap.txt, as CVAT and others write it beside masks of PASCAL VOC: NAME:R,G,B:PARTS:ACTIONS.

    # label:color_rgb:parts:actions
    background:0,0,0::
    road:128,64,128::

The ids are 0, 1, 2, ... in the order of the lines. Parts and actions are not read. A line may be a name
alone; where all are, colours are chosen.
"""

from pathlib import Path

from segpipe.labels.colours import distinct_colours, void_colour
from segpipe.labels.label_text import name_fault, quote, read_label_text
from segpipe.labels.scheme import VOID, VOID_NAMES, Colour, RawLabel


def read_labelmap(path: Path) -> tuple[list[str], list[tuple[str, RawLabel]], list[str]]:
    """Return the classes of the file, its labels, each with its line, and what is wrong with lines.

    A name of void counts nowhere. Raises DataError where the file is no text.
    """
    faults: list[str] = []
    read: list[tuple[str, str, Colour | None]] = []
    for number, line in enumerate(read_label_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, *parts = (part.strip() for part in line.split(":"))
        try:
            colour = _colour(parts[0]) if parts and parts[0] else None
        except ValueError:
            faults.append(
                f"line {number}: {quote(parts[0])} is not a colour; write 0..255,0..255,0..255"
            )
            continue
        if fault := name_fault(name):
            faults.append(f"line {number}: {fault}")
        read.append((f"line {number}", name, colour))
    if not read and not faults:
        faults.append("there is no label; write one a line, such as road:128,64,128::")
    classes = list(dict.fromkeys(name for _, name, _ in read if name.lower() not in VOID_NAMES))
    given = [colour for _, _, colour in read if colour]
    chosen = dict(zip(classes, distinct_colours(len(classes), given), strict=True))
    labels: list[tuple[str, RawLabel]] = []
    for value, (place, name, colour) in enumerate(read):
        of_void = colour or void_colour([label for _, label in labels])
        if name in chosen:
            label = RawLabel(value, name, colour or chosen[name], classes.index(name))
        else:
            label = RawLabel(value, name, of_void, VOID)
        labels.append((place, label))
    return classes, labels, faults


def _colour(text: str) -> Colour:
    """Return the colour of `128,64,128`; ValueError where it is none."""
    red, green, blue = (int(part) for part in text.split(","))
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(text)
    return red, green, blue
