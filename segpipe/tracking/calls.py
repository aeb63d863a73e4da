"""Calls to MLflow: its client, its patience, its noise."""

import contextlib
import importlib
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from segpipe.tracking.redaction import redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow's own patience is 7 attempts of 120 s: an epoch's metrics are not worth a training's wait.
BRIEF, LONG = 5, 120
# MLflow's defaults and the levels of loggers belong to the whole process: calls take their turns.
_one_at_a_time = threading.RLock()
# Below the messages of these loggers there is always an exception, which segpipe words itself.
_NOISY = ("mlflow", "alembic", "urllib3.connectionpool")
_REASONS = (
    (r"Connection refused", "nothing answers there (connection refused)"),
    (r"[Tt]imed? ?out", "no answer in time"),
    (r"Name or service not known|Failed to resolve|getaddrinfo", "there is no host of that name"),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
    (
        r"UNAUTHENTICATED|error code 401",
        "it refuses the user name or password (401); set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD",
    ),
    (r"PERMISSION_DENIED|error code 403", "it does not permit this (403)"),
    (r"too many (\d+) error responses", r"it answers with error \1"),
    (r"error code (\d+)", r"it answers with error \1; is this an MLflow server?"),
    (
        r"maintenance mode",
        "MLflow keeps no runs in folders any more; name a server or sqlite:///runs.db",
    ),
    (r"not in a valid JSON format", "what answers there is no MLflow server"),
)


def connect(address: str) -> "MlflowClient":
    """Return a client for one store; nothing is contacted yet unless it is a database."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=address, registry_uri=address)


@contextlib.contextmanager
def calling(credentials: Mapping[str, str], seconds: int = BRIEF) -> Iterator[None]:
    """Let MLflow work within the block: with `credentials`, quiet, and waiting `seconds` at most twice.

    What the user set in the environment stands. A second thread waits until the first has left its
    block.

    The environment itself is left alone, and the defaults of MLflow's variables are changed: the
    training reads the environment in C (getenv) at any moment, and may crash where another thread
    changes it then.
    """
    # Telemetry starts with the import of MLflow. The user's own choice stands.
    if "DO_NOT_TRACK" not in os.environ:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    settings = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": seconds,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": 1,
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": False,
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": False,
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": True,
        **credentials,
    }
    with _one_at_a_time, _quiet():
        from mlflow import environment_variables

        variables = [getattr(environment_variables, name) for name in settings]
        before = [variable.default for variable in variables]
        for variable, value in zip(variables, settings.values(), strict=True):
            variable.default = value
        try:
            yield
        finally:
            for variable, value in zip(variables, before, strict=True):
                variable.default = value


def reason(error: Exception) -> str:
    """Return why a call failed: in plain words where they are known, else MLflow's first line."""
    text = f"{getattr(error, 'error_code', '')} {error}"
    for pattern, words in _REASONS:
        if found := re.search(pattern, text):
            return found.expand(words)
    lines = redacted(str(error)).strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= 300 else f"{lines[0][:297]}..."


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what MLflow and the libraries below it say to the console; not their exceptions."""
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            # The filters are not safe to be changed by another thread.
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        importlib.import_module("mlflow")  # which sets the levels of these loggers
        for name in _NOISY:
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
        yield
