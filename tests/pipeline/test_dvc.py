"""The pipeline under DVC, in a repository of its own: what reruns, what does not, experiments."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.forge import save, scene, tiny_parameters, write_parameters
from tests.pipeline.cache import damaged, objects
from tests.pipeline.conftest import mlflow_of, run, stages_that_ran

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def set_parameter(repository: Path, data: Path, **changes: object) -> None:
    content = tiny_parameters(data, tracking__enabled=True, **changes)
    write_parameters(repository / "params.yaml", content)


def runs_of(repository: Path) -> set[str]:
    """The ids of all runs in the repository's store."""
    with closing(sqlite3.connect(repository / "mlflow.db")) as connection:
        return {run for (run,) in connection.execute("SELECT run_uuid FROM runs")}


def test_a_second_run_does_nothing(baseline: Path) -> None:
    output = run(baseline, "dvc", "repro")
    assert stages_that_ran(output) == []
    assert "up to date" in output
    assert "up to date" in run(baseline, "dvc", "status")


def test_git_holds_the_metrics_and_dvc_the_rest(baseline: Path) -> None:
    tracked = set(run(baseline, "git", "ls-files").split())
    assert {
        f"metrics/{name}" for name in ("evaluation.json", "training.json", "history.csv")
    } <= tracked
    assert not [
        name for name in tracked if name.startswith(("data/raw", "data/prep", "models", "pred"))
    ]
    assert run(baseline, "git", "status", "--porcelain") == ""


def test_the_learning_rate_reruns_from_train_on_two_processes(baseline: Path, data: Path) -> None:
    set_parameter(baseline, data, train__lr=0.02)
    before = runs_of(baseline)
    ran = stages_that_ran(run(baseline, "dvc", "repro", SEGPIPE_PROCESSES="2"))
    assert ran == ["train", "evaluate", "render"]
    assert json.loads((baseline / "metrics/training.json").read_text())["processes"] == 2
    (made,) = runs_of(baseline) - before
    pictures = baseline / "mlartifacts" / made / "artifacts" / "validation"
    names = {path.name for path in pictures.iterdir()}
    assert names == {"step_000000002.png", "step_000000004.png"}


def test_going_back_to_earlier_parameters_runs_nothing(baseline: Path, data: Path) -> None:
    """Also when an experiment beside the workspace has run them."""
    before = results(baseline)
    other = ["-n", "other", "-S", "train.lr=0.03"]
    ran = stages_that_ran(run(baseline, "dvc", "exp", "run", "--temp", *other))
    assert ran == ["train", "evaluate", "render"]
    recorded = runs_of(baseline)
    set_parameter(baseline, data, train__lr=0.03)
    said = run(baseline, "dvc", "repro")
    assert stages_that_ran(said) == [] and said.count("is cached") == 3
    assert results(baseline) != before
    assert trained_with(baseline)["train"]["lr"] == 0.03
    set_parameter(baseline, data)
    said = run(baseline, "dvc", "repro")
    assert stages_that_ran(said) == [] and said.count("is cached") == 3
    assert results(baseline) == before
    assert run(baseline, "git", "status", "--porcelain") == ""
    assert runs_of(baseline) == recorded, "MLflow has a run for each training, and none ran"
    assert damaged(baseline) == []


