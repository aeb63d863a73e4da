"""What a training is made from, and what is said where a piece of that is missing.

tests/pipeline/test_reproduce.py trains again.
"""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from segpipe.bundle_format import SHIPPED
from segpipe.params.load import load_params
from segpipe.params.schema import TrackingParams
from segpipe.reproduction.checkout import clone, lay_parameters
from segpipe.reproduction.origin import Origin, find_origin
from segpipe.reproduction.reproduce import verdict
from segpipe.runtime.errors import DataError
from tests.forge import make_folder, tiny_parameters, write_parameters

OFF = TrackingParams(enabled=False)


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one commit of a repository, the current folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write_parameters(Path("params.yaml"), tiny_parameters(make_folder(tmp_path / "data")))
    for arguments in (
        ("init", "-q"),
        ("config", "user.email", "ann@example.org"),
        ("config", "user.name", "Ann"),
        ("add", "params.yaml"),
        ("commit", "-qm", "baseline"),
    ):
        subprocess.run(["git", *arguments], check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_bundle_names_its_commit_its_parameters_and_its_weights(
    tmp_path: Path, commit: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    about = json.loads((folder / "model.json").read_text())
    about["lineage"]["git_commit"] = f"{commit}-dirty"
    (folder / "model.json").write_text(json.dumps(about))
    found = find_origin(str(folder), OFF)
    assert found.commit == commit
    assert found.parameters == about["lineage"]["parameters"]
    assert found.weights == about["sha256"]
    assert found.data == about["lineage"]["data"]


def test_a_revision_is_found_and_anything_else_is_named(commit: str) -> None:
    assert find_origin("HEAD", OFF).commit == commit
    with pytest.raises(DataError, match=r"nothing: is no folder .* no MLflow run"):
        find_origin("nothing", OFF)


def test_a_commit_of_another_repository_is_named(tmp_path: Path, commit: str) -> None:
    origin = Origin("elsewhere", "the bundle in elsewhere", "1" * 40)
    with pytest.raises(DataError, match="commit 1111111111 is not in this repository; fetch"):
        clone(origin, tmp_path / "clone")
    with pytest.raises(DataError, match="no commit is recorded"):
        clone(replace(origin, commit=None), tmp_path / "clone")
    assert not (tmp_path / "clone").exists()


def test_parameters_are_laid_over_those_of_the_commit(tmp_path: Path, commit: str) -> None:
    origin = Origin("run", "", commit)
    project = clone(origin, tmp_path / "clone")
    committed = (project / "params.yaml").read_bytes()
    assert lay_parameters(origin, project) == []
    changed = {
        "train": {"lr": 0.00002, "seed": 7},
        # As model.json has them, with text as keys.
        "labels": {"map": {"40": "road"}},
    }
    lines = lay_parameters(replace(origin, parameters=changed), project)
    assert "train.seed: 0 → 7" in lines
    params = load_params(project / "params.yaml")
    assert (params.train.lr, params.train.seed) == (0.00002, 7)
    assert params.labels.map == {40: "road"}
    assert Path("params.yaml").read_bytes() == committed, "the workspace stays as it is"


def test_the_verdict_compares_scores_and_bits_and_names_the_machine() -> None:
    first = Origin(
        "run",
        "",
        None,
        weights={"model.safetensors": "a" * 64},
        scores={"mIoU": 0.5, "pixel accuracy": None},
        environment={"packages": {"torch": "2.1"}, "command": ["one"]},
    )
    again = verdict(first, first, dict(first.scores))
    assert again.equal
    assert again.lines[0].endswith("2 of 2 are equal")
    assert "the same bits: SHA-256 aaaaaaaaaaaaaaaa" in again.lines[1]
    other = replace(
        first,
        weights={"model.safetensors": "b" * 64},
        environment={"packages": {"torch": "2.2"}, "command": ["two"]},
    )
    differing = verdict(first, other, {"mIoU": 0.25, "pixel accuracy": None})
    assert not differing.equal
    said = "\n".join(differing.lines)
    assert "1 of 2 are equal" in said
    assert "mIoU: 0.5 before, 0.25 now" in said
    assert "other bits: model.safetensors" in said
    assert 'packages.torch: "2.1" before, "2.2" now' in said
    assert "command" not in said
    unknown = verdict(Origin("run", "", None), other, {"mIoU": 0.25})
    assert "not known" in unknown.lines[0] and "not known" in unknown.lines[1]
