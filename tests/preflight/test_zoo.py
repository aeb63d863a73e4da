"""Every animal of the zoo through `segpipe check`: the right finding, the right files, nothing else."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from segpipe.cli.main import main
from tests.forge import tiny_parameters, write_parameters
from tests.preflight.zoo import ZOO, Animal, sound


@pytest.fixture(autouse=True)
def _enough_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much memory happens to be free must not decide a test."""
    monkeypatch.setattr("segpipe.training.forecast.available_bytes", lambda _device: 1 << 40)


def check(
    data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the report."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    write_parameters(folder / "params.yaml", tiny_parameters(data, **changes))
    code = main(["check", "--report", "report"])
    return code, json.loads((folder / "report/report.json").read_text())


def test_of_a_sound_data_set_there_is_nothing_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = check(sound(tmp_path / "data"), tmp_path / "work", monkeypatch)
    assert code == 0
    assert report["findings"] == []
    assert report["verdict"] == "sound"
    said = capsys.readouterr().out
    assert "8 train, 6 val, 0 test samples, every file read and in order" in said
    assert said.splitlines()[-2:] == ["the report: report/report.html", "next: segpipe train"]


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_each_fault_is_named(
    animal: Animal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = sound(tmp_path / "data")
    animal.build(data)
    code, report = check(data, tmp_path / "work", monkeypatch, **animal.changes)
    kinds = {finding["kind"] for finding in report["findings"]}
    assert animal.kind in kinds
    assert kinds <= {animal.kind} | animal.also, report["findings"]
    found = [finding for finding in report["findings"] if finding["kind"] == animal.kind]
    assert {finding["severity"] for finding in found} == {animal.severity}
    words = "\n".join(f"{finding['text']}; {finding['repair']}" for finding in found)
    assert animal.piece in words
    items = "\n".join(item for finding in found for item in finding["items"])
    for part in animal.named:
        assert part in items
    for part in animal.others:
        assert part not in items
    assert code == (1 if report["errors"] else 0)
    said = capsys.readouterr()
    heard = said.err if animal.severity == "error" else said.out
    assert animal.piece in heard
    assert "report/report.html" in said.out + said.err
    for finding in found:
        for picture in finding["pictures"]:
            assert (tmp_path / "work/report" / picture).stat().st_size > 0


def test_the_zoo_is_large_and_varied() -> None:
    names = Counter(animal.name for animal in ZOO)
    assert len(ZOO) >= 30
    assert max(names.values()) == 1
    assert len({animal.kind for animal in ZOO}) >= 25
    assert {animal.severity for animal in ZOO} == {"error", "warning"}
