"""One run: written, read back by another client, resumed, continued, and ended as it ended."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.data.dataset_source_registry import get_dataset_source_from_json
from mlflow.data.schema import TensorDatasetSchema

from segpipe.params.schema import TrackingParams
from segpipe.runtime.errors import TrackingError
from segpipe.tracking.datasets import DataUsed
from segpipe.tracking.run import TOKEN, start_run, training_run
from segpipe.tracking.store import open_store
from segpipe.tracking.tracker import Tracker

SETTINGS = TrackingParams()
Read = Callable[[Path], Any]
Later = Callable[[str | None], Tracker]


@pytest.fixture
def later(tmp_path: Path) -> Later:
    """Starts a stage after the training whose run has this id."""

    def start(run_id: str | None) -> Tracker:
        (tmp_path / "mlflow.json").write_text(json.dumps({"run_id": run_id}))
        return training_run(SETTINGS, tmp_path / "mlflow.json")

    return start


def _start(resume: str | None = None, settings: TrackingParams = SETTINGS) -> Tracker:
    return start_run(settings, "unet", {"train": {"lr": 0.1}}, {"data_fingerprint": "d1"}, resume)


def test_a_run_whose_id_was_never_noted_is_found_by_its_token(used: Path, read: Read) -> None:
    """The process was killed after it had made the run. Another training makes its own."""
    for token in ("one", "one", "two"):
        with start_run(SETTINGS, "unet", {}, {TOKEN: token}):
            pass
    client = read(used / "mlflow.db")
    [experiment] = [one for one in client.search_experiments() if one.name == "segpipe"]
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags[TOKEN] for run in runs) == ["one", "two"]


def _status(client: Any, run_id: str | None) -> str:
    return str(client.get_run(run_id).info.status)


def test_a_run_holds_all_that_it_was_told(used: Path, read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    (folder / "deep").mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    (folder / "deep" / "weights").write_bytes(b"1")
    began = int(time.time() * 1000)
    with _start() as tracker:
        for epoch in (1, 2):
            tracker.log_metrics({"loss": 1 / epoch, "iou_person (x)": 0.5}, epoch)
        tracker.log_metrics({"miou": 0.7, "nan": math.nan, "inf": -math.inf}, None)
        tracker.log_files(folder, "bundle")
        tracker.log_files(folder / "model.json", "evaluation")
        assert _status(read(used / "mlflow.db"), tracker.run_id) == "RUNNING"

    client = read(used / "mlflow.db")
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert began <= run.info.start_time <= run.info.end_time <= time.time() * 1000
    assert run.info.run_name == "unet"
    assert run.data.params == {"train.lr": "0.1"}
    assert run.data.tags["data_fingerprint"] == "d1"
    assert run.data.metrics == {"loss": 0.5, "iou_person _x_": 0.5, "miou": 0.7}
    history = client.get_metric_history(tracker.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5)]
    places = {"bundle/model.json", "bundle/deep/weights", "evaluation/model.json"}
    kept = used / "mlartifacts" / str(tracker.run_id) / "artifacts"
    assert {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()} == places
    assert {item.path for item in client.list_artifacts(tracker.run_id)} == {"bundle", "evaluation"}
    assert not list((used / ".segpipe" / "unsent").iterdir())


def test_more_than_one_batch_of_each_kind(used: Path, read: Read) -> None:
    parameters = {f"p{number}": number for number in range(230)}
    with start_run(SETTINGS, "unet", parameters, {}) as tracker:
        tracker.log_metrics({f"m{number}": number for number in range(2300)}, 1)
    run = read(used / "mlflow.db").get_run(tracker.run_id)
    assert (len(run.data.params), len(run.data.metrics)) == (230, 2300)


def test_a_value_that_mlflow_would_refuse_is_cut_and_kept_whole_beside(
    used: Path, read: Read
) -> None:
    with start_run(SETTINGS, "unet", {"map": "x" * 7000}, {"note": "y" * 9000}) as tracker:
        pass
    run = read(used / "mlflow.db").get_run(tracker.run_id)
    assert run.data.params["map"].endswith("... (7000 characters)")
    assert run.data.tags["note"].endswith("... (9000 characters)")
    whole = used / "mlartifacts" / str(tracker.run_id) / "artifacts" / "parameters.json"
    assert json.loads(whole.read_text()) == {"map": "x" * 7000}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError, "FAILED"),
        (TrackingError, "FAILED"),
        (KeyboardInterrupt, "KILLED"),
        (SystemExit, "KILLED"),
    ],
)
def test_a_run_ends_as_its_block_ends(
    used: Path, read: Read, error: type[BaseException], status: str
) -> None:
    with pytest.raises(error), _start() as tracker:
        raise error
    assert _status(read(used / "mlflow.db"), tracker.run_id) == status


def test_the_first_status_counts(used: Path, read: Read) -> None:
    with pytest.raises(ValueError), _start() as tracker:  # noqa: PT011 (any would do)
        tracker.finish("KILLED")
        raise ValueError
    assert _status(read(used / "mlflow.db"), tracker.run_id) == "KILLED"


def test_a_killed_run_goes_on_under_the_same_id(
    used: Path, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt), _start() as tracker:
        tracker.log_metrics({"loss": 1.0}, 1)
        raise KeyboardInterrupt
    client = read(used / "mlflow.db")
    killed = client.get_run(tracker.run_id).info
    capsys.readouterr()

    parameters = {"train": {"lr": 0.2, "epochs": 3}}
    with start_run(SETTINGS, "unet", parameters, {"code": "c2"}, tracker.run_id) as resumed:
        assert resumed.run_id == tracker.run_id
        assert _status(client, tracker.run_id) == "RUNNING"
        resumed.log_metrics({"loss": 0.5}, 2)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time > killed.end_time
    assert run.data.params == {"train.lr": "0.1", "train.epochs": "3"}
    assert run.data.tags["code"] == "c2"
    assert run.data.tags["data_fingerprint"] == "d1"
    assert [point.step for point in client.get_metric_history(tracker.run_id, "loss")] == [1, 2]
    assert len(client.search_runs([run.info.experiment_id])) == 1
    assert (
        "MLflow: parameters differ from those logged at the start; MLflow keeps the originals:\n"
        "  train.lr\n"
    ) in capsys.readouterr().out


def test_a_resumed_run_has_no_step_twice(used: Path, read: Read) -> None:
    """The rows after the last checkpoint are made again, with other times and costs."""
    with pytest.raises(KeyboardInterrupt), _start() as tracker:
        for step in (2, 4, 6):
            tracker.log_metrics({"loss": 1 / step, "seconds": 0.5}, step, timestamp=step)
        raise KeyboardInterrupt
    with _start(tracker.run_id) as resumed:
        for step in (2, 4, 6, 8):
            resumed.log_metrics({"loss": 1 / step, "seconds": 0.7}, step, timestamp=10 + step)
    client = read(used / "mlflow.db")
    for name, values in {
        "loss": [1 / 2, 1 / 4, 1 / 6, 1 / 8],
        "seconds": [0.5, 0.5, 0.5, 0.7],
    }.items():
        history = client.get_metric_history(tracker.run_id, name)
        assert [(point.step, point.timestamp, point.value) for point in history] == list(
            zip((2, 4, 6, 8), (2, 4, 6, 18), values, strict=True)
        )


def test_the_data_of_a_run_are_in_mlflows_list(used: Path, read: Read) -> None:
    data = [
        DataUsed(
            f"streets: {split}",
            context,
            "d" * 64,
            f"data/prepared/{split}",
            ((-1, 1, 8, 16, 3), "uint8"),
            ((-1, 8, 16), "uint8"),
            {"rows": 3, "classes": ["road", "sky"]},
        )
        for split, context in (("train", "training"), ("val", "validation"))
    ]
    with start_run(SETTINGS, "unet", {}, {}, data=data) as tracker:
        pass
    with start_run(SETTINGS, "unet", {}, {}, tracker.run_id, data):
        pass
    inputs = read(used / "mlflow.db").get_run(tracker.run_id).inputs.dataset_inputs
    found = {each.dataset.name: each for each in inputs}
    assert (len(inputs), found.keys()) == (2, {"streets: train", "streets: val"})
    training = found["streets: train"]
    assert [(tag.key, tag.value) for tag in training.tags] == [("mlflow.data.context", "training")]
    assert training.dataset.digest == "d" * 36
    assert json.loads(training.dataset.profile) == {"rows": 3, "classes": ["road", "sky"]}
    # MLflow's own classes read what was written.
    schema = TensorDatasetSchema.from_dict(json.loads(training.dataset.schema))
    assert schema.features.inputs[0].shape == (-1, 1, 8, 16, 3)
    assert schema.targets.inputs[0].type == np.dtype("uint8")
    source = get_dataset_source_from_json(training.dataset.source, training.dataset.source_type)
    assert source.uri == "data/prepared/train"


@pytest.mark.parametrize("resume", ["0" * 32, "no id at all!"])
def test_a_run_that_the_store_does_not_have_cannot_be_resumed(
    used: Path, read: Read, capsys: pytest.CaptureFixture[str], resume: str
) -> None:
    with _start(resume) as tracker:
        assert tracker.run_id != resume
    assert f"run {resume} is not in {used / 'mlflow.db'}; a new one" in capsys.readouterr().out


def test_a_deleted_run_is_not_resumed(used: Path, read: Read) -> None:
    with _start() as tracker:
        pass
    read(used / "mlflow.db").delete_run(tracker.run_id)
    with _start(tracker.run_id) as other:
        assert other.run_id != tracker.run_id


@pytest.mark.parametrize("fails", [False, True])
def test_a_later_stage_adds_to_a_finished_run_and_leaves_its_end(
    used: Path, read: Read, later: Later, fails: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with _start() as tracker:
        pass
    client = read(used / "mlflow.db")
    before = client.get_run(tracker.run_id).info
    time.sleep(0.01)
    capsys.readouterr()
    for miou in (0.7, 0.8):  # the second evaluation is what MLflow shows
        with later(tracker.run_id) as evaluation:
            evaluation.log_metrics({"val_miou": miou}, None)
            if fails:
                evaluation.finish("FAILED")
    run = client.get_run(tracker.run_id)
    assert (run.info.status, run.info.end_time) == ("FINISHED", before.end_time)
    assert run.data.metrics == {"val_miou": 0.8}
    assert run.data.tags["data_fingerprint"] == "d1"
    assert capsys.readouterr().out == ""


def test_a_run_that_never_ended_is_finished_by_the_stage_after_it(
    used: Path, read: Read, later: Later
) -> None:
    with pytest.raises(KeyboardInterrupt), _start() as tracker:
        raise KeyboardInterrupt
    with later(tracker.run_id):
        pass
    assert _status(read(used / "mlflow.db"), tracker.run_id) == "FINISHED"


@pytest.mark.parametrize("wanted", ["0" * 32, None])
def test_a_model_of_another_machine_gets_a_new_run(
    used: Path,
    read: Read,
    later: Later,
    capsys: pytest.CaptureFixture[str],
    wanted: str | None,
) -> None:
    with later(wanted) as tracker:
        tracker.log_metrics({"val_miou": 0.8}, None)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert f"a new one is made: {tracker.run_id}" in said
    run = read(used / "mlflow.db").get_run(tracker.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"val_miou": 0.8})


def test_nothing_is_touched_when_tracking_is_off(root: Path, tmp_path: Path) -> None:
    silent = TrackingParams(enabled=False)
    for tracker in (_start(settings=silent), training_run(silent, tmp_path / "none")):
        with tracker:
            tracker.log_metrics({"a": 1.0}, 1)
            assert tracker.unsent() == (0, 0)
            tracker.log_files(tmp_path, "a")
            tracker.log_content(b"", "a/b")
            tracker.finish("FINISHED")
            assert tracker.run_id is None
    with pytest.raises(ValueError, match="passes"), _start(settings=silent):
        raise ValueError("passes")
    assert list(root.iterdir()) == []


def test_passwords_reach_no_file(
    used: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter22")
    address = "https://ann:s3cret@example.org/x"
    parameters = {"source": {"path": address, "note": "is hunter22", "long": address + "x" * 7000}}
    with start_run(SETTINGS, f"run at {address}", parameters, {"origin": address}) as tracker:
        tracker.log_metrics({"a": 1.0}, 1)
    open_store(SETTINGS)
    files = [path for path in used.rglob("*") if path.is_file()]
    assert {"mlflow.db", "parameters.json"} <= {path.name for path in files}
    said = "".join(capfd.readouterr())
    for secret in ("s3cret", "hunter22"):
        assert secret not in said
        assert not [path for path in files if secret.encode() in path.read_bytes()]
