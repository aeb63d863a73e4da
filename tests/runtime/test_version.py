"""segpipe.version: what a project's results were made with."""

from pathlib import Path

import pytest

from segpipe.runtime import version
from segpipe.runtime.errors import VersionError
from segpipe.runtime.provenance import take_snapshot
from segpipe.runtime.version import VERSION_FILE, installed_version, refuse_other_version
from tests.forge import tiny_parameters, write_parameters


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    VERSION_FILE.write_text(version.version_text())
    Path("dvc.yaml").write_text(f"stages:\n  fetch:\n    deps:\n      - {VERSION_FILE}\n")
    write_parameters(Path("params.yaml"), tiny_parameters(Path("data")))
    return tmp_path


def test_the_installed_one_is_taken(project: Path) -> None:
    refuse_other_version()
    snapshot = take_snapshot("fetch")
    assert list(snapshot.files) == ["segpipe.version"]
    snapshot.verify()
    VERSION_FILE.write_text("# another comment\n" + version.version_text())
    refuse_other_version()


def test_another_version_is_refused_with_two_ways_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, installed = take_snapshot("fetch"), installed_version()
    monkeypatch.setattr(version, "installed_version", lambda: "9.9")
    for refused in (lambda: take_snapshot("fetch"), snapshot.verify):
        with pytest.raises(VersionError) as caught:
            refused()
        said = str(caught.value)
        assert f"are those of segpipe {installed}, but segpipe 9.9 is installed" in said
        assert "segpipe use --upgrade" in said
        assert f"pip install segpipe=={installed}" in said


def test_other_code_of_the_same_version_is_refused(project: Path) -> None:
    code = next(one for one in version.version_text().splitlines() if one.startswith("code"))
    VERSION_FILE.write_text(version.version_text().replace(code, "code: 0"))
    with pytest.raises(VersionError, match="the code of the installed segpipe") as caught:
        refuse_other_version()
    assert "pip install" not in str(caught.value), "no other version would be the former one"


def test_a_missing_file_can_be_written_anew(project: Path) -> None:
    VERSION_FILE.unlink()
    with pytest.raises(VersionError, match="`segpipe use --upgrade` writes it"):
        take_snapshot("fetch")


def test_the_digest_is_that_of_the_code_that_can_change_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "segpipe"
    for name in (
        "losses/dice.py",
        "cli/show.py",
        "labels/schemes/a.csv",
        "losses/__pycache__/d.pyc",
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("1")
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/train.py").write_text("1")
    monkeypatch.setattr(version, "_PACKAGE", package)
    before = version.version_text()
    for name in ("segpipe/cli/show.py", "segpipe/losses/__pycache__/d.pyc"):
        (tmp_path / name).write_text("2")
    assert version.version_text() == before
    found = {before}
    for name in ("segpipe/losses/dice.py", "segpipe/labels/schemes/a.csv", "stages/train.py"):
        (tmp_path / name).write_text("2")
        found.add(version.version_text())
    assert len(found) == 4
