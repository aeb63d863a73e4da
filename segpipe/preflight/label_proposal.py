"""The label scheme of a data set; where its file is missing, what a file for its masks would hold."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from segpipe.dataset.subset import evenly_spaced
from segpipe.labels.colours import distinct_colours
from segpipe.labels.csv_labels import HEADER
from segpipe.labels.load import MissingLabelFileError, load_scheme
from segpipe.labels.scheme import LARGEST_ID, MAX_CLASSES, Colour, LabelScheme, unpack_colour
from segpipe.params.schema import Params
from segpipe.preflight.mask_values import MaskValues, read_mask_values
from segpipe.preflight.wording import share, value_name
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError, listing
from segpipe.sources.listing import Listing

_MOST_MASKS = 100  # a second or two
_SHOWN = 20  # values


def load_scheme_of(params: Params, found: Listing, raw: Path) -> LabelScheme:
    """Return the scheme that params.yaml names, for the samples that were found below `raw`.

    Raises as `load_scheme` does; where the label file is missing, the message goes on with the values
    in the masks and with the lines of a CSV file that would do.
    """
    try:
        return load_scheme(params.labels.scheme, params.labels.map, raw)
    except MissingLabelFileError as error:
        samples = [
            sample for each in found.samples.values() for sample in each if sample.mask is not None
        ]
        target = Path(params.source.path) / Path(params.labels.scheme).with_suffix(".csv").name
        proposal = _proposal(samples, raw, found.truth_ratio, target, params.labels.scheme)
        raise DataError("\n".join([str(error), *proposal])) from error


def _proposal(
    samples: Sequence[Sample], raw: Path, truth_ratio: int, target: Path, scheme: str
) -> list[str]:
    """Return the lines that say what the masks hold and how a label file of it is written."""
    read, faults = _read(samples, raw, truth_ratio)
    if not read:
        return [f"none of the masks is readable:\n{listing(faults, 3)}"] if faults else []
    painted = 2 * sum(mask.painted for mask in read) > len(read)
    alike = [mask for mask in read if mask.painted == painted]
    pixels, masks, palette = _joined(alike)
    order = sorted(pixels, key=lambda value: (-pixels[value], value) if painted else (value, 0))
    total = sum(pixels.values())
    noun = "mask" if samples[0].window is None else "window"
    values = [
        f"{value_name(value, painted)}: {share(pixels[value], total)} of the pixels, in {masks[value]} "
        f"{noun}{'s' * (masks[value] > 1)}" + _painted_as(palette.get(value), painted)
        for value in order
    ]
    return [
        f"{_of(len(read), len(samples), noun)} hold:\n{listing(values, _SHOWN)}",
        *_left_out(len(read) - len(alike), painted, faults),
        *_file(order, painted, palette, target, scheme),
    ]


def _read(
    samples: Sequence[Sample], raw: Path, truth_ratio: int
) -> tuple[list[MaskValues], list[str]]:
    """Read a bounded number of masks, evenly spread; also say which could not be read."""
    read, faults = [], []
    for place in evenly_spaced(len(samples), _MOST_MASKS):
        try:
            read.append(read_mask_values(samples[place], raw, truth_ratio))
        except DataError as error:
            faults.append(str(error))
    return read, faults


def _joined(read: Sequence[MaskValues]) -> tuple[Counter[int], Counter[int], dict[int, Colour]]:
    """Return the pixels of each value, the number of masks that hold it, and its colour if any."""
    pixels: Counter[int] = Counter()
    masks: Counter[int] = Counter()
    palette: dict[int, Colour] = {}
    for mask in read:
        pixels.update(mask.pixels)
        masks.update(mask.pixels.keys())
        palette = mask.palette | palette
    return pixels, masks, palette


def _of(read: int, total: int, noun: str) -> str:
    if read == total:
        return f"the {total:,} {noun}s (all were read)"
    return f"{read} of {total:,} {noun}s, which were read (the others may hold more),"


def _painted_as(colour: Colour | None, painted: bool) -> str:
    return f", painted {','.join(map(str, colour))}" if colour and not painted else ""


def _left_out(others: int, painted: bool, faults: Sequence[str]) -> list[str]:
    kinds = ("numbers", "painted in colours") if painted else ("painted in colours", "numbers")
    lines = []
    if others:
        lines.append(
            f"left out: {others} of another kind, {kinds[0]}, where these are {kinds[1]}; bring all masks "
            "to one kind"
        )
    if faults:
        lines.append(f"not readable: {len(faults)}\n{listing(faults, 3)}")
    return lines


def _file(
    values: Sequence[int],
    painted: bool,
    palette: Mapping[int, Colour],
    target: Path,
    scheme: str,
) -> list[str]:
    """Return the lines of a CSV file for `values`, and where it is to be saved."""
    if len(values) > MAX_CLASSES:
        return [
            f"{len(values):,} values are more than the {MAX_CLASSES} classes there can be: masks saved "
            "as JPEG or resized by interpolation look like this; export them anew as PNG"
        ]
    numbered = list(enumerate(values)) if painted else [(value, value) for value in values]
    kept = [(number, value) for number, value in numbered if 0 <= number <= LARGEST_ID]
    known = {value: unpack_colour(value) for value in values} if painted else palette
    chosen = iter(distinct_colours(len(kept), known.values()))
    rows = []
    for number, value in kept:
        red, green, blue = known.get(value) or next(chosen)
        rows.append(f"{number},class {number},{red},{green},{blue}")
    other = "" if target.name == scheme else f", set `scheme: {target.name}` under labels"
    below = len(kept) < len(numbered)
    return [
        f"save these lines as {target}{other}, and write your names in place of `class ...` (`void`, "
        "also several times, for what counts nowhere):",
        HEADER,
        *rows,
        *(["values below 0 are named in params.yaml: `map: {-1: void}` under labels"] * below),
    ]
