"""params.yaml: what it may hold, and what is said of what it may not."""

import copy
import re
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml

from segpipe.params.load import is_whole, load_params, validate
from segpipe.params.schema import Params
from segpipe.params.section import Section, section_of
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.yaml_file import read_yaml
from tests.forge import ROOT, write_parameters

FILES = [ROOT / "params.yaml", *sorted((ROOT / "recipes").glob("*.yaml"))]


def whole() -> dict:
    return copy.deepcopy(Params().model_dump(mode="json"))


def refusal(content: object) -> str:
    with pytest.raises(ParameterError) as caught:
        validate(content, "params.yaml")
    return str(caught.value)


def test_the_parameter_file_of_the_repository_is_valid_and_whole() -> None:
    content = read_yaml(ROOT / "params.yaml")
    assert is_whole(content)
    assert load_params(ROOT / "params.yaml") == validate(content, "params.yaml")


def test_a_file_of_an_older_version_is_read_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = whole()
    del old["model"]["lraspp"]
    del old["source"]["folder"]
    old["train"]["auto_accumulate"] = False
    old["evaluate"] |= {"bootstrap": 1000, "seed": 7}
    write_parameters(tmp_path / "params.yaml", old)
    assert load_params(tmp_path / "params.yaml") == Params()
    (said,) = capsys.readouterr().out.splitlines()
    for part in (
        "model.lraspp is missing: {}",
        "source.folder is missing: {}",
        "train.auto_accumulate is no longer a parameter",
        "evaluate.bootstrap is no longer a parameter",
        "segpipe use --upgrade",
    ):
        assert part in said
    assert "source.rasters" not in said
    assert not is_whole(old)


def test_a_parameter_that_is_gone_and_was_in_use_is_refused_with_what_is_instead() -> None:
    content = whole()
    content["train"]["auto_accumulate"] = True
    said = refusal(content)
    assert "train.auto_accumulate is no longer a parameter" in said
    assert "train.accumulation" in said


def test_of_several_processes_one_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = whole()
    del old["model"]["lraspp"]
    write_parameters(tmp_path / "params.yaml", old)
    monkeypatch.setenv("RANK", "1")
    load_params(tmp_path / "params.yaml")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_read_as_dvc_reads_it(path: Path) -> None:
    assert read_yaml(path) == load_yaml(str(path))


def test_every_line_of_the_parameter_file_says_unit_range_or_choice() -> None:
    lines = [
        line
        for line in (ROOT / "params.yaml").read_text().splitlines()
        if re.match(r"\s*\w+:\s*[^#\s]", line)
    ]
    assert len(lines) > 50
    assert [line for line in lines if "#" not in line] == []


@pytest.mark.parametrize(
    ("name", "value"), [("accumulation", 2), ("sharding", "fsdp2")], ids=["pieces", "shards"]
)
def test_what_adds_in_another_order_is_refused_with_lanes(name: str, value: object) -> None:
    content = whole()
    content["train"] |= {"batch_size": 8, "lanes": 2, name: value}
    assert f"lanes and {name} exclude each other" in refusal(content)


def test_one_e_minus_four_is_a_number(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    for written, meant in (("1e-4", 1e-4), ("1e-05", 1e-5), ("5.0e-4", 5e-4)):
        path = tmp_path / "params.yaml"
        path.write_text(re.sub(r"  lr: \S+", f"  lr: {written}", text))
        assert load_params(path).train.lr == meant


def test_off_is_text_and_no_truth_value(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text().replace("compile: false", "compile: off"))
    with pytest.raises(ParameterError, match=r"train\.compile is 'off'"):
        assert load_params(path).model_dump(mode="json").keys() == whole().keys()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("model.depht", 3, r"model\.depht is not a parameter; did you mean model\.unet\.depth\?"),
        ("train.learning_rate", 1, r"train\.learning_rate is not a parameter"),
        ("trian", {}, r"trian is not a parameter; did you mean train\?"),
        ("train.lr", "fast", r"train\.lr is 'fast' \(text\); it must be a number"),
        ("train.lr", "1e-3", r"write it without quotes"),
        ("train.lr", 0, r"train\.lr is 0; it must be greater than 0"),
        ("train.lr", float("inf"), r"train\.lr is inf"),
        ("train.lr", float("nan"), r"train\.lr is nan"),
        (
            "train.batch_size",
            2.5,
            r"train\.batch_size is 2\.5 \(a number\); it must be a whole number",
        ),
        ("train.batch_size", True, r"train\.batch_size is True"),
        ("train.batch_size", 0, r"train\.batch_size is 0"),
        (
            "train.accumulation",
            3,
            r"batch_size \(8\) cannot be split into 3 equal parts; .*1, 2, 4, 8",
        ),
        ("train.lanes", 3, r"lanes is 3; .* divides batch_size \(8\): 1, 2, 4, 8"),
        ("train.lanes", 16, r"lanes is 16; .* divides batch_size \(8\): 1, 2, 4, 8"),
        ("train.warmup", 500, r"warmup \(500 epochs\) must be below length \(20 epochs\)"),
        ("train.augment.scale", [2.0, 0.5], r"train\.augment\.scale: \[2\.0, 0\.5\].*lower"),
        ("train.augment.scale", [1.0], r"train\.augment\.scale"),
        (
            "model.name",
            "unett",
            r"model\.name is 'unett'; it can be 'unet', 'mini_unet', 'regseg', ",
        ),
        ("prepare.split.group", "(", r"prepare\.split\.group: is not a regular expression"),
        ("prepare.split.group", "ab", r"needs exactly one \(group\)"),
        ("prepare.split.by", "ratio", r"comes with its own splits"),
        ("labels.map", {300000: "void"}, None),
        ("evaluate.temporal", "dis", r"but source\.clip\.frames is 1; set it to 2 or more"),
        ("evaluate.split", "train", r"evaluate\.split is 'train'"),
        ("render", None, r"render is None; it must be a section"),
    ],
)
def test_a_fault_is_named_with_its_repair(place: str, value: object, message: str | None) -> None:
    content = whole()
    *parents, last = place.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    if message is None:  # a matter of the label scheme, not of the file
        validate(content, "params.yaml")
        return
    said = refusal(content)
    assert re.search(message, said), said
    assert said.startswith("params.yaml: ")


def test_all_faults_come_in_one_message() -> None:
    content = whole()
    content["train"]["lr"] = -1
    content["modle"] = {}
    del content["loss"]
    del content["train"]["clip"]
    said = refusal(content)
    assert said.count("params.yaml: ") == 4
    assert "train.clip is missing; add it (usual value 1.0)" in said


def test_faults_beyond_ten_are_counted() -> None:
    content = whole() | {f"odd{number}": 1 for number in range(14)}
    assert "... and 4 more" in refusal(content)


@pytest.mark.parametrize("text", ["", "just text", "a: [1", "a: 1\na: 2", "- 1"])
def test_what_is_no_parameter_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=r"params\.yaml"):
        load_params(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="there is no such file"):
        load_params(tmp_path / "params.yaml")


def test_no_parameter_bears_a_name_that_dvc_overlooks() -> None:
    # dvc#10296: `size` and `nfiles` are left out of the run-cache's key.
    def names(section: type[Section]) -> list[str]:
        found = []
        for key, field in section.model_fields.items():
            inner = section_of(field)
            found += [key, *(names(inner) if inner else [])]
        return found

    found = names(Params)
    assert len(found) > 60
    assert not {"size", "nfiles"} & set(found)
