"""Calls to MLflow: its client, its patience, its noise."""

import contextlib
import importlib
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

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
    with _one_at_a_time, _quiet(), _defaults(settings):
        yield


@contextlib.contextmanager
def _defaults(values: Mapping[str, Any]) -> Iterator[None]:
    """Change what MLflow takes where an environment variable of it is not set.

    The environment itself is left alone: the training reads it in C (getenv) at any moment, and may
    crash where another thread changes it then.
    """
    from mlflow import environment_variables

    variables = {getattr(environment_variables, name): value for name, value in values.items()}
    before = {variable: variable.default for variable in variables}
    for variable, value in variables.items():
        variable.default = value
    try:
        yield
    finally:
        for variable, value in before.items():
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
    with _no_warnings():
        importlib.import_module("mlflow")  # which sets the levels of these loggers
        loggers = [logging.getLogger(name) for name in _NOISY]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Ignore warnings in the main thread; the filters are not safe to be changed by another."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
