"""Pascal VOC, and CVAT's "Segmentation mask 1.1", which is made after it.

    labelmap.txt                        name:red,green,blue:parts:actions, of CVAT alone
    JPEGImages/NAME.jpg                 or anywhere: CVAT leaves the images out unless told otherwise
    SegmentationClass/NAME.png          painted in these colours, or a palette of them
    ImageSets/Segmentation/train.txt    a name a line; CVAT: default.txt, or one for each subset

Sources: https://docs.cvat.ai/docs/dataset_management/formats/format-smask;
http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf, sections 2 and 10.2. The line of a class
in labelmap.txt is its id, from 0 on. Without the file there are VOC's 21 classes; 255, VOC's border, is
void. Images without a mask are left out: VOC has masks for few of its images.
"""

import posixpath
from collections.abc import Iterable
from functools import partial
from pathlib import PurePosixPath

from segpipe.importing.class_files import listed_classes
from segpipe.importing.contents import Contents, ExportClass, collected, split_word
from segpipe.importing.mask_files import add_pairs, below, painted_or_numbers
from segpipe.importing.tree import ExportTree
from segpipe.labels.scheme import Colour

_VOC = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse "
    "motorbike person pottedplant sheep sofa train tvmonitor"
)
_MASKS, _OBJECTS = "SegmentationClass", "SegmentationObject"


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    masks = tree.inside(_MASKS)
    return f"{len(masks)} masks in {_MASKS}/" if masks else ""


def read(tree: ExportTree) -> Contents:
    """Return images, masks and classes."""
    contents = Contents(classes=listed_classes(tree) or _voc_classes())
    splits = _splits(tree, contents)
    masks = below(tree.inside(_MASKS), _MASKS)
    images = below(tree.inside("JPEGImages"), "JPEGImages") or _images_elsewhere(tree, masks)
    listed = {name: (splits.get(name), place) for name, place in images.items()}
    if splits:
        strays = [place for name, place in images.items() if name in masks and name not in splits]
        if strays:
            contents.notes.append(
                f"{len(strays)} images are in no list of ImageSets/Segmentation and left out"
            )
        listed = {name: one for name, one in listed.items() if name in splits}
        masks = {name: place for name, place in masks.items() if name in splits}
        contents.faults += [
            f"{name}: is listed, but there is no image of it"
            for name in sorted(splits)
            if name not in images
        ]
    add_pairs(tree, contents, listed, masks, partial(painted_or_numbers, classes=contents.classes))
    return contents


def _images_elsewhere(tree: ExportTree, masks: Iterable[str]) -> dict[str, str]:
    """Return images by name that somebody has put beside an export of masks alone."""
    found = {}
    for name in masks:
        near = tree.by_stem[posixpath.basename(name)]
        fits = [place for place in near if not {_MASKS, _OBJECTS} & set(place.split("/"))]
        if len(fits) == 1:
            found[name] = fits[0]
    return found


def _splits(tree: ExportTree, contents: Contents) -> dict[str, str]:
    """Return the split by name; empty where no list is called train, val or test."""
    found: dict[str, str] = {}
    for place in tree.ending(".txt"):
        path = PurePosixPath(place)
        split = split_word(path.stem)
        if split is None or path.parts[-3:-1] != ("ImageSets", "Segmentation"):
            continue
        base = "".join(f"{part}/" for part in path.parts[:-3])
        with collected(contents.faults, place):
            for line in tree.read_text(place).split("\n"):
                name = f"{base}{line.strip()}"
                if line.strip() and found.setdefault(name, split) != split:
                    contents.faults.append(f"{place}: {line.strip()} is in {found[name]} too")
    return found


def _voc_classes() -> list[ExportClass]:
    return [ExportClass(place, name, _voc_colour(place)) for place, name in enumerate(_VOC.split())]


def _voc_colour(value: int) -> Colour:
    """Return a colour of VOC's palette (VOClabelcolormap.m of its development kit)."""
    red, green, blue = (
        sum((value >> 3 * place + channel & 1) << 7 - place for place in range(3))
        for channel in range(3)
    )
    return red, green, blue
