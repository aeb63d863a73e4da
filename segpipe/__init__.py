"""segpipe as a library: the names that a notebook needs, imported when they are first used.

import segpipe

model = segpipe.load_model("models")        # a Predictor; without a path the model that comes along
labels_HW = model.predict(image_HW3[None])  # train ids, uint8
found = segpipe.score("predictions", "truth", "cityscapes19")  # the Evaluation of label images
run = segpipe.read_run("workspace")         # scores and costs of a run, revision or experiment
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segpipe.evaluation.score import score
    from segpipe.inference.predictor import Predictor, load_model
    from segpipe.results.experiments import read_run

__all__ = ["Predictor", "load_model", "read_run", "score"]

_HOME = {
    "Predictor": "segpipe.inference.predictor",
    "load_model": "segpipe.inference.predictor",
    "read_run": "segpipe.results.experiments",
    "score": "segpipe.evaluation.score",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'segpipe' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
