"""The model as MLflow serves it. The registry stores this file in place of a pickle, and MLflow runs it.

https://mlflow.org/docs/latest/ml/model/models-from-code/
"""

import logging
import threading

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from segpipe.inference.predictor import load_model
from segpipe.registry.answers import answers
from segpipe.runtime.errors import SegpipeError
from segpipe.tracking.request_bounds import bound_requests


class ServedModel(PythonModel):
    """A bundle that answers requests; what is wrong with one becomes a status of 4xx."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle that lies beside this file in the registry."""
        self._predictor = load_model(context.artifacts["bundle"])
        # Memory is bounded for one request, and the server has threads.
        self._lock = threading.Lock()
        bound_requests()

    # Of hints MLflow would make a schema of its own; the one of the registry is meant.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Return what `answers` does of the column `image` of a table."""
        images = list(model_input["image"]) if "image" in model_input else []
        try:
            with self._lock:
                return answers(self._predictor, images, (params or {}).get("labels", "png"))
        except SegpipeError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        except Exception:
            logging.getLogger(__name__).exception("a request failed")
            raise MlflowException("the image could not be labelled; see the server's log") from None


set_model(ServedModel())
