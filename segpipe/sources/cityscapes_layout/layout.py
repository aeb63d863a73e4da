"""How the files of Cityscapes are named, and what each published part of it holds.

<folder>/<split>/<city>/<city>_<seq6>_<frame6>_<kind>, as in
gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png
(https://github.com/mcordts/cityscapesScripts, README, "Dataset Structure"). Copies in circulation
lack the folder of the split; there the city tells it.
"""

import re
from dataclasses import dataclass

from segpipe.raw.sample import SPLITS, Sample

# The 50 cities and the split of each: the folders of the published leftImg8bit_trainvaltest.zip and
# leftImg8bit_trainextra.zip; no city is in two of them (Cordts et al., "The Cityscapes dataset for
# semantic urban scene understanding", CVPR 2016, section 2). train_extra has coarse truth alone.
_BY_SPLIT = {
    "train": (
        "aachen bochum bremen cologne darmstadt dusseldorf erfurt hamburg hanover jena krefeld "
        "monchengladbach strasbourg stuttgart tubingen ulm weimar zurich"
    ),
    "val": "frankfurt lindau munster",
    "test": "berlin bielefeld bonn leverkusen mainz munich",
    "train_extra": (
        "augsburg bad-honnef bamberg bayreuth dortmund dresden duisburg erlangen freiburg "
        "heidelberg heilbronn karlsruhe konigswinter konstanz mannheim muhlheim-ruhr nuremberg "
        "oberhausen saarbrucken schweinfurt troisdorf wuppertal wurzburg"
    ),
}

SPLIT_OF = {city: split for split, cities in _BY_SPLIT.items() for city in cities.split()}

EXTRA_SPLIT = "train_extra"
SCORED_SPLITS = ("val", "test")  # whose clips come with the frame before them
# Published too, but neither trained on nor scored.
_OTHER_SPLITS = ("demoVideo",)
_KNOWN_SPLITS = frozenset({*SPLITS, EXTRA_SPLIT, *_OTHER_SPLITS})
_IMAGE_END = "_leftImg8bit.png"
_FRAME = re.compile(rf"(?P<drive>.*_)(?P<number>\d{{6}}){_IMAGE_END}")
# Beside the truth: which object each pixel shows.
INSTANCES_END = "_gtFine_instanceIds.png"


@dataclass(frozen=True)
class Part:
    """A part that is published as an archive of its own.

    folder: the outermost folder of its files. splits: those it is taken for. archive: the official
    name. end: of the files that samples are made of, behind their common stem.
    """

    folder: str
    splits: tuple[str, ...]
    archive: str
    end: str

    def claims(self, split: str | None) -> bool:
        """Return whether files of `split` are this part's; those of no known split are the fine ones'.

        Someone must own the strays, for otherwise nobody would hear of them.
        """
        return split in self.splits or (split not in _KNOWN_SPLITS and self.splits == SPLITS)

    def holds(self, name: str) -> bool:
        """Return whether the path `name`, with forward slashes, is a file of this part."""
        found = place(name)
        return found is not None and found.folder == self.folder and self.claims(found.split)


IMAGES = Part("leftImg8bit", SPLITS, "leftImg8bit_trainvaltest.zip", _IMAGE_END)
TRUTH = Part("gtFine", SPLITS, "gtFine_trainvaltest.zip", "_gtFine_labelIds.png")
EXTRA_IMAGES = Part("leftImg8bit", (EXTRA_SPLIT,), "leftImg8bit_trainextra.zip", _IMAGE_END)
COARSE_TRUTH = Part("gtCoarse", (EXTRA_SPLIT,), "gtCoarse.zip", "_gtCoarse_labelIds.png")
SEQUENCES = Part(
    "leftImg8bit_sequence", SPLITS, "leftImg8bit_sequence_trainvaltest.zip", _IMAGE_END
)
_END_BY_FOLDER = {
    part.folder: part.end for part in (IMAGES, TRUTH, EXTRA_IMAGES, COARSE_TRUTH, SEQUENCES)
}


@dataclass(frozen=True)
class Place:
    """What a path tells of its file; `split` is None where it has no folder and the city is unknown."""

    folder: str
    split: str | None
    city: str
    file: str
    name: str

    @property
    def stem(self) -> str | None:
        """<city>_<seq6>_<frame6> of an image or a label-id mask, None of any other file."""
        end = _END_BY_FOLDER.get(self.folder)
        if end is None or not self.file.endswith(end):
            return None
        return self.file.removesuffix(end)

    @property
    def stray(self) -> str | None:
        """The folder of a file that lies in no split, None of one that does."""
        return None if self.split in _KNOWN_SPLITS else self.name.rpartition("/")[0]


def place(name: str) -> Place | None:
    """Read a path below the data set, with forward slashes; None where it cannot be a city's file."""
    match name.split("/"):
        case [*_, file] if file.startswith("."):  # what systems leave beside the files of others
            return None
        case [folder, split, city, file]:
            return Place(folder, split, city, file, name)
        case [folder, city, file]:
            return Place(folder, split_of_folder(city), city, file, name)
    return None


def split_of_folder(folder: str) -> str | None:
    """Return the split that a folder right below a part is or, as a city, belongs to."""
    return folder if folder in _KNOWN_SPLITS else SPLIT_OF.get(folder)


def clip_stride(sample: Sample) -> int:
    """Return how many frames of the film the image of a clip lies behind the frame before it."""
    return _frame(sample.image)[1] - _frame(sample.frames[-1])[1]


def frame_before_clip(sample: Sample) -> str | None:
    """Return the path of the frame one stride before the first one of a clip.

    With it and without its image, the sample is the clip that ends one stride earlier. None where the
    drive begins too late for it.
    """
    drive, number = _frame(sample.frames[0])
    number -= clip_stride(sample)
    return f"{drive}{number:06d}{_IMAGE_END}" if number >= 0 else None


def _frame(path: str) -> tuple[str, int]:
    """Return the drive and the number in it of a frame's path, as all frames of clips are named."""
    found = _FRAME.fullmatch(path)
    assert found is not None, path
    return found["drive"], int(found["number"])
