"""The zoo: data sets that are broken in one way each, and what must be said of them.

Each animal is built from a sound data set by a small function; `sound` itself is in the zoo too.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.forge import CLASSES_CSV, make_folder, save, scene
from tests.raw.pictures.made import write_deep_png, write_tiff

TRAIN, VAL = 8, 6
FIRST = "train/drive0_000.png"
SECOND = "train/drive1_001.png"
VAL_FIRST = "val/drive0_000.png"
COLOURS = np.array([[70, 130, 180], [128, 64, 128], [0, 0, 142]] + [[0, 0, 0]] * 7, np.uint8)


@dataclass(frozen=True)
class Animal:
    """A broken data set and its expected finding.

    build: breaks the sound data set in the folder that it is given. piece: a part of the message.
    named: parts of the items, each of which must be there; others: parts that must not be.
    also: kinds of further findings that follow from the same fault.
    changes: parameters, by dotted key with dots written as `__`.
    """

    name: str
    build: Callable[[Path], None]
    kind: str
    severity: str
    piece: str
    named: tuple[str, ...] = ()
    others: tuple[str, ...] = (VAL_FIRST,)
    also: frozenset[str] = frozenset()
    changes: dict[str, Any] = field(default_factory=dict)


def sound(root: Path) -> Path:
    """A data set with nothing to complain of."""
    return make_folder(root, train=TRAIN, val=VAL)


def _image(root: Path, name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(root / "images" / name))


def _mask(root: Path, name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(root / "masks" / name)).copy()


def _each_mask(root: Path, change: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> None:
    for path in sorted((root / "masks").rglob("*.png")):
        save(path, change(np.asarray(Image.open(path)).copy()))


# --- names -------------------------------------------------------------------------------------


def no_mask(root: Path) -> None:
    (root / "masks" / FIRST).unlink()


def no_image(root: Path) -> None:
    (root / "images" / FIRST).unlink()


def masks_with_an_ending(root: Path) -> None:
    for path in sorted((root / "masks").rglob("*.png")):
        path.rename(path.with_name(f"{path.stem}_mask.png"))


def cityscapes_endings(root: Path) -> None:
    for part, ending in (("images", "leftImg8bit"), ("masks", "gtFine_labelIds")):
        for path in sorted((root / part).rglob("*.png")):
            path.rename(path.with_name(f"{path.stem}_{ending}.png"))


def other_case(root: Path) -> None:
    path = root / "masks" / FIRST
    path.rename(path.with_name("Drive0_000.png"))


def other_normalisation(root: Path) -> None:
    for part, name in (("images", "stra\u00dfe_\u00e4.png"), ("masks", "stra\u00dfe_a\u0308.png")):
        (root / part / FIRST).rename(root / part / "train" / name)


def masks_without_folders(root: Path) -> None:
    path = root / "masks" / FIRST
    path.rename(root / "masks" / "drive0_000.png")
    (root / "masks" / VAL_FIRST).rename(root / "masks/val/only.png")
    (root / "images" / VAL_FIRST).rename(root / "images/val/only.png")


def twins(root: Path) -> None:
    Image.fromarray(_image(root, FIRST)).save(root / "images/train/drive0_000.jpg")


def strays(root: Path) -> None:
    save(root / "images/extra/one.png", scene(90)[0])
    save(root / "masks/extra/one.png", scene(90)[1])


def other_formats(root: Path) -> None:
    save(root / "images/train/more.gif", scene(90)[0])
    (root / "images/Thumbs.db").write_bytes(b"")


def torn_drives(root: Path) -> None:
    """Sound but for the pattern, under which each drive stands in both splits."""


def nameless_group(root: Path) -> None:
    for part in ("images", "masks"):
        (root / part / FIRST).rename(root / part / "train/walk.png")


def faulty_lists(root: Path) -> None:
    names = sorted(path.stem for path in (root / "images/train").iterdir())
    listed = [f"train/{name}" for name in names]
    (root / "train.txt").write_text("\n".join([*listed[:6], "train/gone"]))
    (root / "val.txt").write_text("\n".join(listed[5:]))


def empty_validation(root: Path) -> None:
    for part in ("images", "masks"):
        for path in (root / part / "val").iterdir():
            path.unlink()


def few_validation_images(root: Path) -> None:
    for part in ("images", "masks"):
        for path in sorted((root / part / "val").iterdir())[3:]:
            path.unlink()


# --- files -------------------------------------------------------------------------------------


def cut_image(root: Path) -> None:
    path = root / "images" / FIRST
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty_image(root: Path) -> None:
    (root / "images" / FIRST).write_bytes(b"")


def text_for_a_mask(root: Path) -> None:
    (root / "masks" / FIRST).write_text("<html>404</html>")


def deep_image(root: Path) -> None:
    save(root / "images" / FIRST, _image(root, FIRST)[..., 0].astype(np.uint16) * 200)


def deep_colours(root: Path) -> None:
    """What a camera of 12 bits writes; Pillow reads it as 8 bits, without a word."""
    write_deep_png(root / "images" / FIRST, _image(root, FIRST).astype(np.uint16) * 16)


def deep_painted_mask(root: Path) -> None:
    mask = _mask(root, FIRST)[..., None] * np.array([257, 1, 3])
    write_deep_png(root / "masks" / FIRST, mask.astype(np.uint16))


def program_for_an_image(root: Path) -> None:
    (root / "images" / FIRST).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def pages(root: Path) -> None:
    """An animation and, under the name of a PNG, a stack of pages."""
    image, mask = Image.fromarray(_image(root, FIRST)), _mask(root, SECOND)
    image.save(root / "images" / FIRST, save_all=True, append_images=[image.rotate(180)])
    write_tiff(root / "masks" / SECOND, *[mask[..., None]] * 3, photometric=1)


def dangling_link(root: Path) -> None:
    (root / "images" / FIRST).unlink()
    (root / "images" / FIRST).symlink_to(root / "nowhere.png")


def smaller_mask(root: Path) -> None:
    save(root / "masks" / FIRST, _mask(root, FIRST)[::2, ::2])


def turned_mask(root: Path) -> None:
    save(root / "masks" / FIRST, np.rot90(_mask(root, FIRST)))


def turned_by_exif(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_image(root, FIRST)).save(root / "images" / FIRST, exif=exif)


def one_grey_image(root: Path) -> None:
    Image.fromarray(_image(root, FIRST)).convert("L").save(root / "images" / FIRST)


def print_colours(root: Path) -> None:
    for part, suffix in (("images", ".jpg"), ("masks", ".png")):
        (root / part / FIRST).rename(root / part / f"train/printed{suffix}")
    path = root / "images/train/printed.jpg"
    with Image.open(path) as picture:
        picture.convert("CMYK").save(path, format="JPEG")


def black_images(root: Path) -> None:
    save(root / "images" / FIRST, np.zeros((48, 64, 3), np.uint8))
    save(root / "images" / SECOND, np.full((48, 64, 3), 128, np.uint8))


def tiny_images(root: Path) -> None:
    for part in ("images", "masks"):
        for path in sorted((root / part).rglob("*.png")):
            save(path, np.asarray(Image.open(path))[::4, ::4])


def other_proportions(root: Path) -> None:
    image, mask = scene(91, 48, 160)
    save(root / "images" / FIRST, image)
    save(root / "masks" / FIRST, mask)


def copied_image(root: Path) -> None:
    save(root / "images" / VAL_FIRST, _image(root, SECOND))
    save(root / "masks" / VAL_FIRST, _mask(root, SECOND))


def mirrored_copy(root: Path) -> None:
    save(root / "images" / VAL_FIRST, _photo()[:, ::-1])
    save(root / "images" / SECOND, _photo())


def recoloured_copy(root: Path) -> None:
    brighter = 255 * (_photo() / 255) ** 0.7
    save(root / "images" / VAL_FIRST, brighter.astype(np.uint8))
    save(root / "images" / SECOND, _photo())


def _photo() -> NDArray[np.uint8]:
    """A picture with large areas, whose hash is no matter of single pixels."""
    random = np.random.default_rng(7)
    areas = Image.fromarray(random.integers(0, 256, (8, 9, 3)).astype(np.uint8))
    return np.asarray(areas.resize((64, 48), Image.Resampling.BICUBIC))


# --- labels ------------------------------------------------------------------------------------


def strange_value(root: Path) -> None:
    mask = _mask(root, FIRST)
    mask[5:8, 5] = 77
    save(root / "masks" / FIRST, mask)


def binary_mask(root: Path) -> None:
    _each_mask(root, lambda mask: np.where(mask == 0, 0, 255).astype(np.uint8))


def binary_of_two(root: Path) -> None:
    lines = CLASSES_CSV.splitlines(keepends=True)
    (root / "classes.csv").write_text("".join([*lines[:3], lines[4]]))
    binary_mask(root)


def _three_classes(root: Path, change: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> None:
    (root / "three.csv").write_text("".join(CLASSES_CSV.splitlines(keepends=True)[:4]))
    _each_mask(root, lambda mask: change(np.where(mask == 9, 1, mask)).astype(np.uint8))


def ids_from_one(root: Path) -> None:
    _three_classes(root, lambda mask: mask + 1)


def grey_ramp(root: Path) -> None:
    _three_classes(root, lambda mask: np.array([0, 127, 254])[mask])


def minus_one(root: Path) -> None:
    _each_mask(root, lambda mask: np.where(mask == 9, 255, mask).astype(np.uint8))


def train_ids(root: Path) -> None:
    """Sky 10 over road 0, pavement 1, building 2, pole 5, trees 8 and people 11, with cars 13."""

    def numbered(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        stripes = np.array([0, 1, 2, 5, 8, 11], np.uint8)[np.arange(mask.shape[1]) * 6 // 64]
        ground = np.where(mask == 2, 13, np.broadcast_to(stripes, mask.shape))
        return np.where(mask == 0, 10, ground).astype(np.uint8)

    _each_mask(root, numbered)


def label_ids(root: Path) -> None:
    """Sky 23, road 7, car 26, ego vehicle 1 in the numbers of Cityscapes' masks."""
    table = np.array([23, 7, 26] + [1] * 7, np.uint8)
    _each_mask(root, lambda mask: table[mask])


