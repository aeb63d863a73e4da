"""MMSegmentation's layout.

    img_dir/train/NAME.jpg, ann_dir/train/NAME.png, and the same in val/ and test/

Source: https://mmsegmentation.readthedocs.io/en/latest/advanced_guides/add_datasets.html. Masks hold ids;
255 is void, MMSegmentation's `ignore_index`. The names of the classes stand in Python code there; here they
come from classes.txt, classes.csv or labelmap.txt in the export, and without one each value becomes a
class without a name. Images without a mask are left out.
"""

from segpipe.importing.class_files import listed_classes
from segpipe.importing.contents import Contents, split_named
from segpipe.importing.mask_files import add_pairs, below
from segpipe.importing.tree import ExportTree

_IMAGES, _MASKS = "img_dir", "ann_dir"


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    masks = tree.inside(_MASKS)
    return (
        f"{_IMAGES}/ and {len(masks)} masks in {_MASKS}/" if masks and tree.inside(_IMAGES) else ""
    )


def read(tree: ExportTree) -> Contents:
    """Return images, masks and classes."""
    classes = listed_classes(tree)
    contents = Contents(classes=classes or [], open_classes=classes is None)
    images = below(tree.inside(_IMAGES), _IMAGES)
    listed = {name: (split_named(name.rpartition("/")[0]), place) for name, place in images.items()}
    add_pairs(tree, contents, listed, below(tree.inside(_MASKS), _MASKS))
    return contents
