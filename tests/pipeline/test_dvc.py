"""The pipeline under DVC, in a repository of its own: what reruns, what does not, experiments."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.forge import (
    ROOT,
    child_environment,
    make_folder,
    save,
    scene,
    tiny_parameters,
    write_parameters,
)

# One after another in one process: they share a repository.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dvc"), pytest.mark.timeout(1800)]

COPIED = ("segpipe", "stages", "dvc.yaml", ".dvcignore", ".gitignore", "pyproject.toml")


def run(repository: Path, *arguments: str, code: int = 0) -> str:
    """Run a program of the environment, DVC or git, and return what it printed."""
    folder = Path(sys.executable).parent
    path = f"{folder}:{child_environment()['PATH']}"
    done = subprocess.run(
        [*arguments],
        cwd=repository,
        env=child_environment(PATH=path, DVC_NO_ANALYTICS="1"),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def stages_that_ran(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def set_parameter(repository: Path, data: Path, **changes: object) -> None:
    content = tiny_parameters(data, tracking__enabled=True, **changes)
    write_parameters(repository / "params.yaml", content)


def runs_of(repository: Path) -> set[str]:
    """The ids of all runs in the repository's store."""
    with closing(sqlite3.connect(repository / "mlflow.db")) as connection:
        return {run for (run,) in connection.execute("SELECT run_uuid FROM runs")}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("data"), train=8, val=3)


