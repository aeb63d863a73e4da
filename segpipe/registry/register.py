"""A trained model becomes a version in MLflow's registry, with its scores and its card."""

import base64
import importlib.metadata
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from packaging.requirements import Requirement

import segpipe
from segpipe.bundle_format import PREDICTING
from segpipe.inference.predictor import load_model
from segpipe.params.schema import TrackingParams
from segpipe.registry.answers import answers
from segpipe.registry.card import UNKNOWN, model_card
from segpipe.registry.find import TrainedModel
from segpipe.rendering.html.page import interval, percent
from segpipe.rendering.png import png_bytes
from segpipe.runtime.errors import ParameterError
from segpipe.tracking.registry import (
    CANDIDATE,
    RESULTS,
    ServedFiles,
    Version,
    register,
    registered,
    save_served,
    set_alias,
)

CARD = "README.md"
_SCRIPT = Path(__file__).with_name("served_model.py")
_SIDE = 64  # pixels of the example
# What an answer has, and MLflow's types of it.
_ANSWER = {
    "label_map": "any",
    "height": "long",
    "width": "long",
    "classes": "any",
    "void_id": "long",
}


def register_model(
    found: TrainedModel, name: str, settings: TrackingParams, licence: str = UNKNOWN
) -> tuple[Version, bool]:
    """Make a model a version of the registered model `name`, with the alias `candidate`.

    Returns the version, and whether it is new: the same weights with the same scores are registered once.
    Raises ParameterError for a name that MLflow refuses, TrackingError when the store cannot be used.
    """
    if not name.strip() or any(character in name for character in "/:"):
        raise ParameterError(
            f"--name is {name!r}; it must not be empty, nor hold a slash or a colon"
        )
    version = registered(settings, name, found.content)
    is_new = version is None
    if version is None:
        with tempfile.TemporaryDirectory(prefix="segpipe-register-") as scratch:
            folder = _saved(found, Path(scratch), licence)
            version = register(
                settings, name, folder, found.run_id, found.content, _description(found)
            )
    set_alias(settings, version, CANDIDATE)
    return version, is_new


def _saved(found: TrainedModel, scratch: Path, licence: str) -> Path:
    """Return the folder of the saved model; `scratch` is an empty one for its parts.

    The example is predicted, so that no version is registered that cannot answer.
    """
    example = _example(found)
    answers(load_model(found.bundle), [example], "array")
    bundle, results, folder = (scratch / part for part in ("bundle", RESULTS, "model"))
    for target, files in (
        (bundle, {one: found.bundle / one for one in PREDICTING}),
        (results, found.results),
    ):
        target.mkdir()
        for file, path in files.items():
            shutil.copyfile(path, target / file)  # MLflow refuses links
    save_served(
        ServedFiles(
            script=_SCRIPT,
            artifacts={"bundle": bundle, RESULTS: results},
            code=Path(segpipe.__file__).parent,
            requirements=_requirements(found),
            example={"image": example},
            answer=_ANSWER,
        ),
        folder,
    )
    (folder / CARD).write_text(model_card(found, licence), encoding="utf-8")
    return folder


def _example(found: TrainedModel) -> Any:
    """Return an image that the model takes, of no data set: a grey ramp."""
    spec = found.about.input
    files, side = spec.files, _SIDE * spec.files.truth_ratio
    ramp_HW = np.arange(side)[:, None] + np.arange(side)
    if files.dtype is np.uint8:
        picture_HW3 = (ramp_HW * 127 // side).astype(np.uint8)[..., None].repeat(3, 2)
        text = base64.b64encode(png_bytes(picture_HW3)).decode()
        return text if spec.frames == 1 else [text] * spec.frames
    image_HWC = (ramp_HW / (2 * side)).round(2)[..., None].repeat(len(files.channels), 2)
    return (image_HWC if spec.frames == 1 else np.stack([image_HWC] * spec.frames)).tolist()


def _requirements(found: TrainedModel) -> list[str]:
    """Return the packages that segpipe needs and that are installed, each with its version."""
    extra = {"segmentation-models-pytorch"} if found.about.model.name == "smp" else set()
    extra |= {"rasterio"} if found.about.input.files.scaling is not None else set()
    wanted = importlib.metadata.requires("segpipe") or []
    names = {Requirement(line).name for line in wanted if "extra ==" not in line}
    return sorted(f"{one}=={importlib.metadata.version(one)}" for one in names | extra)


def _description(found: TrainedModel) -> str:
    """Return what the page of the version says."""
    evaluation, lineage, scheme = found.evaluation, found.about.lineage, found.about.scheme
    bounds = interval(evaluation.miou_interval)
    spread = f" ({bounds})" if bounds else ""
    miou = "none" if evaluation.miou is None else f"{percent(evaluation.miou)} %{spread}"
    lines = [
        f"`{found.about.model.name}` for {scheme.num_classes} classes of {scheme.name}",
        f"mIoU {miou} on {evaluation.protocol.summary}",
        f"data {lineage.get('data') or 'not recorded'}, commit {lineage.get('git_commit') or 'not recorded'}",
        f"The model card is `{CARD}` among the files.",
    ]
    return "\n\n".join(lines)
