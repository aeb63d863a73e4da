import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segpipe.params.schema import TrackingParams
from segpipe.registry.find import find_trained
from segpipe.results.experiments import read_run
from segpipe.runtime.errors import BundleError, DataError
from segpipe.tracking.run import start_run
from tests.forge import child_environment
from tests.registry.models import evaluated_bundle

SETTINGS = TrackingParams(system_seconds=0)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def project(root: Path, run_id: str | None = None) -> Path:
    """Write models/ and metrics/ as the stages leave them."""
    evaluated_bundle(root / "models")
    (root / "metrics").mkdir()
    for name in ("evaluation.json", "image_counts.csv"):
        shutil.move(root / "models" / name, root / "metrics" / name)
    scores = json.loads((root / "models/model.json").read_text())["lineage"]["scores"]
    summary = {
        **{"best_step": scores["best_step"], "val_miou": scores["val_miou"], "mlflow_run": run_id},
        **{"images_per_second": 1.5, "seconds": 3600, "wait_share": 0, "peak_memory_mb": 700},
        **{"processes": 1, "precision": "fp32", "device": "a chip"},
    }
    (root / "metrics/training.json").write_text(json.dumps(summary))
    return root


def test_models_has_the_results_in_metrics(tmp_path: Path, scratch: Path) -> None:
    project(tmp_path, "r1")
    found = find_trained("models", SETTINGS, scratch)
    assert [*found.results] == ["evaluation.json", "image_counts.csv", "training.json"]
    assert found.run_id == "r1" and found.training is not None
    assert found.evaluation == read_run("metrics").evaluation
    before = found.content
    assert find_trained("models", SETTINGS, scratch).content == before
    scores = tmp_path / "metrics/evaluation.json"
    scores.write_text(scores.read_text() + "\n")
    assert find_trained("models", SETTINGS, scratch).content != before


def test_scores_of_another_model_are_refused(tmp_path: Path, scratch: Path) -> None:
    lock = project(tmp_path) / "dvc.lock"
    stages = (
        "stages:\n  train: {outs: [{path: models, md5: a}]}\n"
        "  evaluate: {deps: [{path: models, md5: %s}]}"
    )
    lock.write_text(stages % "a")
    find_trained("models", SETTINGS, scratch)
    lock.write_text(stages % "b")
    with pytest.raises(DataError, match=r"metrics: holds the scores of another model than models"):
        find_trained("models", SETTINGS, scratch)
    lock.unlink()
    summary = tmp_path / "metrics/training.json"
    summary.write_text(summary.read_text().replace('"best_step": 12', '"best_step": 13'))
    with pytest.raises(DataError, match="of another model"):
        find_trained("models", SETTINGS, scratch)
    summary.unlink()
    with pytest.raises(DataError, match="of another model"):
        find_trained("models", SETTINGS, scratch)


def test_what_is_missing_is_named(tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(DataError, match="nothing: is no folder with"):
        find_trained("nothing", SETTINGS, scratch)
    project(tmp_path)
    (tmp_path / "metrics/evaluation.json").unlink()
    with pytest.raises(DataError, match=r"there is no evaluation\.json.*dvc repro evaluate"):
        find_trained("models", SETTINGS, scratch)
    (tmp_path / "models/model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"holds no model\.safetensors"):
        find_trained("models", SETTINGS, scratch)


def test_an_mlflow_run_holds_both(tmp_path: Path, scratch: Path) -> None:
    project(tmp_path)
    with start_run(SETTINGS, "unet [wide]", {}, {}) as tracker:
        tracker.log_files(tmp_path / "models", "bundle")
        tracker.log_files(tmp_path / "metrics/evaluation.json", "evaluation")
        tracker.log_files(tmp_path / "metrics/image_counts.csv", "evaluation")
        tracker.log_files(tmp_path / "metrics/training.json", "training")
    found = find_trained("unet [wide]", SETTINGS, scratch)
    assert found.run_id == tracker.run_id
    assert found.content == find_trained("models", SETTINGS, scratch).content


def test_an_experiment_of_dvc_holds_both(tmp_path: Path, scratch: Path) -> None:
    project(tmp_path, "r1")

    def run(*command: str) -> None:
        path = f"{Path(sys.executable).parent}:{child_environment()['PATH']}"
        environment = child_environment(PATH=path, DVC_NO_ANALYTICS="1")
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)

    run("git", "init", "-q")
    run("git", "config", "user.email", "ann@example.org")
    run("git", "config", "user.name", "Ann")
    run("dvc", "init", "-q")
    run("dvc", "add", "-q", "models")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "trained")
    there = find_trained("models", SETTINGS, scratch)
    expected = there.content, there.run_id, [*there.results]
    shutil.rmtree(tmp_path / "models")
    shutil.rmtree(tmp_path / "metrics")
    found = find_trained("HEAD", SETTINGS, scratch)
    assert (found.content, found.run_id, [*found.results]) == expected
