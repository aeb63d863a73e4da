"""The list of runs as it first appears in MLflow's pages: a link that chooses the columns.

MLflow keeps the columns that a person chose in the browser. What it calls a shared view is a tag of
the experiment, JSON of the page's state, that a link names by its key: read in the front end of MLflow
3.17 and tried in a browser (docs/tracking.md). A version that no longer knows it shows the page as it
is without.
"""

import contextlib
import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from mlflow import MlflowClient

_KEY = "segpipe"
_TAG = f"mlflow.sharedViewState.{_KEY}"
_METRICS = (
    *("miou", "miou_low", "miou_high", "val_loss"),
    *("images_per_second", "hours", "pixel_accuracy"),
)
_COLUMNS = (*(f"metrics.`{name}`" for name in _METRICS), "attributes.`Source`")
_VIEW = json.dumps({"selectedColumns": _COLUMNS, "columnOrder": _COLUMNS})


def offer_view(client: "MlflowClient", experiment_id: str) -> None:
    """Give the experiment the tag with the columns, unless it has it or the store refuses."""
    with contextlib.suppress(Exception):  # MLflow, requests, SQLAlchemy; runs do not depend on it
        if client.get_experiment(experiment_id).tags.get(_TAG) != _VIEW:
            client.set_experiment_tag(experiment_id, _TAG, _VIEW)


def runs_link(server: str, experiment_id: str) -> str:
    """Return the address of the list of runs. server: where MLflow's pages are, such as http://host:5000.

    Without workflowType MLflow 3 opens the pages for language models, which show no run.
    """
    query = urlencode({"workflowType": "machine_learning", "viewStateShareKey": _KEY})
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"