def results(repository: Path) -> dict[str, bytes]:
    """What the stages from train on have written, by path."""
    folders = [repository / name for name in ("models", "metrics", "predictions")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    return {str(path): path.read_bytes() for path in files}


def test_the_preparation_reruns_from_there(baseline: Path, data: Path) -> None:
    set_parameter(baseline, data, prepare__copies__count=1)
    ran = stages_that_ran(run(baseline, "dvc", "repro"))
    assert ran == ["prepare", "train", "evaluate", "render"]


def test_an_edit_of_code_reruns_what_it_can_change(baseline: Path) -> None:
    reruns = {
        "segpipe/cli/show.py": [],
        "segpipe/preparation/copies.py": ["prepare"],
        "segpipe/models/pspnet.py": [],
        "segpipe/tracking/run.py": [],
        "segpipe/runtime/console.py": [],
        "segpipe/rendering/overlay.py": ["prepare", "render"],
        "segpipe/losses/cross_entropy.py": ["train"],
        "segpipe/evaluation/report.py": ["evaluate"],
    }
    found = {}
    for file in reruns:
        path = baseline / file
        path.parent.mkdir(exist_ok=True)
        before = path.read_text() if path.exists() else ""
        path.write_text(before + "\n# another line\n")
        status = json.loads(run(baseline, "dvc", "status", "--json"))
        path.write_text(before)
        place = file.rpartition("/")[0]
        found[file] = [stage for stage, facts in status.items() if place in json.dumps(facts)]
    assert found == reruns


def test_a_file_added_to_the_users_folder_is_noticed(baseline: Path, data: Path) -> None:
    image, mask = scene(99)
    added = [data / "images/train/new_099.png", data / "masks/train/new_099.png"]
    save(added[0], image)
    save(added[1], mask)
    try:
        ran = stages_that_ran(run(baseline, "dvc", "repro"))
        assert ran == ["fetch", "prepare", "train", "evaluate", "render"]
        index = baseline / "data/prepared/train/index.csv"
        assert "new_099" in index.read_text()
        assert index.stat().st_nlink == 2, "what a run makes is linked into the cache"
        assert index.stat().st_mode & 0o222 == 0
    finally:
        for path in added:
            path.unlink()


def recorded_runs(repository: Path) -> dict[str, list[object]]:
    """What MLflow holds of each run, by id: its state, its DVC experiment, whether it was evaluated, and
    the steps of its validations.
    """
    with mlflow_of(repository) as client:
        [experiment] = client.search_experiments(filter_string="name = 'segpipe'")
        return {
            run.info.run_id: [
                run.info.status,
                run.data.tags.get("dvc_experiment"),
                "miou" in run.data.metrics,
                [metric.step for metric in client.get_metric_history(run.info.run_id, "val_miou")],
            ]
            for run in client.search_runs([experiment.experiment_id])
        }


def test_experiments_in_the_workspace_and_beside_it(baseline: Path) -> None:
    """Each switches an alternative by its name alone. The cache keeps what it had."""
    before, cached = recorded_runs(baseline), objects(baseline)
    ran = stages_that_ran(run(baseline, "dvc", "exp", "run", "-S", "model.name=pspnet"))
    assert ran == ["train", "evaluate", "render"]
    assert trained_with(baseline)["model"]["name"] == "pspnet"
    # In a temporary workspace: its own snapshot of the code, the main baseline's MLflow store.
    run(baseline, "dvc", "exp", "run", "--temp", "-n", "beside", "-S", "loss.name=lovasz")
    assert len(objects(baseline)) > len(cached), "the experiments made nothing new"
    assert cached.items() <= objects(baseline).items()
    assert damaged(baseline) == []
    shown = run(baseline, "dvc", "exp", "show", "--csv")
    assert "pspnet" in shown
    assert "lovasz" in shown
    assert "miou" in run(baseline, "dvc", "metrics", "diff", "HEAD")
    runs = recorded_runs(baseline)
    assert "RUNNING" not in [status for status, *_ in runs.values()]
    own = [facts for key, facts in runs.items() if key not in before]
    assert len(own) == 2
    assert all(facts[0] == "FINISHED" and facts[2] for facts in own)
    assert "beside" in [facts[1] for facts in own]
    assert [facts[3] for facts in own] == [[2, 4]] * 2, (
        "one value an epoch of two steps, no other's"
    )
    assert before, "the baseline's run"
    assert all(runs[key][0] == "FINISHED" for key in before)
    for revision in ("HEAD", "beside"):
        place = baseline.parent / f"kept/{revision}"
        for output in ("predictions", "models"):
            run(baseline, "dvc", "get", ".", output, "--rev", revision, "-o", str(place / output))
    kept = [baseline.parent / f"kept/{revision}/predictions" for revision in ("HEAD", "beside")]
    assert sheet_of(kept[0]) != sheet_of(kept[1]), "the predictions of each, side by side"
    run(baseline, "dvc", "exp", "apply", "beside")
    assert trained_with(baseline)["loss"]["name"] == "lovasz"
    assert sheet_of(baseline / "predictions") == sheet_of(kept[1])


def sheet_of(predictions: Path) -> bytes:
    """The picture of all predictions that were rendered."""
    return (predictions / "contact_sheet.png").read_bytes()


def trained_with(repository: Path) -> dict[str, dict[str, object]]:
    """The parameters that the bundle says it was trained with."""
    lineage = json.loads((repository / "models/model.json").read_text())["lineage"]
    parameters: dict[str, dict[str, object]] = lineage["parameters"]
    return parameters


def test_plots_work_without_a_network(baseline: Path) -> None:
    run(baseline, "dvc", "plots", "show")
    page = (baseline / "dvc_plots/index.html").read_text()
    assert "train_loss" in page
    assert "confusion" in page
    assert 'src="http' not in page