def strange_colour(root: Path) -> None:
    _each_mask(root, lambda mask: COLOURS[mask])
    painted = _mask(root, FIRST)
    painted[10:14, 20:30] = (1, 2, 3)
    save(root / "masks" / FIRST, painted)


def exchanged_channels(root: Path) -> None:
    _each_mask(root, lambda mask: COLOURS[mask][..., ::-1])


def once_a_jpeg(root: Path) -> None:
    _each_mask(root, lambda mask: COLOURS[mask])
    memory = io.BytesIO()
    Image.fromarray(_mask(root, FIRST)).save(memory, "JPEG", quality=95, subsampling=0)
    save(root / "masks" / FIRST, np.asarray(Image.open(memory)))


def numbers_in_three_channels(root: Path) -> None:
    _each_mask(root, lambda mask: np.repeat(mask[..., None], 3, axis=-1))


def greys_among_colours(root: Path) -> None:
    _each_mask(root, lambda mask: COLOURS[mask])
    save(root / "masks" / FIRST, np.full((*_mask(root, FIRST).shape[:2], 3), 1, np.uint8))


def jpeg_masks(root: Path) -> None:
    for path in sorted((root / "masks/train").iterdir())[:3]:
        painted = Image.fromarray(COLOURS[np.asarray(Image.open(path))])
        painted.save(path.with_suffix(".jpg"), quality=80)
        path.unlink()


