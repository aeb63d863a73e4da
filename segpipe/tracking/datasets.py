"""What a run was trained and validated on, as MLflow's datasets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segpipe.tracking.redaction import redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

# MLflow takes no longer digest.
_DIGEST = 36


@dataclass(frozen=True)
class DataUsed:
    """One split of a data set.

    name: as the list of runs shows it. context: what it served for, such as training. digest: of
    all its content. place: where it lies. image, mask: shape (-1 for the number of samples) and
    type of the arrays. counts: what else is known of it, plain JSON.
    """

    name: str
    context: str
    digest: str
    place: str
    image: tuple[tuple[int, ...], str]
    mask: tuple[tuple[int, ...], str]
    counts: Mapping[str, Any]


def log_data(client: "MlflowClient", run_id: str, data: Sequence[DataUsed]) -> None:
    """Tell a run what it used; what it knows already is not repeated."""
    client.log_inputs(run_id, datasets=[_input(each) for each in data])


def _input(data: DataUsed) -> "DatasetInput":
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    tensors = {"features": _tensor(*data.image), "targets": _tensor(*data.mask)}
    dataset = Dataset(
        name=redacted(data.name),
        digest=data.digest[:_DIGEST],
        source_type="local",
        source=json.dumps({"uri": redacted(data.place)}),
        # As mlflow.data.schema.TensorDatasetSchema spells it.
        schema=json.dumps({"mlflow_tensorspec": tensors}),
        profile=json.dumps(data.counts),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, data.context)])


def _tensor(shape: Sequence[int], dtype: str) -> str:
    spec = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}
    return json.dumps([spec])
