"""Names, descriptions and source of runs: what is not as the last commit has it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from segpipe.params.chosen import chosen
from segpipe.params.load import load_params
from segpipe.tracking.description import description, run_name, source_tags
from tests.forge import make_folder, tiny_parameters, write_parameters


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit of params.yaml, the current folder."""
    for name in ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write_parameters(Path("params.yaml"), tiny_parameters(make_folder(tmp_path / "data")))
    git("init", "-q", "-b", "main")
    git("config", "user.email", "ann@example.org")
    git("config", "user.name", "Ann")
    git("add", "params.yaml")
    git("commit", "-qm", "baseline")
    return tmp_path


def recorded(root: Path, **changes: Any) -> dict[str, Any]:
    """The parameters that count after an edit of params.yaml."""
    write_parameters(root / "params.yaml", tiny_parameters(root / "data", **changes))
    return chosen(load_params(root / "params.yaml"))


def test_a_name_tells_the_model_and_what_changed(
    committed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_name("unet", recorded(committed)) == "unet"
    changed = recorded(committed, train__lr=0.5, loss__name="lovasz", tracking__system_seconds=3)
    assert run_name("unet", changed) == "unet loss=lovasz lr=0.5"
    # The options of another model are told by its name.
    other = recorded(committed, model__name="pspnet", train__seed=7)
    assert run_name("pspnet", other) == "pspnet seed=7"
    monkeypatch.setenv("DVC_EXP_NAME", "wide")
    assert run_name("unet", changed) == "unet loss=lovasz lr=0.5 [wide]"
    many = recorded(
        committed,
        train__lr=0.5,
        train__seed=3,
        train__batch_size=1,
        loss__name="lovasz",
        train__length="9 epochs",
    )
    assert run_name("unet", many).count("=") == 4
    assert run_name("unet", many).endswith(" +1 [wide]")


def test_an_experiment_is_compared_with_the_commit_it_started_from(
    committed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = git("rev-parse", "HEAD")
    changed = recorded(committed, train__lr=0.5)
    git("commit", "-qam", "as DVC commits an experiment before it runs")
    assert run_name("unet", changed) == "unet"
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", first)
    assert run_name("unet", changed) == "unet lr=0.5"
    told = description("unet", changed)
    assert f"Changed since commit `{first[:10]}`" in told
    assert "- `train.lr`: " in told


def test_without_a_commit_there_is_nothing_to_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    assert run_name("unet", {"train": {"lr": 1}}) == "unet"
    assert "No commit" in description("unet", {"train": {"lr": 1}})
    assert source_tags() == {
        "mlflow.source.name": "stages/train.py",
        "mlflow.source.type": "LOCAL",
    }


def test_the_source_is_the_stage_and_the_commit(
    committed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_STAGE", "evaluate")
    (committed / "params.yaml").write_text("other: 1\n")
    assert source_tags() == {
        "mlflow.source.name": "stages/evaluate.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git("rev-parse", "HEAD"),
        "mlflow.source.git.branch": "main",
    }