def painted_among_numbers(root: Path) -> None:
    save(root / "masks" / FIRST, COLOURS[_mask(root, FIRST)])


def alpha_in_a_mask(root: Path) -> None:
    _each_mask(root, lambda mask: np.dstack([COLOURS[mask], np.full(mask.shape, 255, np.uint8)]))


def contradicting_palette(root: Path) -> None:
    mask = Image.fromarray(_mask(root, FIRST))
    mask.putpalette([128, 64, 128, 70, 130, 180, 0, 0, 142] + [0, 0, 0] * 7)
    mask.save(root / "masks" / FIRST)


def contradicting_single_value(root: Path) -> None:
    """Road all over by its numbers, car by its colour; white for 0, which the label file lacks."""
    mask = Image.fromarray(np.full((48, 64), 1, np.uint8))
    mask.putpalette([255, 255, 255, 0, 0, 142, 128, 64, 128])
    mask.save(root / "masks" / FIRST)


def large_numbers(root: Path) -> None:
    mask = _mask(root, FIRST).astype(np.uint16)
    mask[0, :4] = 300
    save(root / "masks" / FIRST, mask)


def float_mask(root: Path) -> None:
    path = root / "masks" / FIRST
    Image.fromarray(_mask(root, FIRST)).convert("RGB").convert("CMYK").save(
        path.with_suffix(".jpg"), quality=95
    )
    path.unlink()


