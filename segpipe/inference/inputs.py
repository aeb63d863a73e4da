"""What the words after `segpipe predict` name: files, folders, patterns, URLs, films and cameras."""

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segpipe.inference.download import download, is_url, names_of, public_text
from segpipe.inference.film import FILM_SUFFIXES
from segpipe.inference.find import Found, find
from segpipe.raw.reader import Reader
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError, ParameterError, listing

_CAMERA = re.compile(r"webcam:(\d+)")
_MAGIC = re.compile(r"[*?[]")


@dataclass
class Inputs:
    """What is to be predicted.

    places: of each file, or folder of a tile, its path below the output folder, with its suffix.
    films: likewise. cameras: their numbers. found: what was found at the files and folders that were
    named. unreadable: a line for each folder or URL that could not be read.
    """

    places: dict[Path, Path] = field(default_factory=dict)
    films: dict[Path, Path] = field(default_factory=dict)
    cameras: list[int] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def gather(words: Sequence[str], reader: Reader, out: Path, downloads: Path) -> Inputs:
    """Return what `words` name; images at URLs are downloaded into the existing folder `downloads`.

    A word is a file, a folder, a pattern that the shell has left alone ("photos/**/*.jpg"), an http or
    https URL of a picture, a film by its suffix, or webcam:0. What exists is never taken as a pattern.
    Paths below the output folder are relative to what was named (of a pattern: to the folders before
    the first *, ? or [); where that are several folders, to the folder that holds them all. out: what
    predict wrote there before is no input.

    Raises DataError when a word names nothing, or no image is left; ParameterError for an odd word.
    """
    inputs, urls = Inputs(), []
    for word in words:
        if camera := _CAMERA.fullmatch(word):
            inputs.cameras.append(int(camera[1]))
        elif is_url(word):
            urls.append(word)
        elif _MAGIC.search(word) and not os.path.lexists(word):
            inputs.found.append(_matching(word, reader))
        elif _is_film(Path(word)):
            inputs.found.append(Found(Path(word).parent, films=[Path(word)]))
        else:
            inputs.found.append(find(reader, Path(word), out))
    _place(inputs)
    inputs.unreadable += [line for found in inputs.found for line in found.unreadable]
    _download(list(dict.fromkeys(urls)), reader, downloads, inputs)
    if not (inputs.places or inputs.films or inputs.cameras):
        raise DataError(f"no image could be read:\n{listing(inputs.unreadable)}")
    return inputs


def _is_film(path: Path) -> bool:
    return path.suffix.lower() in FILM_SUFFIXES and path.is_file()


def _matching(pattern: str, reader: Reader) -> Found:
    """Return the images and films that a pattern fits; folders are entered by ** alone."""
    parts = Path(pattern).parts
    fixed = next(place for place, part in enumerate(parts) if _MAGIC.search(part))
    found = Found(Path(*parts[:fixed]))
    # Unlike Path.glob it takes absolute patterns, and ** for files as well in every version.
    for path in sorted(map(Path, glob.glob(pattern, recursive=True))):  # noqa: PTH207
        if (path.is_dir() if reader.folders else path.is_file()) and reader.is_input(path):
            found.paths.append(path)
        elif _is_film(path):
            found.films.append(path)
        elif not path.is_dir():
            found.pass_over(path)
    if not (found.paths or found.films):
        others = f"; what fits: {found.left_out()}" if found.passed_over else ""
        raise DataError(f"{pattern}: no {reader.unit} fits this pattern{others}")
    return found


def _place(inputs: Inputs) -> None:
    """Set the paths below the output folder of what was found; what was named twice counts once."""
    roots = {_whole(found.root) for found in inputs.found}
    root = os.path.commonpath(roots) if roots else ""
    seen: set[str] = set()
    for found in inputs.found:
        for paths, places in ((found.paths, inputs.places), (found.films, inputs.films)):
            for path in paths:
                whole = _whole(path)
                if whole not in seen:
                    seen.add(whole)
                    places[path] = Path(os.path.relpath(whole, root))


def _whole(path: Path) -> str:
    """Return the absolute path without "..", links as they are: names come from what a person wrote."""
    return os.path.abspath(path)  # noqa: PTH100 - resolve() follows links


def _download(urls: list[str], reader: Reader, folder: Path, inputs: Inputs) -> None:
    """Add the pictures at `urls`; each is read once at once, so that a fault names its URL."""
    if urls and (reader.on_earth or reader.folders):
        raise ParameterError(
            f"URLs are of pictures, and this model reads {reader.unit}s; download them first"
        )
    names = names_of(urls)
    taken = {str(place) for place in inputs.places.values()}
    for url in progress(urls, "download", "image", delay=2.0) if urls else ():
        # A file of the same name that was named too keeps it.
        name = names[url] if names[url] not in taken else f"url-{names[url]}"
        target = folder / name
        try:
            download(url, target)
            reader.read_image(target)
        except DataError as error:
            cause = str(error).removeprefix(f"{target}: ")
            shown = public_text(url)
            inputs.unreadable.append(cause if cause.startswith(shown) else f"{shown}: {cause}")
        else:
            inputs.places[target] = Path(name)
