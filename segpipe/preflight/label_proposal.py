"""The label scheme of a data set; where its file is missing, what a file for its masks would hold."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segpipe.dataset.subset import evenly_spaced
from segpipe.labels.colours import distinct_colours
from segpipe.labels.csv_labels import HEADER
from segpipe.labels.label_text import PROPOSED_NAME
from segpipe.labels.load import MissingLabelFileError, load_scheme
from segpipe.labels.scheme import LARGEST_ID, MAX_CLASSES, Colour, LabelScheme, unpack_colour
from segpipe.params.schema import Params
from segpipe.preflight.mask_values import MaskValues, read_mask_values
from segpipe.preflight.wording import share, value_name
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError, ParameterError, listing
from segpipe.sources.listing import Listing

_MOST_MASKS = 100  # a second or two
_SHOWN = 20  # values


@dataclass(frozen=True)
class _Proposal:
    """held: lines that say what the masks hold. target: where the class file would lie. rows: its lines,
    none where no file would do. beside: what else is to be done, in lines.
    """

    held: list[str]
    target: Path
    rows: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)


def load_scheme_of(params: Params, found: Listing, raw: Path) -> LabelScheme:
    """Return the scheme that params.yaml names, for the samples that were found below `raw`.

    Raises as `load_scheme` does; where the label file is missing, the message goes on with the values
    in the masks and with the lines of a CSV file that would do.
    """
    try:
        return load_scheme(params.labels.scheme, params.labels.map, raw)
    except MissingLabelFileError as error:
        proposal = _proposal(params, found, raw)
        lines = [str(error), *proposal.held]
        if proposal.rows:
            lines.append(
                f"save these lines as {proposal.target} (`segpipe check --write-classes` does)"
                f"{_scheme_line(params, proposal.target)}, and write your names in place of `class ...` "
                "(`void`, also several times, for what counts nowhere):"
            )
        raise MissingLabelFileError(
            "\n".join([*lines, *proposal.rows, *proposal.beside])
        ) from error


def write_class_file(params: Params, found: Listing) -> str:
    """Write the class file of the masks in source.path, for a person to fill in.

    Returns what they hold and what is to be done, in lines. Raises ParameterError where the file is
    there, DataError where no file would do.
    """
    proposal = _proposal(params, found, Path(params.source.path))
    if not proposal.rows:
        raise DataError("\n".join(proposal.held or ["no sample has a mask"]))
    try:
        with proposal.target.open("x", encoding="utf-8") as file:
            file.write("\n".join(proposal.rows) + "\n")
    except FileExistsError as error:
        raise ParameterError(
            f"{proposal.target}: is there already and stays as it is; move it away for a new one"
            f"{_scheme_line(params, proposal.target)}"
        ) from error
    except OSError as error:
        raise DataError(f"{proposal.target}: cannot be written: {error.strerror}") from error
    return "\n".join(
        [
            *proposal.held,
            f"{proposal.target}: written, a line for each value",
            *proposal.beside,
            "next: write your names in place of `class ...` (`void`, also several times, for what counts "
            f"nowhere){_scheme_line(params, proposal.target)}, then `segpipe check`",
        ]
    )


def _scheme_line(params: Params, target: Path) -> str:
    """Say, where params.yaml names another file, what it must name."""
    if target.name == params.labels.scheme:
        return ""
    return f", set `scheme: {target.name}` under labels"


def _proposal(params: Params, found: Listing, raw: Path) -> _Proposal:
    """Say what the masks below `raw` hold, and what a label file of it is."""
    name = Path(params.labels.scheme)
    target = Path(params.source.path) / (name.with_suffix(".csv") if name.suffix else "classes.csv")
    samples = [one for each in found.samples.values() for one in each if one.mask is not None]
    read, faults = _read(samples, raw, found.truth_ratio)
    if not read:
        held = [f"none of the masks is readable:\n{listing(faults, 3)}"] if faults else []
        return _Proposal(held, target)
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
    held = [
        f"{_of(len(read), len(samples), noun)} hold:\n{listing(values, _SHOWN)}",
        *_left_out(len(read) - len(alike), painted, faults),
    ]
    if len(order) > MAX_CLASSES:
        held.append(
            f"{len(order):,} values are more than the {MAX_CLASSES} classes there can be: masks saved "
            "as JPEG or resized by interpolation look like this; export them anew as PNG"
        )
        return _Proposal(held, target)
    rows = _rows(order, painted, palette)
    below = ["values below 0 are named in params.yaml: `map: {-1: void}` under labels"]
    return _Proposal(held, target, rows, below if len(rows) <= len(order) else [])


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


def _rows(values: Sequence[int], painted: bool, palette: Mapping[int, Colour]) -> list[str]:
    """Return the lines of a CSV file for `values`, without those that can be no ids."""
    numbered = list(enumerate(values)) if painted else [(value, value) for value in values]
    kept = [(number, value) for number, value in numbered if 0 <= number <= LARGEST_ID]
    known = {value: unpack_colour(value) for value in values} if painted else palette
    chosen = iter(distinct_colours(len(kept), known.values()))
    rows = [HEADER]
    for number, value in kept:
        red, green, blue = known.get(value) or next(chosen)
        rows.append(f"{number},{PROPOSED_NAME}{number},{red},{green},{blue}")
    return rows