def void_mask(root: Path) -> None:
    save(root / "masks" / FIRST, np.full((48, 64), 9, np.uint8))


def much_void(root: Path) -> None:
    def mostly_void(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        mask[:, :40] = 9
        mask[16:24, 40:48] = 2
        return mask

    for path in sorted((root / "masks/val").iterdir()):
        save(path, mostly_void(np.asarray(Image.open(path)).copy()))


def only_void(root: Path) -> None:
    for path in sorted((root / "masks/val").iterdir()):
        save(path, np.full((48, 64), 9, np.uint8))


def one_class_everywhere(root: Path) -> None:
    _each_mask(root, lambda mask: np.zeros_like(mask))


def flat_masks(root: Path) -> None:
    for split in ("train", "val"):
        for number, path in enumerate(sorted((root / "masks" / split).iterdir())):
            save(path, np.full((48, 64), number % 3, np.uint8))


def class_never_taught(root: Path) -> None:
    for path in sorted((root / "masks/train").iterdir()):
        mask = np.asarray(Image.open(path)).copy()
        mask[mask == 2] = 1
        save(path, mask)


def class_not_validated(root: Path) -> None:
    for path in sorted((root / "masks/val").iterdir()):
        mask = np.asarray(Image.open(path)).copy()
        mask[mask == 2] = 1
        save(path, mask)


def class_nowhere(root: Path) -> None:
    (root / "classes.csv").write_text(CLASSES_CSV + "4,tram,0,80,100\n")


ZOO = [
    Animal("no mask", no_mask, "unpaired", "error", "1 images have no mask", (f"images/{FIRST}",)),
    Animal("no image", no_image, "unpaired", "error", "have no image", (f"masks/{FIRST}",)),
    Animal("masks end in _mask", masks_with_an_ending, "unpaired", "error",
           "take `_mask` off the masks' names (14 would pair)", (f"images/{FIRST}",), (),
           frozenset({"empty_split"})),
    Animal("names of Cityscapes", cityscapes_endings, "unpaired", "error",
           "take `_gtFine_labelIds` off the masks' names and `_leftImg8bit` off the images' names",
           ("images/train/drive0_000_leftImg8bit.png",), (), frozenset({"empty_split"})),
    Animal("another case", other_case, "unpaired", "error", "write both names in the same case",
           (f"images/{FIRST}: differs from masks/train/Drive0_000.png only in case",)),
    Animal("another normalisation", other_normalisation, "unpaired", "error",
           "same Unicode normalisation (NFC)", ("images/train/stra\u00dfe_\u00e4.png: differs",)),
    Animal("masks in no subfolder", masks_without_folders, "unpaired", "error",
           "same subfolders as images/", (f"images/{FIRST}: differs from masks/drive0_000.png",)),
    Animal("twins", twins, "name_twice", "error", "1 base names appear twice among the images",
           ("images/train/drive0_000.jpg and images/train/drive0_000.png",)),
    Animal("outside the splits", strays, "outside_splits", "error", "1 images are not in images/train",
           ("extra/one",)),
    Animal("other formats", other_formats, "ignored_files", "warning", "(1 .db, 1 .gif)",
           ("images/train/more.gif", "images/Thumbs.db")),
    Animal("drives in two splits", torn_drives, "torn_group", "error", "2 groups",
           ("drive0: train, val", "drive1: train, val"),
           changes={"prepare__split__group": "^(drive[0-9])_"}),
    Animal("a name without group", nameless_group, "no_group", "error", "finds no group in 1 names",
           ("train/walk",), also=frozenset({"torn_group"}),
           changes={"prepare__split__group": "^(drive[0-9])_"}),
    Animal("lists that contradict", faulty_lists, "lists", "error", "wrong with the lists",
           ("train.txt: train/gone is not among the images", "is in train.txt too"), (VAL_FIRST,),
           frozenset({"unlisted", "few_samples"}), {"prepare__split__by": "lists"}),
    Animal("nothing to validate on", empty_validation, "empty_split", "error",
           "the split val is empty (train 8, val 0, test 0 samples)", ("val",)),
    Animal("hardly anything to validate on", few_validation_images, "few_samples", "warning",
           "hardly any images", ("val: 3",)),
    Animal("a cut image", cut_image, "unreadable", "error", "1 files cannot be read",
           (f"images/{FIRST}: cannot be read as a picture",)),
    Animal("an empty file", empty_image, "unreadable", "error", "1 files cannot be read",
           (f"images/{FIRST}",)),
    Animal("a page for a mask", text_for_a_mask, "unreadable", "error", "1 files cannot be read",
           (f"masks/{FIRST}",)),
    Animal("16 bits", deep_image, "unreadable", "error", "1 files cannot be read",
           (f"images/{FIRST}: has pixels of kind I;16",)),
    Animal("16 bits of colours", deep_colours, "unreadable", "error", "1 files cannot be read",
           (f"images/{FIRST}: has 16 bits a channel",)),
    Animal("16 bits of a painted mask", deep_painted_mask, "unreadable", "error",
           "1 files cannot be read", (f"masks/{FIRST}: has 16 bits a channel",)),
    Animal("a program for an image", program_for_an_image, "unreadable", "error",
           "1 files cannot be read", (f"images/{FIRST}: cannot be read as a picture: it is a PostScript",)),
    Animal("pages", pages, "further_pages", "warning", "2 files hold further pages or frames",
           (f"images/{FIRST}: 1 further page", f"masks/{SECOND}: 2 further pages")),
    Animal("a link to nowhere", dangling_link, "unreachable", "error",
           "1 links or folders cannot be followed",
           (f"images/{FIRST} -> ", "nowhere.png: No such file or directory"), (),
           frozenset({"unpaired"})),
    Animal("a mask of half the size", smaller_mask, "size_differs", "error", "not of their image's size",
           (f"images/{FIRST} is 48x64, masks/{FIRST} is 24x32",)),
    Animal("a mask on its side", turned_mask, "turned", "error", "lie on their side",
           (f"images/{FIRST} is 48x64, masks/{FIRST} is 64x48",)),
    Animal("an image turned by its mark", turned_by_exif, "turned", "error", "(EXIF)",
           (f"images/{FIRST} is 64x48, masks/{FIRST} is 48x64",), also=frozenset({"distorted"})),
    Animal("a grey image", one_grey_image, "image_modes", "warning", "1 of 14 images",
           (f"images/{FIRST} (L)",)),
    Animal("colours for print", print_colours, "print_colours", "warning", "(CMYK)",
           ("images/train/printed.jpg",)),
    Animal("black and grey", black_images, "featureless", "warning", "2 images show nothing",
           (f"images/{FIRST}: mean brightness 0.000", f"images/{SECOND}: mean brightness 0.5")),
    Animal("tiny images", tiny_images, "enlarged", "warning", "14 images are much smaller",
           (f"images/{FIRST} is 12x16",), ()),
    Animal("other proportions", other_proportions, "distorted", "warning", "very different proportions",
           (f"images/{FIRST} is 48x160",)),
    Animal("a copy in validation", copied_image, "near_duplicate", "warning", "1 images look like one",
           ("train/drive1_001 and val/drive0_000: the same picture",), ()),
    Animal("a mirrored copy", mirrored_copy, "near_duplicate", "warning", "1 images look like one",
           ("train/drive1_001 and val/drive0_000: nearly the same picture", ", mirrored"), ()),
    Animal("a recoloured copy", recoloured_copy, "near_duplicate", "warning", "1 images look like one",
           ("train/drive1_001 and val/drive0_000: nearly the same picture",), (", mirrored",)),
    Animal("a strange value", strange_value, "unknown_value", "error", "map: {77: void}",
           (f"masks/{FIRST}: value 77 in 3 pixels",)),
    Animal("0 and 255", binary_mask, "unknown_value", "error", "the values 0 and 255 look binary",
           (f"masks/{FIRST}: value 255 in",), ()),
    Animal("0 and 255 of two classes", binary_of_two, "unknown_value", "error",
           "`map: {255: road}` under labels", (f"masks/{FIRST}: value 255 in",), ()),
    Animal("ids from 1", ids_from_one, "unknown_value", "error", "look like ids that start at 1",
           (f"masks/{FIRST}: value 3 in",), (),
           changes={"labels__scheme": "three.csv"}),
    Animal("a grey ramp", grey_ramp, "unknown_value", "error", "look like a grey ramp",
           (f"masks/{FIRST}: value 127 in",), (),
           changes={"labels__scheme": "three.csv"}),
    Animal("-1 as 255", minus_one, "unknown_value", "error", "255 looks like void, or -1",
           (f"masks/{FIRST}: value 255 in",), ()),
    Animal("train ids for label ids", train_ids, "swapped_ids", "warning",
           "set `scheme: cityscapes19_trainids` under labels", (), (),
           frozenset({"absent_everywhere", "much_void"}),
           {"labels__scheme": "cityscapes19"}),
    Animal("label ids for train ids", label_ids, "unknown_value", "error",
           "set `scheme: cityscapes19` under labels", (f"masks/{FIRST}: value 26 in",), (),
           changes={"labels__scheme": "cityscapes19_trainids"}),
    Animal("a strange colour", strange_colour, "unknown_colour", "error", "CSV or YAML file of the labels",
           (f"masks/{FIRST}: colour 1,2,3 in 40 pixels",)),
    Animal("blue, green, red", exchanged_channels, "unknown_colour", "error",
           "red and blue exchanged", (f"masks/{FIRST}: colour 180,130,70 in",), ()),
    Animal("colours of a JPEG saved as PNG", once_a_jpeg, "unknown_colour", "error",
           "as JPEG or resizing leaves them", (f"masks/{FIRST}: colour ",)),
    Animal("greys among colours", greys_among_colours, "grey_masks", "error",
           "save these masks as one channel", (f"masks/{FIRST} (RGB, three equal channels of ids)",)),
    Animal("JPEG masks", jpeg_masks, "lossy_mask", "error", "compression changes the labels",
           ("masks/train/drive0_000.jpg: ",), also=frozenset({"mask_modes"})),
    Animal("colours among numbers", painted_among_numbers, "mask_modes", "warning",
           "1 of 14 masks are painted in colours", (f"masks/{FIRST} (RGB)",)),
    Animal("alpha", alpha_in_a_mask, "mask_alpha", "warning", "14 masks have an alpha channel",
           (f"masks/{FIRST} (RGBA)",), ()),
    Animal("a palette that contradicts", contradicting_palette, "unreadable", "error", "cannot be read",
           ("value 0 means sky, but its palette paints it like road",)),
    Animal("a palette of one value that contradicts", contradicting_single_value, "unreadable", "error",
           "cannot be read", ("value 1 means road, but its palette paints it like car",)),
    Animal("numbers above 255", large_numbers, "unknown_value", "error", "300",
           (f"masks/{FIRST}: value 300 in 4 pixels",)),
    Animal("a mask in colours for print", float_mask, "unreadable", "error", "cannot be read",
           ("masks/train/drive0_000.jpg: is of kind CMYK",), also=frozenset({"lossy_mask"})),
    Animal("a mask of void", void_mask, "void_mask", "warning", "void all over", (f"masks/{FIRST}",)),
    Animal("much void", much_void, "much_void", "warning", "of the pixels of val are void",
           (f"masks/{VAL_FIRST}: ",), (FIRST,)),
    Animal("a split of void", only_void, "only_void", "error", "every pixel of the masks of val is void",
           ("val/drive0_000",), (FIRST,)),
    Animal("one class everywhere", one_class_everywhere, "one_class", "error",
           "all 14 masks show the class sky", ("sky",), (), frozenset({"absent_everywhere"})),
    Animal("one class a mask", flat_masks, "flat_masks", "warning", "show one class each",
           (f"masks/{FIRST}: sky", f"masks/{VAL_FIRST}: sky"), ()),
    Animal("a class that is never taught", class_never_taught, "untaught_class", "warning",
           "never seen in training", ("car",)),
    Animal("a class that is not validated", class_not_validated, "class_absent", "warning",
           "in no mask of val", ("car",)),
    Animal("a class that is nowhere", class_nowhere, "absent_everywhere", "warning",
           "1 of 4 classes are in no mask", ("tram",)),
    Animal("a batch above the split", torn_drives, "large_batch", "warning",
           "train.batch_size is 32, but the training split has 8 samples",
           changes={"train__batch_size": 32}),
]  # fmt: skip
