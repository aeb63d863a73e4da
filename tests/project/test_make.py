"""A project of one's own: its files, its parameters, where its data is read."""

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from segpipe.params.load import load_params
from segpipe.project.make import RECIPES, make_project, project_pipeline, write_pipeline
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.runtime.version import version_text
from segpipe.runtime.yaml_file import read_yaml
from tests.forge import ROOT, make_folder

COMMON = {".dvc", ".dvcignore", ".git", ".gitignore", "README.md", "data", "dvc.yaml", "metrics"}


def test_the_demo_has_all_that_a_stage_asks_for(tmp_path: Path) -> None:
    project = tmp_path / "demo"
    assert make_project(project, None) is None
    assert {path.name for path in project.iterdir()} == COMMON | {"params.yaml", "segpipe.version"}
    assert (project / "params.yaml").read_text() == (ROOT / "params.yaml").read_text()
    assert (project / "segpipe.version").read_text() == version_text()
    copied = (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore", ".dvc/plots/page.html")
    for name in (*copied, "data/synthetic.yaml", "data/.gitignore", "metrics/.gitignore"):
        assert not (project / name).is_symlink()
        assert (project / name).read_bytes() == (ROOT / name).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["demo"], "nothing is left beside it"
    assert "# demo\n" in (project / "README.md").read_text()


def test_the_pipeline_is_the_repositorys_but_for_the_code() -> None:
    ours = (ROOT / "dvc.yaml").read_text()
    before, after = YAML(typ="safe").load(ours), YAML(typ="safe").load(project_pipeline(ours))
    assert before["plots"] == after["plots"]
    for name, stage in before["stages"].items():
        data = [dep for dep in stage["deps"] if not dep.startswith(("segpipe/", "stages/"))]
        assert len(data) < len(stage["deps"])
        assert after["stages"][name] == {**stage, "deps": [*data, "segpipe.version"]}


def test_what_a_wheel_carries_are_links_to_the_repositorys_own_files() -> None:
    files = RECIPES.parent
    links = [path for path in files.rglob("*") if not path.is_dir() or path.is_symlink()]
    assert len(links) > 8
    assert all(path.is_symlink() and path.resolve().is_relative_to(ROOT) for path in links)
    assert not any(path.resolve().is_relative_to(files) for path in links)
    assert RECIPES.resolve() == ROOT / "recipes"


def test_a_folder_in_segpipes_layout_stays_where_it_is(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "mine", train=3, val=2)
    before = sorted(path for path in data.rglob("*"))
    assert make_project(tmp_path / "p", data) == data.resolve()
    assert sorted(path for path in data.rglob("*")) == before
    params = load_params(tmp_path / "p/params.yaml")
    assert (params.source.name, params.source.path) == ("folder", str(data.resolve()))
    assert (params.labels.scheme, params.prepare.split.by) == ("classes.csv", "folder")
    assert str(data) in (tmp_path / "p/params.yaml").read_text().splitlines()[2]


def test_the_split_and_the_label_file_are_those_of_the_data(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "mine", train=3, val=2)
    for kind in ("images", "masks"):
        for path in sorted((data / kind).rglob("*.*")):
            path.rename(data / kind / path.name)
    (data / "classes.csv").rename(data / "labels.yaml")
    names = [path.stem for path in sorted((data / "images").glob("*.*"))]
    make_project(tmp_path / "ratio", data)
    params = load_params(tmp_path / "ratio/params.yaml")
    assert (params.labels.scheme, params.prepare.split.by) == ("labels.yaml", "ratio")
    (data / "train.txt").write_text("\n".join(names[1:]))
    (data / "val.txt").write_text(names[0])
    make_project(tmp_path / "lists", data)
    assert load_params(tmp_path / "lists/params.yaml").prepare.split.by == "lists"
    (data / "labels.yaml").unlink()
    (data / "about.txt").write_text("Photographs of streets")
    (data / "labelmap.txt").write_text("road:128,64,128::\n")
    make_project(tmp_path / "labelmap", data)
    assert load_params(tmp_path / "labelmap/params.yaml").labels.scheme == "labelmap.txt"
    (data / "labelmap.txt").unlink()
    make_project(tmp_path / "none", data)
    assert load_params(tmp_path / "none/params.yaml").labels.scheme == "classes.csv"


def test_anything_else_is_imported_into_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def import_export(export: Path, folder: Path, *, form: str | None, copy: bool) -> Any:
        calls.append((export, form, copy))
        make_folder(folder, train=3, val=2)
        return types.SimpleNamespace(findings=())

    monkeypatch.setattr("segpipe.importing.import_export.import_export", import_export)
    export = tmp_path / "export.zip"
    export.write_bytes(b"PK")
    assert make_project(tmp_path / "p", export) == Path("data/own")
    assert calls == [(export.resolve(), None, False)]
    params = load_params(tmp_path / "p/params.yaml")
    assert (params.source.name, params.source.path) == ("folder", "data/own")
    assert (tmp_path / "p/data/own/images/train").is_dir()


def test_nothing_is_left_of_a_project_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file or folder"):
        make_project(tmp_path / "p", tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    with pytest.raises(ParameterError, match="is there already"):
        make_project(tmp_path / "there", None)


def test_without_git_dvc_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    make_project(tmp_path / "p", None)
    assert not (tmp_path / "p/.git").exists()
    assert "no_scm = true" in (tmp_path / "p/.dvc/config.local").read_text()
    dvc = [sys.executable, "-m", "dvc", "status"]
    done = subprocess.run(dvc, cwd=tmp_path / "p", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_upgrade_writes_pipeline_and_version(tmp_path: Path) -> None:
    for _ in range(2):
        write_pipeline(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {".dvc", "dvc.yaml", "segpipe.version"}
    stages = read_yaml(tmp_path / "dvc.yaml")["stages"].values()
    plots = [
        plot
        for stage in stages
        for one in stage.get("plots", [])
        if isinstance(one, dict)
        for plot in one.values()
    ]
    named = {plot["template"] for plot in plots if "template" in plot}
    assert len(named) > 3
    assert named <= {path.stem for path in (tmp_path / ".dvc/plots").glob("*.json")}
