"""Models of folders, DVC experiments and MLflow runs; it covers tracking/bundles too."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segpipe.bundle_format import SHIPPED
from segpipe.dashboard.model_list import EXPERIMENTS, FOLDERS, RUNS, files_state, models_of
from segpipe.inference.predictor import Predictor
from segpipe.params.schema import TrackingParams
from segpipe.runtime.errors import BundleError, TrackingError
from segpipe.tracking.store import open_store
from tests.dashboard.project import BUNDLE, copy_bundle
from tests.forge import child_environment


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / ".dvc").mkdir()


def test_folders_are_bundles_or_hold_them(tmp_path: Path) -> None:
    copy_bundle(tmp_path / "models")
    copy_bundle(tmp_path / "bundles/b")
    copy_bundle(tmp_path / "bundles/a")
    (tmp_path / "bundles/none").mkdir()
    found = models_of(FOLDERS, [Path("models"), Path("bundles"), Path("missing")])
    folders = {name: folder() for name, folder in found.items()}
    assert [*folders] == ["models", "bundles/a", "bundles/b", "streets (comes with segpipe)"]
    assert folders["bundles/b"] == Path("bundles/b") and folders[[*folders][-1]] == SHIPPED


def test_a_link_out_of_a_folder_of_models_is_no_model(tmp_path: Path) -> None:
    copy_bundle(tmp_path / "elsewhere")
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles/link").symlink_to(tmp_path / "elsewhere")
    assert "bundles/link" not in models_of(FOLDERS, [Path("bundles")])


def test_the_state_changes_with_the_files(tmp_path: Path) -> None:
    copy_bundle(tmp_path / "models")
    before = files_state(Path("models"))
    assert files_state(Path("models")) == before
    shutil.copyfile(BUNDLE / "model.json", tmp_path / "models/new")
    (tmp_path / "models/new").replace(tmp_path / "models/model.json")
    assert files_state(Path("models")) != before
    (tmp_path / "models/model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"model\.safetensors: No such file"):
        files_state(Path("models"))


def test_the_model_of_an_experiment_comes_from_dvcs_cache(tmp_path: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=child_environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    (tmp_path / ".dvc").rmdir()
    dvc = (sys.executable, "-m", "dvc")
    run("git", "init", "-q")
    run("git", "config", "user.email", "a@example.org")
    run("git", "config", "user.name", "a")
    run(*dvc, "init", "-q")
    copy_bundle(tmp_path / "models")
    run(*dvc, "add", "-q", "models")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "trained")
    head = run("git", "rev-parse", "HEAD")
    run("git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/wide-net", head)
    run("git", "rm", "-q", "models.dvc")
    shutil.rmtree(tmp_path / "models")
    found = models_of(EXPERIMENTS, [])
    assert [*found] == ["wide-net"]
    folder = found["wide-net"]()
    assert folder.is_relative_to(tmp_path / ".segpipe/dashboard")
    assert Predictor.load(folder).scheme.classes == ("sky", "road", "car")
    shutil.rmtree(tmp_path / ".dvc/cache")
    assert found["wide-net"]() == folder  # it is kept
    shutil.rmtree(folder)
    with pytest.raises(BundleError, match="wide-net: its model cannot be read from DVC's cache"):
        found["wide-net"]()


def test_the_model_of_a_run_comes_from_mlflow(tmp_path: Path) -> None:
    assert models_of(RUNS, []) == {}
    assert not (tmp_path / "mlflow.db").exists()  # looking makes nothing
    store = open_store(TrackingParams())
    with store.calls() as client:
        for name in ("with model", "without"):
            run = client.create_run(store.experiment_id, run_name=name)
            if name == "with model":
                client.log_artifacts(run.info.run_id, str(BUNDLE), "bundle")
            client.set_terminated(run.info.run_id)
        client.create_run(store.experiment_id, run_name="unfinished")
    found = models_of(RUNS, [])
    assert {name.partition(",")[0] for name in found} == {"with model", "without"}
    for name, fetch in found.items():
        if name.startswith("without"):
            with pytest.raises(TrackingError, match="holds no model"):
                fetch()
        else:
            assert Predictor.load(fetch()).scheme.classes == ("sky", "road", "car")
            assert fetch() == fetch()
