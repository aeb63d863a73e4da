"""The description of a bundle (model.json) and its formats; older ones are brought up to date.

It imports no torch, so that a command can say at once what is wrong before torch is there.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segpipe.raw.input_spec import InputSpec
from segpipe.runtime.errors import BundleError

FORMAT = 4
DESCRIPTION = "model.json"
# A small model of generated street scenes, so that predictions can be tried before a training.
SHIPPED = Path(__file__).resolve().parent / "inference" / "streets"
Description = dict[str, Any]


def read_description(folder: Path) -> Description:
    """Return the content of a bundle's model.json in the present format.

    Raises BundleError when the file is missing or damaged, or of a format that is not known.
    """
    path = folder / DESCRIPTION
    try:
        about: Description = json.loads(path.read_text(encoding="utf-8"))
        number = about["format"]
        while number in _MIGRATIONS:
            about = _MIGRATIONS[number](about)
            number = about["format"]
    except FileNotFoundError as error:
        raise BundleError(
            f"{path}: there is no such file; train a model with `dvc repro`, or name the folder of one"
        ) from error
    except (ValueError, OSError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
    except (KeyError, TypeError) as error:
        raise BundleError(f"{path}: is incomplete: {error!r}") from error
    if isinstance(number, int) and number > FORMAT:
        raise BundleError(
            f"{path}: is of format {number}, made by a newer segpipe; this one reads formats up to "
            f"{FORMAT}: install the newer one"
        )
    if number != FORMAT:
        raise BundleError(
            f"{path}: is of format {number}; this segpipe reads {min(_MIGRATIONS)} to {FORMAT}"
        )
    return about


def read_input(folder: Path) -> InputSpec:
    """Return what a bundle's network is fed; BundleError as `read_description`."""
    about = read_description(folder)
    try:
        return InputSpec.from_json(about["input"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder / DESCRIPTION}: is incomplete or damaged: {error}") from error


def _from_format_3(about: Description) -> Description:
    """Format 4 holds the chosen model's options alone, and the input without the precision."""
    model, form = about["model"], dict(about["input"])
    chosen = ("name", "pretrained", "freeze", model["name"])
    precision, files = form.pop("precision"), form.pop("reading")
    return {
        **about,
        "format": 4,
        "model": {name: model[name] for name in chosen if name in model},
        "input": {**form, "files": files},
        "precision": precision,
    }


# From each older format to the next one.
_MIGRATIONS: dict[int, Callable[[Description], Description]] = {3: _from_format_3}
