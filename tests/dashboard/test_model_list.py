"""Models of folders, DVC experiments and MLflow runs; it covers tracking/bundles too."""

import shutil
from pathlib import Path

import pytest

from segpipe.bundle_format import SHIPPED
from segpipe.dashboard.model_list import EXPERIMENTS, FOLDERS, RUNS, files_state, models_of
from segpipe.inference.predictor import Predictor
from segpipe.runtime.errors import BundleError, TrackingError
from tests.dashboard.project import BUNDLE, copy_bundle, make_experiment, make_runs


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
    (tmp_path / ".dvc").rmdir()
    make_experiment(tmp_path, "wide-net")
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
    make_runs()
    found = models_of(RUNS, [])
    assert {name.partition(",")[0] for name in found} == {"with model", "without"}
    for name, fetch in found.items():
        if name.startswith("without"):
            with pytest.raises(TrackingError, match="holds no model"):
                fetch()
        else:
            assert Predictor.load(fetch()).scheme.classes == ("sky", "road", "car")
            assert fetch() == fetch()
