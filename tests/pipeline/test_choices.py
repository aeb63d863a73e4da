"""Law 13 in DVC: of models and sources the chosen one alone makes a stage stale."""

import copy
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from dvc.repo import Repo

from segpipe.params.model import ModelName
from segpipe.params.source import SourceName
from segpipe.runtime.yaml_file import read_yaml
from tests.forge import ROOT, make_folder, tiny_parameters, write_parameters
from tests.pipeline.conftest import copy_project

pytestmark = pytest.mark.slow

MODELS, SOURCES = get_args(ModelName), get_args(SourceName)


def outputs() -> list[str]:
    """A file for each output of dvc.yaml: itself, or one in the folder."""
    stages = read_yaml(ROOT / "dvc.yaml")["stages"].values()
    declared = [
        next(iter(one)) if isinstance(one, dict) else one
        for stage in stages
        for kind in ("outs", "metrics", "plots")
        for one in stage.get(kind, [])
    ]
    # Of a folder render names a single file.
    return [name if Path(name).suffix else f"{name}/x" for name in declared] + [
        "data/report/report.json"
    ]


class Project:
    """A project whose outputs are recorded as made with the present parameters and code."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def record(self, content: dict[str, Any]) -> None:
        write_parameters(self.root / "params.yaml", content)
        with Repo(str(self.root)) as repo:
            repo.commit(force=True)

    def stale(self, content: dict[str, Any]) -> set[str]:
        """The stages that DVC would run by themselves with these parameters."""
        write_parameters(self.root / "params.yaml", content)
        with Repo(str(self.root)) as repo:
            return set(repo.status())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("choices")
    copy_project(root)
    for name in outputs():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    write_parameters(root / "params.yaml", settings(root))
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    before = Path.cwd()
    os.chdir(root)
    yield Project(root)
    os.chdir(before)


def settings(root: Path) -> dict[str, Any]:
    data = root / "data/mine"
    if not data.exists():
        make_folder(data)
    return tiny_parameters(data)


def with_other_options(content: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    """The options of an alternative changed, one added and one taken away."""
    content = copy.deepcopy(content)
    options = content[section][name]
    for key in list(options)[1:]:
        del options[key]
    for key in options:
        options[key] = 999
    options["added_by_a_later_version"] = True
    return content


def touched(path: Path) -> None:
    path.write_text(path.read_text() + "\n# changed\n")


@pytest.mark.parametrize("model", MODELS)
def test_another_model_retrains_nothing(project: Project, model: str) -> None:
    content = settings(project.root)
    content["model"]["name"] = model
    project.record(content)
    others = content
    for other in set(MODELS) - {model}:
        others = with_other_options(others, "model", other)
        touched(project.root / f"segpipe/models/{other}.py")
    assert project.stale(others) == set()
    assert project.stale(with_other_options(content, "model", model)) == {"train"}
    touched(project.root / f"segpipe/models/{model}.py")
    assert project.stale(content) == {"train", "evaluate", "render"}


@pytest.mark.parametrize("source", SOURCES)
def test_another_source_fetches_nothing(project: Project, source: str) -> None:
    content = settings(project.root)
    content["source"]["name"] = source
    project.record(content)
    others = content
    for other in set(SOURCES) - {source}:
        others = with_other_options(others, "source", other)
        (project.root / f"segpipe/sources/{other}/added.py").write_text("# changed\n")
        touched(project.root / f"segpipe/sources/{other}/samples.py")
    assert project.stale(others) == set()
    assert project.stale(with_other_options(content, "source", source)) == {"fetch", "prepare"}
    (project.root / f"segpipe/sources/{source}/changed.py").write_text("# changed\n")
    assert project.stale(content) == {"fetch"}


def test_each_option_in_use_makes_its_stage_stale(project: Project) -> None:
    content = settings(project.root)
    content["loss"]["name"] = "sum"
    project.record(content)
    for stages, section, key, value in (
        ({"train"}, ("loss", "dice"), "smooth", 2.0),
        ({"train"}, ("train",), "lr", 0.5),
        ({"train"}, ("model", "unet"), "width", 8),
        ({"train"}, ("model",), "pretrained", "w.safetensors"),
        ({"evaluate", "render"}, ("evaluate",), "boundaries", [3.0]),
        ({"render"}, ("render",), "images", 3),
        ({"prepare"}, ("prepare",), "height", 64),
        ({"prepare"}, ("labels",), "scheme", "sky"),
    ):
        changed = copy.deepcopy(content)
        inner = changed
        for part in section:
            inner = inner[part]
        assert inner[key] != value
        inner[key] = value
        assert project.stale(changed) == stages, key


def test_training_stays_when_the_offline_copies_or_the_painter_are_edited(project: Project) -> None:
    content = settings(project.root)
    project.record(content)
    touched(project.root / "segpipe/preparation/copies.py")
    assert project.stale(content) == {"prepare"}
    touched(project.root / "segpipe/training/watch/console.py")
    touched(project.root / "segpipe/tracking/store.py")
    assert project.stale(content) == {"prepare"}
