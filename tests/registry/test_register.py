"""Registering and promoting in a store of MLflow; it covers promote and tracking/registry too."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from segpipe.cli.main import main
from segpipe.params.schema import TrackingParams
from segpipe.registry.find import find_trained
from segpipe.registry.promote import promote
from segpipe.registry.register import register_model
from segpipe.results.experiments import read_run
from segpipe.runtime.errors import ParameterError
from segpipe.tracking.registry import fetch_results, version_at
from segpipe.tracking.run import start_run
from tests.registry.models import evaluated_bundle

SETTINGS = TrackingParams(system_seconds=0)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DVC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def client(root: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{root}/mlflow.db", f"sqlite:///{root}/mlflow.db")


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_version_holds_the_model_its_scores_and_its_card_without_a_pickle(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with start_run(SETTINGS, "unet", {}, {}) as tracker:
        pass
    evaluated_bundle(work / "a")
    found = find_trained("a", SETTINGS, work)
    capfd.readouterr()
    version, is_new = register_model(
        type(found)(**{**vars(found), "run_id": tracker.run_id}), "streets", SETTINGS
    )
    assert capfd.readouterr() == ("", ""), "MLflow is quiet"
    assert is_new and (version.number, version.run_id) == ("1", tracker.run_id)
    store = client(work)
    stored = store.get_model_version("streets", "1")
    assert stored.aliases == ["candidate"] and "mIoU" in stored.description
    assert store.get_run(tracker.run_id).data.tags["registered_model"] == "streets, version 1"
    folder = Path(store.download_artifacts(version.run_id, version.place, str(work)))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".pyc"))]
    for name in ("model.json", "model.safetensors"):
        same = folder / "artifacts/bundle" / name
        assert same.read_bytes() == (work / "a" / name).read_bytes()
    assert {"README.md", "served_model.py", "input_example.json", "code/segpipe/bundle.py"} <= files
    description = (folder / "MLmodel").read_text()
    assert '"name": "image"' in description and '"name": "label_map"' in description
    (work / "fetched").mkdir()
    scores = read_run(str(fetch_results(SETTINGS, version, work / "fetched")))
    assert scores.evaluation == found.evaluation and len(scores.image_counts or []) == 40


def test_the_candidate_becomes_champion_where_it_is_better(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, gain in (("a", 0.0), ("b", 0.02), ("c", 0.0)):
        evaluated_bundle(work / name, gain)
    assert main(["register", "a", "--name", "streets"]) == 0
    assert said(capsys)[0] == "streets, version 1: candidate"
    assert main(["promote", "streets"]) == 0
    assert said(capsys) == ["there was no champion", "streets, version 1 is the champion now"]
    assert promote("streets", SETTINGS, force=False).lines == [
        "streets, version 1 is the champion already"
    ]

    assert main(["register", "b", "--name", "streets"]) == 0
    capsys.readouterr()
    assert main(["promote", "streets"]) == 0
    lines = said(capsys)
    assert (
        "mIoU, version 2 against version 1: shown: version 2 is better than version 1 by"
        in lines[-2]
    )
    assert lines[-1] == "streets, version 2 is the champion now"
    tags = client(work).get_model_version("streets", "2").tags
    assert "version 2 is better" in tags["champion"]

    assert main(["register", "c", "--name", "streets"]) == 0
    assert said(capsys)[0] == (
        "streets, version 1: candidate; it was registered before, with the same weights and scores"
    )
    assert main(["promote", "streets"]) == 1
    lines = said(capsys)
    assert "shown: version 2 is better than version 1 by" in lines[-2]
    assert lines[-1] == "streets, version 1 stays candidate; streets, version 2 stays champion"
    assert version_at(SETTINGS, "streets", "champion") != version_at(
        SETTINGS, "streets", "candidate"
    )


@pytest.mark.slow
def test_without_a_paired_comparison_a_person_decides(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, images in (("a", 40), ("b", 30)):
        evaluated_bundle(work / name, images=images)
        assert main(["register", name]) == 0
        capsys.readouterr()
        assert main(["promote"]) == (0 if name == "a" else 1)
    assert "no verdict: the images differ: 10 are in one of them alone" in said(capsys)[-2]
    assert main(["promote", "--force"]) == 0
    assert said(capsys)[-1] == "segpipe, version 2 is the champion now"
    tag = client(work).get_model_version("segpipe", "2").tags["champion"]
    assert tag.startswith("forced, though: ") and "images differ" in tag


def test_what_is_missing_or_refused_is_named(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["promote", "streets"]) == 1
    assert "segpipe register --name streets" in capsys.readouterr().err
    assert not (work / "mlflow.db").exists()
    evaluated_bundle(work / "a")
    for name in ("", " ", "a/b", "a:b"):
        with pytest.raises(ParameterError, match="--name is"):
            register_model(find_trained("a", SETTINGS, work), name, SETTINGS)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cretword@127.0.0.1:9")
    away = SETTINGS.model_copy(update={"unreachable": "local"})
    (work / "params.yaml").unlink(missing_ok=True)
    for command in (["register", "a"], ["promote"]):
        assert main(command) == 1
        error = capsys.readouterr().err
        assert "connection refused" in error and "s3cretword" not in error
    with pytest.raises(Exception, match="connection refused"):
        version_at(away, "streets", "champion")


@pytest.mark.slow
def test_a_version_of_another_program_is_said(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_run(SETTINGS, "unet", {}, {}) as tracker:
        pass
    store = client(work)
    store.create_registered_model("other")
    store.create_model_version("other", f"runs:/{tracker.run_id}/model", tracker.run_id)
    store.set_registered_model_alias("other", "candidate", "1")
    assert main(["promote", "other"]) == 1
    assert "version 1 was not registered by segpipe" in capsys.readouterr().err


def test_the_help_imports_neither_mlflow_nor_torch() -> None:
    code = (
        "import sys; from segpipe.cli.main import main\n"
        "try: main(['promote', '--help'])\nexcept SystemExit: pass\n"
        "sys.exit(bool({'mlflow', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
