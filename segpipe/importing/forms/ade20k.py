"""ADE20K as in the scene parsing challenge (ADEChallengeData2016).

    images/training/NAME.jpg, annotations/training/NAME.png, and the same in validation/
    objectInfo150.txt        Idx, Ratio, Train, Val, Stuff, Name, separated by tabs

Source: https://github.com/CSAILVision/sceneparsing, README. Value 0 is what none of the classes is, and
void; 1..150 are the lines of the table. Without it the values become classes without names.
"""

from segpipe.importing.contents import Contents, ExportClass, split_word
from segpipe.importing.mask_files import add_pairs, below
from segpipe.importing.tree import ExportTree
from segpipe.runtime.errors import DataError, excerpt

_TABLES = ("objectInfo150.txt", "objectInfo150.csv")


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    masks = [
        one
        for one in tree.inside("annotations")
        if one.endswith(".png") and _split(one, "annotations") is not None
    ]
    return f"{len(masks)} masks in annotations/training/" if masks and tree.inside("images") else ""


def _split(place: str, folder: str) -> str | None:
    parts = place.split("/")
    after = parts[parts.index(folder) + 1]
    return split_word(after) if after in ("training", "validation") else None


def read(tree: ExportTree) -> Contents:
    """Return images, masks and classes."""
    contents = Contents(classes=[ExportClass(0, "void", (0, 0, 0), counts=False)])
    tables = [place for name in _TABLES for place in tree.named(name)]
    if tables:
        separator = "," if tables[0].endswith(".csv") else "\t"
        for line in tree.read_text(tables[0]).splitlines()[1:]:
            cells = [cell.strip() for cell in line.split(separator)]
            if not line.strip():
                continue
            if not cells[0].isdecimal() or len(cells) < 6:
                raise DataError(f"{tables[0]}: {excerpt(line)} is no line of the table")
            name = separator.join(cells[5:]).strip('"').split(";")[0].split(",")[0].strip()
            contents.classes.append(ExportClass(int(cells[0]), name))
    contents.open_classes = not tables
    images = below(tree.inside("images"), "images")
    listed = {name: (_split(place, "images"), place) for name, place in images.items()}
    add_pairs(tree, contents, listed, below(tree.inside("annotations"), "annotations"))
    return contents
