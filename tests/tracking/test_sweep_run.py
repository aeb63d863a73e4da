"""The run of a sweep above those of its trials."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segpipe.params.schema import TrackingParams
from segpipe.runtime.trial import PARENT_RUN
from segpipe.tracking.run import standard_tags, start_run
from segpipe.tracking.sweep_run import SweepRun

Read = Callable[[Path], Any]


def test_trials_stand_below_the_run_of_their_sweep(
    used: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = SweepRun(TrackingParams(), "mine", None)
    assert above.run_id
    monkeypatch.setenv(PARENT_RUN, above.run_id)
    for name in ("mine-000", "mine-001"):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        with start_run(TrackingParams(), name, {}, standard_tags()):
            pass
    monkeypatch.delenv(PARENT_RUN)
    with start_run(TrackingParams(), "alone", {}, standard_tags()) as alone:
        pass
    above.tag_trial(["mine-001"], {"trial_state": "pruned"})
    above.end("KILLED", {})
    again = SweepRun(TrackingParams(), "mine", above.run_id)
    assert again.run_id == above.run_id
    client = read(used / "mlflow.db")
    assert client.get_run(above.run_id).info.status == "RUNNING"
    again.end("FINISHED", {"best/evaluation.classes.car (x).iou": 0.5})
    found = client.get_run(above.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.metrics == {"best/evaluation.classes.car _x_.iou": 0.5}
    runs = client.search_runs([found.info.experiment_id])
    below = {
        one.data.tags["dvc_experiment"]: one.data.tags.get("trial_state")
        for one in runs
        if one.data.tags.get("mlflow.parentRunId") == above.run_id
    }
    assert below == {"mine-000": None, "mine-001": "pruned"}
    assert "mlflow.parentRunId" not in client.get_run(alone.run_id).data.tags


def test_without_tracking_there_is_no_run(root: Path) -> None:
    above = SweepRun(TrackingParams(enabled=False), "mine", None)
    assert above.run_id is None
    above.tag_trial(["mine-000"], {"trial_state": "complete"})
    above.end("FINISHED", {"best/a": 1.0})
    assert not (root / "mlflow.db").exists()


def test_a_store_that_fails_later_stops_no_sweep(
    used: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    above = SweepRun(TrackingParams(), "mine", None)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no answer: timed out")

    monkeypatch.setattr("mlflow.MlflowClient.set_terminated", refuse)
    above.end("FINISHED", {})
    assert "no answer in time; the sweep goes on" in capsys.readouterr().out
