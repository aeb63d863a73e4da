"""The errors that a person can act on: each names the place, the cause and the repair."""

import difflib
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager


class SegpipeError(Exception):
    """An expected failure. Its text is the whole message; no traceback is shown for it."""


class ParameterError(SegpipeError):
    """params.yaml (or a recipe) holds something that cannot be meant."""


class DataError(SegpipeError):
    """The images, masks, archives or prepared arrays are not what they must be."""


class BundleError(SegpipeError):
    """A model bundle is missing, damaged or of another format."""


class ExportError(SegpipeError):
    """A model cannot be exported, or the exported file has other scores."""


class CheckpointError(SegpipeError):
    """The state of an unfinished run cannot be written, or not be read back."""


class TrackingError(SegpipeError):
    """The MLflow store cannot be used."""


class StaleRunError(SegpipeError):
    """Parameters, code or data changed while a stage ran; its result would be recorded wrongly."""


class VersionError(SegpipeError):
    """Another segpipe is installed than the one that made the results of a project."""


class BusyError(SegpipeError):
    """Another process holds what this one needs."""


class LaunchError(SegpipeError):
    """The processes of a distributed run do not fit the request."""


class TrainingError(SegpipeError):
    """Training cannot go on, for instance because the loss is not finite."""


_EXCERPT = 60
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, _EXCERPT, _EXCERPT


@contextmanager
def file_named(path: object) -> Iterator[None]:
    """Put a file's path, or another thing's name, before what a DataError of the block says."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def listing(items: Sequence[str], shown: int = 10) -> str:
    """Return `items` one a line, indented, the first `shown` of them and a count of the rest."""
    lines = [f"  {item}" for item in items[:shown]]
    if len(items) > shown:
        lines.append(f"  ... and {len(items) - shown} more")
    return "\n".join(lines)


def excerpt(value: object) -> str:
    """Return the beginning of a value from a file, for messages: 60 characters at most, escaped."""
    if isinstance(value, str) and len(value) <= _EXCERPT:
        return repr(value)
    try:
        return _SHORT.repr(value)[:_EXCERPT]
    except ValueError:  # Python refuses to write a whole number of thousands of digits
        return "a very long number"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question that names the most similar of `known`, "" where none is similar."""
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"did you mean {folded[near[0]]}?" if near else ""
