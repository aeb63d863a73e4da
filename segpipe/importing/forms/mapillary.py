"""Mapillary Vistas 1.2 and 2.0.

    config_v2.0.json                     labels: readable, name, color, evaluate
    training/images/NAME.jpg, training/v2.0/labels/NAME.png, and the same in validation/
    testing/images/NAME.jpg

Source: https://www.mapillary.com/dataset/vistas, README of the data set. A value of a label picture is the
label's place in the file, from 0 on. Labels that are not evaluated are void. Of several versions the
last is read.
"""

from segpipe.importing.contents import Contents, ExportClass, malformed_explained, split_word
from segpipe.importing.mask_files import add_pairs, below
from segpipe.importing.tree import ExportTree
from segpipe.runtime.errors import file_named


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    config = _config(tree)
    return f"{config} and training/images/" if config and _images(tree) else ""


def _config(tree: ExportTree) -> str:
    return max(
        (one for one in tree.files if one.startswith("config") and one.endswith(".json")),
        default="",
    )


def _images(tree: ExportTree) -> list[str]:
    return [one for one in tree.inside("images") if split_word(one.split("/")[0])]


def read(tree: ExportTree) -> Contents:
    """Return images, masks and classes."""
    config = _config(tree)
    version = config.removeprefix("config_").removesuffix(".json")
    contents = Contents()
    with file_named(config), malformed_explained():
        for number, label in enumerate(tree.json(config)["labels"]):
            red, green, blue = (int(channel) for channel in label["color"])
            name = str(label.get("readable") or label["name"])
            evaluated = bool(label.get("evaluate", True))
            contents.classes.append(ExportClass(number, name, (red, green, blue), evaluated))
    labels = tree.inside("labels")
    of_version = [one for one in labels if f"/{version}/labels/" in one]
    masks = below(of_version or labels, "labels")
    masks = {name.replace(f"/{version}/", "/"): place for name, place in masks.items()}
    images = {
        name: (split_word(place.split("/")[0]), place)
        for name, place in below(_images(tree), "images").items()
    }
    add_pairs(tree, contents, images, masks)
    return contents
