"""The description of a bundle (model.json) and its formats; older ones are brought up to date.

It imports no torch, so that a command can say at once what is wrong before torch is there.
"""

import hashlib
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from segpipe.labels.scheme import LabelScheme
from segpipe.params.chosen import chosen
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import InputSpec
from segpipe.runtime.atomic import write_json
from segpipe.runtime.errors import BundleError
from segpipe.runtime.small_files import read_json
from segpipe.runtime.validation import typed

FORMAT: Final = 5
DESCRIPTION = "model.json"
BEST, LAST = "model.safetensors", "last.safetensors"
PREDICTING = (DESCRIPTION, BEST)  # all that a prediction needs of a bundle
# A small model of generated street scenes, so that predictions can be tried before a training.
SHIPPED = Path(__file__).resolve().parent / "inference" / "streets"
Precision = Literal["auto", "fp32", "bf16"]
_Content = dict[str, Any]


class Description(BaseModel):
    """The content of model.json.

    precision: as asked for in training; auto takes what the hardware has. threshold: of the
    probability at temperature 1, where the network has one logit a pixel; None where it has one for
    each class. temperature: what logits are divided by before they become probabilities, which no
    label depends on; 1 where none was fitted.
    sha256: of the files of weights, by name; empty in bundles of formats before 5, which do not
    know it. lineage: training parameters, data, code and scores, as recorded.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: Literal[5] = FORMAT
    model: ModelParams
    scheme: LabelScheme
    input: InputSpec
    precision: Precision
    threshold: Annotated[float, Field(gt=0, lt=1)] | None
    sha256: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    lineage: dict[str, Any]
    temperature: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _one_logit_tells_two_classes_apart(self) -> "Description":
        if self.threshold is not None and self.scheme.num_classes != 2:
            raise ValueError(
                f"threshold is {self.threshold}, but the scheme has {self.scheme.num_classes} classes; "
                "it must be null unless there are two"
            )
        return self


def write_description(folder: Path, about: Description) -> None:
    """Write model.json."""
    write_json(folder / DESCRIPTION, description_content(about))


def description_content(about: Description) -> dict[str, Any]:
    """Return a description as plain values, with the options of the chosen model alone."""
    return {**about.model_dump(mode="json"), "model": chosen(about.model)}


def read_description(folder: Path) -> Description:
    """Return the content of a bundle's model.json, brought to the present format.

    Raises BundleError when the file is missing or damaged, of a format that is not known, or holds
    a value that cannot be meant.
    """
    path = folder / DESCRIPTION
    try:
        content = read_json(path)
    except FileNotFoundError as error:
        raise BundleError(
            f"{path}: there is no such file; train a model with `dvc repro`, or name the folder of one"
        ) from error
    except (ValueError, OSError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
    return parsed_description(path, content)


def parsed_description(path: Path, content: dict[str, Any]) -> Description:
    """Return a description from the plain values that the file `path` holds, as `read_description`."""
    number = _known_format(path, content.get("format"))
    try:
        for older in range(number, FORMAT):
            content = _MIGRATIONS[older](content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{path}: is not what format {number} holds: {error!r}") from error
    try:
        return typed(Description, content)
    except ValueError as error:
        raise BundleError(
            f"{path}: is damaged or was changed; copy the model again, or train it:\n{error}"
        ) from error


def _known_format(path: Path, number: Any) -> int:
    if type(number) is int and (number == FORMAT or number in _MIGRATIONS):
        return number
    if type(number) is int and number > FORMAT:
        raise BundleError(
            f"{path}: is of format {number}, made by a newer segpipe; this one reads formats up to "
            f"{FORMAT}: install the newer one"
        )
    raise BundleError(
        f"{path}: is of format {reprlib.repr(number)}; this segpipe reads {min(_MIGRATIONS)} to "
        f"{FORMAT}"
    )


def _from_format_3(about: _Content) -> _Content:
    """Format 4 holds the chosen model's options alone, and the input without the precision."""
    model, form = about["model"], dict(about["input"])
    used = ("name", "pretrained", "freeze", model["name"])
    precision, files = form.pop("precision"), form.pop("reading")
    return {
        **about,
        "format": 4,
        "model": {name: model[name] for name in used if name in model},
        "input": {**form, "files": files},
        "precision": precision,
    }


def _from_format_4(about: _Content) -> _Content:
    """Format 5 knows the digests of the weights."""
    return {**about, "format": 5, "sha256": {}}


# From each older format to the next one.
_MIGRATIONS: dict[int, Callable[[_Content], _Content]] = {3: _from_format_3, 4: _from_format_4}


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, as sha256sum prints it; 1.5 GB/s on recent processors."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