@pytest.fixture(scope="module")
def repository(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed baseline, after its first `dvc repro`."""
    root = tmp_path_factory.mktemp("repository")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    (root / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", root / ".dvc/config")
    shutil.copytree(ROOT / ".dvc/plots", root / ".dvc/plots")
    (root / ".dvc/.gitignore").write_text("/tmp\n/cache\n/config.local\n")
    for folder in ("data", "metrics"):
        (root / folder).mkdir()
        shutil.copy(ROOT / folder / ".gitignore", root / folder)
    set_parameter(root, data)
    run(root, "git", "init", "-q", "-b", "main")
    run(root, "git", "config", "user.email", "ann@example.org")
    run(root, "git", "config", "user.name", "Ann")
    ran = stages_that_ran(run(root, "dvc", "repro"))
    assert ran == ["fetch", "prepare", "train", "evaluate", "render"]
    run(root, "git", "add", "-A")
    run(root, "git", "commit", "-qm", "baseline")
    return root


@pytest.fixture(autouse=True)
def baseline(request: pytest.FixtureRequest, data: Path) -> None:
    """Put the parameters and the outputs of the baseline back before each test."""
    root = request.getfixturevalue("repository")
    run(root, "git", "checkout", "-qf", "main")
    run(root, "dvc", "checkout", "-q", "--force")


def test_a_second_run_does_nothing(repository: Path) -> None:
    output = run(repository, "dvc", "repro")
    assert stages_that_ran(output) == []
    assert "up to date" in output
    assert "up to date" in run(repository, "dvc", "status")


def test_git_holds_the_metrics_and_dvc_the_rest(repository: Path) -> None:
    tracked = set(run(repository, "git", "ls-files").split())
    assert {
        f"metrics/{name}" for name in ("evaluation.json", "training.json", "history.csv")
    } <= tracked
    assert not [
        name for name in tracked if name.startswith(("data/raw", "data/prep", "models", "pred"))
    ]
    assert run(repository, "git", "status", "--porcelain") == ""


def test_the_learning_rate_reruns_from_train(repository: Path, data: Path) -> None:
    set_parameter(repository, data, train__lr=0.02)
    assert stages_that_ran(run(repository, "dvc", "repro")) == ["train", "evaluate", "render"]


def test_the_preparation_reruns_from_there(repository: Path, data: Path) -> None:
    set_parameter(repository, data, prepare__copies__count=1)
    ran = stages_that_ran(run(repository, "dvc", "repro"))
    assert ran == ["prepare", "train", "evaluate", "render"]


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("segpipe/dashboard/page.py", []),
        ("segpipe/tracking/run.py", []),
        ("segpipe/console.py", []),
        ("segpipe/rendering/overlay.py", ["prepare", "render"]),
        ("segpipe/losses/cross_entropy.py", ["train"]),
        ("segpipe/evaluation/report.py", ["evaluate"]),
    ],
)
def test_an_edit_of_code_reruns_what_it_can_change(
    file: str, changed: list[str], repository: Path
) -> None:
    path = repository / file
    path.parent.mkdir(exist_ok=True)
    before = path.read_text() if path.exists() else ""
    path.write_text(before + "\n# another line\n")
    try:
        status = json.loads(run(repository, "dvc", "status", "--json"))
        own = [
            stage for stage, facts in status.items() if file.rpartition("/")[0] in json.dumps(facts)
        ]
        assert own == changed
    finally:
        path.write_text(before)


def test_a_file_added_to_the_users_folder_is_noticed(repository: Path, data: Path) -> None:
    image, mask = scene(99)
    added = [data / "images/train/new_099.png", data / "masks/train/new_099.png"]
    save(added[0], image)
    save(added[1], mask)
    try:
        ran = stages_that_ran(run(repository, "dvc", "repro"))
        assert ran == ["fetch", "prepare", "train", "evaluate", "render"]
        assert "new_099" in (repository / "data/prepared/train/index.csv").read_text()
    finally:
        for path in added:
            path.unlink()


# What MLflow holds of each run: its state, its DVC experiment, whether it was evaluated, and the
# steps of its validations.
LIST_RUNS = """
import json
from mlflow import MlflowClient

client = MlflowClient("sqlite:///mlflow.db")
experiment = client.get_experiment_by_name("segpipe")
runs = client.search_runs([experiment.experiment_id])
facts = {
    run.info.run_id: [
        run.info.status,
        run.data.tags.get("dvc_experiment"),
        "evaluation/val_miou" in run.data.metrics,
        [metric.step for metric in client.get_metric_history(run.info.run_id, "val_miou")],
    ]
    for run in runs
}
print(json.dumps(facts))
"""


def recorded_runs(repository: Path) -> dict[str, list[object]]:
    """The runs in the repository's MLflow store, by id."""
    printed = run(repository, sys.executable, "-W", "ignore", "-c", LIST_RUNS)
    facts: dict[str, list[object]] = json.loads(printed.splitlines()[-1])
    return facts


def test_experiments_in_the_workspace_and_beside_it(repository: Path) -> None:
    before = recorded_runs(repository)
    assert "train" in stages_that_ran(run(repository, "dvc", "exp", "run", "-S", "train.lr=1e-3"))
    # In a temporary workspace: its own snapshot of the code, the main repository's MLflow store.
    run(repository, "dvc", "exp", "run", "--temp", "-n", "beside", "-S", "train.lr=2e-3")
    shown = run(repository, "dvc", "exp", "show", "--csv")
    assert "0.002" in shown
    assert "0.001" in shown
    assert "miou" in run(repository, "dvc", "metrics", "diff", "HEAD")
    runs = recorded_runs(repository)
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


@pytest.mark.parametrize(
    ("option", "place"),
    [("model.name=pspnet", ("model", "name")), ("loss.name=lovasz", ("loss", "name"))],
)
def test_an_alternative_by_its_name_alone(
    option: str, place: tuple[str, str], repository: Path
) -> None:
    ran = stages_that_ran(run(repository, "dvc", "exp", "run", "-S", option))
    assert ran == ["train", "evaluate", "render"]
    recorded = json.loads((repository / "models/model.json").read_text())["lineage"]
    section, key = place
    assert recorded["parameters"][section][key] == option.partition("=")[2]


def test_plots_work_without_a_network(repository: Path) -> None:
    run(repository, "dvc", "plots", "show")
    page = (repository / "dvc_plots/index.html").read_text()
    assert "train_loss" in page
    assert "confusion" in page
    assert 'src="http' not in page


def test_several_processes_under_dvc(repository: Path, data: Path) -> None:
    set_parameter(repository, data, train__seed=5)
    before = runs_of(repository)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dvc"), "repro", "train"],
        cwd=repository,
        env=child_environment(
            SEGPIPE_PROCESSES="2",
            PATH=f"{Path(sys.executable).parent}:{child_environment()['PATH']}",
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((repository / "metrics/training.json").read_text())["processes"] == 2
    (made,) = runs_of(repository) - before
    pictures = repository / "mlartifacts" / made / "artifacts" / "validation"
    assert {path.name for path in pictures.iterdir()} == {
        "step_000000002.png",
        "step_000000004.png",
    }
