"""segpipe as a library: the names that a notebook needs, imported when they are first used.

import segpipe

model = segpipe.load_model("models")           # a Predictor; without a path the model that comes along
labels_HW = model.predict(image_HW3[None])     # train ids, uint8
segpipe.predict("photographs", "labels", model)  # label images and overlays of a folder
found = segpipe.score("labels", "masks", model.scheme)  # the Evaluation of label images
run = segpipe.read_results("workspace")        # scores and costs of a run, revision or experiment

docs/library.md describes each.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segpipe.evaluation.score import score
    from segpipe.inference.predict_folder import predict
    from segpipe.inference.predictor import Predictor, load_model
    from segpipe.results.experiments import read_run as read_results

__all__ = ["Predictor", "load_model", "predict", "read_results", "score"]

_HOME = {
    "Predictor": "segpipe.inference.predictor.Predictor",
    "load_model": "segpipe.inference.predictor.load_model",
    "predict": "segpipe.inference.predict_folder.predict",
    "read_results": "segpipe.results.experiments.read_run",
    "score": "segpipe.evaluation.score.score",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'segpipe' has no attribute {name!r}")
    module, _, attribute = _HOME[name].rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
