"""The files that stages write into metrics/: one pydantic model for writing and for reading each.

A JSON file holds one record, a CSV file a record a row. What tables show stands beside the field
(`Shown`), so that a score that is added to a model is shown wherever scores are listed.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from segpipe.runtime.atomic import write_csv, write_json
from segpipe.runtime.errors import DataError, listing
from segpipe.runtime.small_files import parse_json
from segpipe.runtime.validation import faults_of

METRICS = Path("metrics")
REPORT = METRICS / "report.html"  # all results on one page

# `class`, as the files call it, is no name for an argument in Python.
ClassName = Annotated[
    str,
    Field(validation_alias=AliasChoices("class", "class_name"), serialization_alias="class"),
]
Score = float | None  # in 0..1; None where a score has no meaning


class Interval(BaseModel):
    """The ends of a 95 % interval, in 0..1."""

    low: float
    high: float


class Record(BaseModel):
    """A JSON file or a row of a CSV file.

    file: its name below metrics/. stage: the stage that writes it. Reading ignores keys that the
    model does not declare, so that the files of later versions can be read.
    """

    model_config = ConfigDict(frozen=True)

    file: ClassVar[str]
    stage: ClassVar[str]


@dataclass(frozen=True)
class Shown:
    """Marks a field that tables show, as in `Annotated[Score, Shown("mIoU")]`.

    decimals: digits after the decimal point; None for a score, which is shown in percent.
    """

    label: str
    decimals: int | None = None


@dataclass(frozen=True)
class ShownValue:
    """A score as tables show it. interval: the field of the same name with `_interval` after it."""

    label: str
    value: float | None
    interval: Interval | None


def shown_fields(model: type[BaseModel]) -> dict[str, Shown]:
    """Return the fields of a model that tables show, by name, in the model's order."""
    found = {
        name: [mark for mark in field.metadata if isinstance(mark, Shown)]
        for name, field in model.model_fields.items()
    }
    return {name: marks[0] for name, marks in found.items() if marks}


def set_labels(model: type[BaseModel], rows: Iterable[BaseModel]) -> dict[str, str]:
    """Return the labels of the shown fields of a model that are set in any of the rows, by name."""
    used = set().union(*(row.model_fields_set for row in rows))
    return {name: shown.label for name, shown in shown_fields(model).items() if name in used}


def shown_values(record: BaseModel) -> list[ShownValue]:
    """Return the values of the shown fields, also of the models within; those not set are left out.

    A field is not set where the file of an earlier version lacks it, or another kind of network has
    no such score.
    """
    shown, values = shown_fields(type(record)), []
    for name, value in record:
        if isinstance(value, BaseModel):
            values += shown_values(value)
        elif isinstance(value, list):
            values += [
                replace(shown, label=f"{shown.label} {one.variant}")
                for one in value
                for shown in shown_values(one)
            ]
        elif name in shown and name in record.model_fields_set:
            interval = getattr(record, f"{name}_interval", None)
            values.append(ShownValue(shown[name].label, value, interval))
    return values


_Record = TypeVar("_Record", bound=Record)


def new_record(model: type[_Record], values: Mapping[str, Any]) -> _Record:
    """Return a record to be written, from values under the file's own keys.

    Raises pydantic's ValidationError for a key that the model does not declare: nothing is written
    that would not be read.
    """
    return model.model_validate(values, extra="forbid")


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON; fields that are not set are left out, those that are None are null."""
    write_json(path, record.model_dump(by_alias=True, exclude_unset=True))


def write_table(
    path: Path, model: type[Record], rows: Sequence[Record], protocol: str | None = None
) -> None:
    """Write records of one model as CSV, with a column for each field that is set in any of them.

    Without rows there is the line of the columns alone, all that the model has. protocol: how scores
    were measured, a last column of this name; it is in the first row, and its cells below are empty.

    Fractions have six significant digits, whole numbers all of theirs; None is an empty cell.
    """
    used = set().union(*(row.model_fields_set for row in rows))
    fields = {name: one for name, one in model.model_fields.items() if name in used or not rows}
    columns = [one.serialization_alias or name for name, one in fields.items()]
    values = [row.model_dump(by_alias=True, include=set(fields)) for row in rows]
    if protocol is not None:
        columns.append("protocol")
        values = [row | {"protocol": None if n else protocol} for n, row in enumerate(values)]
    write_csv(path, [{key: _cell(value) for key, value in row.items()} for row in values], columns)


def read_record(model: type[_Record], path: Path) -> _Record:
    """Read a JSON file; raises DataError when it is missing or not as the stage writes it."""
    return parse_record(model, _content(path), str(path))


def read_table(model: type[_Record], path: Path) -> list[_Record]:
    """Read a CSV file; raises DataError when it is missing or not as the stage writes it."""
    return parse_table(model, _content(path), str(path))


def parse_table(model: type[_Record], content: bytes, place: str) -> list[_Record]:
    """Read the content of a CSV file; place: where it was found, for the DataError."""
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    return [
        _validated(
            model, {key: cell or None for key, cell in row.items()}, f"{place}, row {number}"
        )
        for number, row in enumerate(rows, 1)
    ]


def parse_record(model: type[_Record], content: bytes, place: str) -> _Record:
    """Read the content of a JSON file; place: where it was found, for the DataError."""
    try:
        values = parse_json(content)
    except ValueError as error:
        raise DataError(
            f"{place}: not valid JSON ({error}); run `dvc repro {model.stage}` again"
        ) from error
    return _validated(model, values, place)


def _validated(model: type[_Record], values: Any, place: str) -> _Record:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise DataError(
            f"{place}: is not what the {model.stage} stage writes; run `dvc repro` again, or read it "
            f"with the segpipe that wrote it:\n{listing(faults_of(error))}"
        ) from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; run `dvc repro` first") from error


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if not isinstance(value, float):
        return value
    return f"{value:.6g}" if value % 1 else f"{value:.0f}"
