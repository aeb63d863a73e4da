"""The forms of exports by name (law 2), and the recognition of the one that an export has."""

from typing import Protocol

from segpipe.importing.contents import Contents
from segpipe.importing.forms import (
    ade20k,
    cityscapes,
    coco,
    coco_panoptic,
    cvat,
    image_lists,
    label_studio,
    labelme,
    mapillary,
    mmsegmentation,
    roboflow,
    supervisely,
    voc,
    yolo,
)
from segpipe.importing.known import FORMS
from segpipe.importing.tree import ExportTree
from segpipe.runtime.errors import DataError, did_you_mean, listing
from segpipe.sources.other_layouts import count_by_folder


class Form(Protocol):
    """The module of a form."""

    def evidence(self, tree: ExportTree) -> str:
        """Return which files speak for this form, "" for none."""

    def read(self, tree: ExportTree) -> Contents:
        """Return what the export holds."""


def build_form(name: str) -> Form:
    """Return the reader of a form; DataError for an unknown name."""
    match name:
        case "voc":
            return voc
        case "cvat":
            return cvat
        case "roboflow":
            return roboflow
        case "supervisely":
            return supervisely
        case "label_studio":
            return label_studio
        case "labelme":
            return labelme
        case "coco":
            return coco
        case "coco_panoptic":
            return coco_panoptic
        case "yolo":
            return yolo
        case "cityscapes":
            return cityscapes
        case "ade20k":
            return ade20k
        case "mapillary":
            return mapillary
        case "mmsegmentation":
            return mmsegmentation
        case "lists":
            return image_lists
    meant = did_you_mean(name, FORMS)
    raise DataError(
        f"--form {name}: there is no such form{f' ({meant})' if meant else ''}; known are:\n{_known()}"
    )


def recognise(tree: ExportTree) -> tuple[str, str]:
    """Return the name of an export's form, and which files speak for it.

    Raises DataError, which says what lies in the export, where the files speak for no form or for
    several.
    """
    seen = {name: said for name in FORMS if (said := build_form(name).evidence(tree))}
    if len(seen) == 1:
        return next(iter(seen.items()))
    if seen:
        several = [f"{name}: {said}" for name, said in seen.items()]
        raise DataError(
            f"{tree.root}: may be of {len(seen)} forms; say which by --form NAME:\n{listing(several)}"
        )
    folders = count_by_folder(tree.files.values(), tree.root)
    found = [f"{folder or '.'}/: {counts}" for folder, counts in folders.items()]
    raise DataError(
        f"{tree.root}: is of no form that is known; found there:\n{listing(found) or '  no file'}\n"
        f"{_own_layout(tree)}known are (--form NAME):\n{_known()}"
    )


def _own_layout(tree: ExportTree) -> str:
    if tree.inside("images") and tree.inside("masks"):
        return "images/ and masks/ need no import: set source.path in params.yaml to the folder; "
    return ""


def _known() -> str:
    return listing([f"{name}: {what}" for name, what in FORMS.items()], shown=len(FORMS))
