"""segpipe use: what it shows, what it writes, and what it must not lose."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segpipe.cli.main import main
from segpipe.cli.recipes import change_lines, changes, read_header
from segpipe.params.chosen import chosen
from segpipe.params.load import is_whole, load_overlay, load_params
from segpipe.params.schema import Params
from segpipe.params.train import TrainParams
from segpipe.params.writer import header_of
from segpipe.runtime.yaml_file import read_yaml
from tests.forge import ROOT, child_environment, tiny_parameters, write_parameters

HEADER = """# Small scenes, for a test; a first paragraph
# of two lines.
#
# data      put the folder at data/small: images and masks,
#           and classes.csv
# command   segpipe use small && dvc repro
"""


def recipe(path: Path, **changes: object) -> bytes:
    """Write a valid parameter file with a header and a comment inside; return its bytes."""
    write_parameters(path, tiny_parameters(Path("data/small"), **changes))
    text = path.read_text().replace("train:\n", "train:   # of the network\n", 1)
    path.write_text(HEADER + "\n" + text)
    return path.read_bytes()


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two recipes and a params.yaml that is neither of them."""
    (tmp_path / "recipes").mkdir()
    recipe(tmp_path / "recipes/small.yaml")
    recipe(tmp_path / "recipes/large.yaml", train__lr=0.5, prepare__height=64)
    recipe(tmp_path / "params.yaml", train__lr=0.25)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    return tmp_path


def committed(folder: Path) -> None:
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "params.yaml", "recipes")
    git(folder, "commit", "-qm", "baseline")


def test_the_difference_is_shown_and_the_bytes_are_the_recipes(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    committed(work)
    assert main(["use", "large"]) == 0
    assert (work / "params.yaml").read_bytes() == (work / "recipes/large.yaml").read_bytes()
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == [
        "prepare",
        "  prepare.height: 32 → 64",
        "train",
        "  train.lr: 0.25 → 0.5",
    ]
    total = len(leaves(chosen(load_params(work / "params.yaml"))))
    assert said[4] == f"2 of {total} parameters differ, {total - 2} are the same"
    assert said[-2] == (
        "data: data/small is not there yet; put the folder at data/small: images and masks, "
        "and classes.csv"
    )
    assert said[-1] == "next: segpipe check && dvc repro"


def leaves(content: object, prefix: str = "") -> dict[str, object]:
    """Another way to the dotted keys: by a stack, without recursion."""
    found, waiting = {}, [(prefix, content)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += [(f"{place}.{key}", inner) for key, inner in value.items()]
        else:
            found[place] = value
    return found


def test_data_that_is_there_is_said(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    committed(work)
    (work / "data/small").mkdir(parents=True)
    assert main(["use", "small"]) == 0
    assert "data: data/small is there; put" in capsys.readouterr().out


def test_without_a_params_file_it_is_written(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "params.yaml").unlink()
    assert main(["use", "small"]) == 0
    assert (work / "params.yaml").read_bytes() == (work / "recipes/small.yaml").read_bytes()
    assert "there is none yet" in capsys.readouterr().out


def test_a_params_file_in_use_is_left_alone(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(work / "recipes/small.yaml", work / "params.yaml")
    before = (work / "params.yaml").stat()
    assert main(["use", "small"]) == 0
    after = (work / "params.yaml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    said = capsys.readouterr().out
    assert "parameters are the same" in said
    assert "nothing is written" in said


def test_what_is_kept_nowhere_is_replaced_with_force_alone(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = (work / "params.yaml").read_bytes()
    assert main(["use", "small"]) == 1
    assert "--force" in capsys.readouterr().err
    assert (work / "params.yaml").read_bytes() == mine
    assert main(["use", "small", "--force"]) == 0
    said = capsys.readouterr().out
    copy = next(line for line in said.splitlines() if "segpipe use .segpipe" in line).split()[-1]
    assert (work / copy).read_bytes() == mine
    assert (work / "params.yaml").read_bytes() == (work / "recipes/small.yaml").read_bytes()
    assert main(["use", copy]) == 0  # a recipe is in place now, so nothing is lost
    assert (work / "params.yaml").read_bytes() == mine
    assert main(["use", "large"]) == 0  # the copy is kept still
    assert len(list((work / ".segpipe/replaced").iterdir())) == 1


def test_an_uncommitted_change_is_not_lost_in_a_repository(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    committed(work)
    with (work / "params.yaml").open("a") as file:
        file.write("# a thought of mine\n")
    assert main(["use", "small"]) == 1
    git(work, "add", "params.yaml")
    assert main(["use", "small"]) == 1, "staged is not committed"
    assert "neither in the last commit" in capsys.readouterr().err
    git(work, "commit", "-qm", "mine")
    assert main(["use", "small"]) == 0


def test_the_parameters_of_an_experiment_are_kept_by_it(work: Path) -> None:
    committed(work)
    head = git(work, "rev-parse", "HEAD")
    recipe(work / "params.yaml", train__lr=0.125)
    git(work, "add", "params.yaml")
    tree = git(work, "write-tree")
    git(work, "reset", "-q")
    assert main(["use", "small"]) == 1
    commit = git(work, "commit-tree", tree, "-p", head, "-m", "experiment")
    git(work, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/brisk-fox", commit)
    assert main(["use", "small"]) == 0


def test_a_repository_below_the_root_of_git_is_seen_too(work: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    inner = outer / "inner"
    shutil.copytree(work / "recipes", inner / "recipes")
    recipe(inner / "params.yaml", train__lr=0.0625)
    git(outer, "init", "-q")
    git(outer, "add", "-A")
    git(outer, "commit", "-qm", "both")
    os.chdir(inner)
    assert main(["use", "small"]) == 0


def test_dry_run_writes_nothing(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    assert main(["use", "large", "--dry-run", "--force"]) == 0
    assert {path: path.read_bytes() for path in work.rglob("*") if path.is_file()} == before
    said = capsys.readouterr().out
    assert "train.lr: 0.25 → 0.5" in said
    assert "with --force alone" in said
    committed(work)
    assert main(["use", "large", "--dry-run"]) == 0
    assert "--force" not in capsys.readouterr().out


def test_a_recipe_with_a_fault_is_refused_first(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    committed(work)
    mine = (work / "params.yaml").read_bytes()
    path = work / "recipes/small.yaml"
    path.write_text(path.read_text().replace("batch_size:", "batch_sise:"))
    assert main(["use", "small"]) == 1
    assert "did you mean train.batch_size?" in capsys.readouterr().err
    assert (work / "params.yaml").read_bytes() == mine


def test_a_broken_params_file_can_be_replaced(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "params.yaml").write_text("train: [\n")
    assert main(["use", "small", "--force"]) == 0
    assert "  train.lr: (not used) → 0.01" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smal", "did you mean small?"),
        ("nothing-like-it", "the recipes:\n  large\n  small"),
        ("elsewhere/large.yml", "did you mean large?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    name: str, message: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", name]) == 1
    assert message in capsys.readouterr().err


def test_without_a_folder_of_recipes_those_of_segpipe_are_there(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", "camvid", "--dry-run"]) == 0, "by its name, also beside others"
    shutil.rmtree(work / "recipes")
    capsys.readouterr()
    assert main(["use"]) == 0
    said = capsys.readouterr().out.splitlines()
    names = [path.stem for path in sorted((ROOT / "recipes").glob("*.yaml"))]
    assert [line[2:].split()[0] for line in said[:-1]] == names
    assert main(["use", "demo", "--force"]) == 0
    assert "params.yaml is demo now" in capsys.readouterr().out
    assert main(["use", "camvid"]) == 0, "a recipe of segpipe can be had back"
    assert main(["use", "smal"]) == 1
    assert "the recipes:\n  camvid\n" in capsys.readouterr().err


def test_the_list_says_which_is_in_use(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["use"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  large  Small scenes, for a test; a first paragraph of two lines.",
        "  small  Small scenes, for a test; a first paragraph of two lines.",
        "params.yaml is none of them; nearest is small, 1 parameter(s) differ",
    ]
    text = (work / "recipes/large.yaml").read_text()
    (work / "params.yaml").write_text(text + "# a thought of mine\n")
    assert main(["use"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line[0] for line in said[:2]] == ["*", " "]
    assert said[2] == "params.yaml has the parameters of large"


@pytest.mark.parametrize("alive", [True, False])
def test_a_running_stage_keeps_its_parameters(
    alive: bool, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    committed(work)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    reader = {"pid": os.getpid() if alive else ended.pid, "cmd": "dvc repro"}
    (work / ".dvc/tmp").mkdir(parents=True)
    lock = {"write": {}, "read": {str(work / "params.yaml"): [reader]}}
    (work / ".dvc/tmp/rwlock").write_text(json.dumps(lock))
    assert main(["use", "small"]) == int(alive)
    assert ("is running a stage with it" in capsys.readouterr().err) == alive


@pytest.mark.slow
def test_dvc_says_that_it_runs_a_stage_as_expected(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "dvc.yaml").write_text(
        "stages:\n  wait:\n    cmd: touch begun; while ! test -e end; do sleep 0.05; done\n"
        "    params: [train]\n"
    )
    committed(work)
    dvc = str(Path(sys.executable).parent / "dvc")
    environment = child_environment(DVC_NO_ANALYTICS="1")
    subprocess.run([dvc, "init", "-q"], cwd=work, env=environment, check=True)
    with subprocess.Popen([dvc, "repro", "-q"], cwd=work, env=environment) as running:
        until = time.monotonic() + 600
        while not (work / "begun").exists() and time.monotonic() < until:
            time.sleep(0.05)
        code = main(["use", "small"])
        (work / "end").touch()
        assert running.wait(600) == 0
    assert code == 1
    assert f"process {running.pid} " in capsys.readouterr().err
    assert main(["use", "small"]) == 0


def test_differences_of_every_kind() -> None:
    old = {
        "a": {"text": "x", "gone": 1, "same": [1, 2], "map": {3: "void"}},
        "b": {"number": 1, "flag": 1},
        "c": None,
    }
    new = {
        "a": {"text": "1e-3", "same": [1, 2], "map": {}},
        "b": {"number": 1e-05, "flag": True, "added": "22 epochs"},
        "c": "null",
    }
    differing, same = changes(old, new)
    assert same == 1
    assert change_lines(differing) == [
        "a",
        '  a.text: x → "1e-3"',
        "  a.map: (not used) → {}",
        "  a.gone: 1 → (not used)",
        "  a.map.3: void → (not used)",
        "b",
        "  b.number: 1 → 1e-05",
        "  b.flag: 1 → true",
        "  b.added: (not used) → 22 epochs",
        "c",
        '  c: null → "null"',
    ]


def test_a_header_is_read_to_its_end() -> None:
    header = read_header(HEADER + "#\n# More prose, two  spaces.\n\n# result    none\nsource:\n")
    assert header.about == "Small scenes, for a test; a first paragraph of two lines."
    assert header.fields == {
        "data": "put the folder at data/small: images and masks, and classes.csv",
        "command": "segpipe use small && dvc repro",
    }
    assert read_header("source:\n").fields == {}


def test_every_recipe_can_be_taken(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes = sorted((ROOT / "recipes").glob("*.yaml"))
    assert recipes
    shutil.rmtree(work / "recipes")
    shutil.copytree(ROOT / "recipes", work / "recipes")
    for path in recipes:
        (work / "params.yaml").unlink()  # else it is compared with what each recipe would write
        header = read_header(path.read_text())
        assert header.about
        assert header.fields["data"]
        assert main(["use", path.stem]) == 0
        assert load_params(work / "params.yaml") == load_overlay(path)
        assert (work / "params.yaml").read_text().startswith(header_of(path.read_text()))
        assert header.fields["data"] in capsys.readouterr().out


def test_a_recipe_is_written_out_with_what_each_parameter_means(work: Path) -> None:
    (work / "params.yaml").unlink()
    (work / "recipes/tiny.yaml").write_text(HEADER + "\ntrain:\n  lr: 0.25\n")
    assert main(["use", "tiny"]) == 0
    text = (work / "params.yaml").read_text()
    assert text.startswith(HEADER)
    assert "  lr: 0.25                   # highest learning rate, above 0" in text
    assert load_params(work / "params.yaml") == Params(train=TrainParams(lr=0.25))
    assert main(["use", "small"]) == 0, "what a recipe gives can be had back"


def test_a_params_file_of_an_older_version_is_brought_up_to_date(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = tiny_parameters(Path("data/small"), train__lr=0.125)
    del content["model"]["lraspp"]
    content["train"]["auto_accumulate"] = False
    write_parameters(work / "params.yaml", content)
    old = HEADER + (work / "params.yaml").read_text()
    (work / "params.yaml").write_text(old)
    assert main(["use", "--upgrade", "--dry-run"]) == 0
    assert (work / "params.yaml").read_text() == old
    assert main(["use", "--upgrade"]) == 0
    said = capsys.readouterr().out
    assert "model.lraspp is missing: {}" in said
    assert "train.auto_accumulate is no longer a parameter" in said
    copy = next(line for line in said.splitlines() if "segpipe use .segpipe" in line).split()[-1]
    assert (work / copy).read_text() == old
    text = (work / "params.yaml").read_text()
    assert text.startswith(HEADER)
    assert load_params(work / "params.yaml").train.lr == 0.125
    assert is_whole(read_yaml(work / "params.yaml"))
    assert main(["use", "--upgrade"]) == 0
    assert "is up to date; nothing is written" in capsys.readouterr().out
    assert (work / "params.yaml").read_text() == text
    assert main(["use", "--upgrade", "small"]) == 1


def test_options_of_what_was_not_chosen_are_no_difference(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    committed(work)
    recipe(work / "recipes/large.yaml", train__lr=0.25, model__pspnet__dropout=0.5)
    assert main(["use", "large", "--dry-run"]) == 0
    assert "parameters are the same" in capsys.readouterr().out


def test_help_shows_the_ways_to_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["use", "--help"])
    assert caught.value.code == 0
    assert "examples:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"root:x:0:0:hunter2:/root\nann:x:1000\n",
            "must hold sections such as `train:`, not text",
        ),
        (b"- hunter2\n", "must hold sections such as `train:`, not a list"),
        (b"a: hunter2\nb\nc: 1\n", "not valid YAML: line 3, column 1: could not find expected ':'"),
        (b"a: 1\na: hunter2\n", 'not valid YAML: line 2, column 1: found duplicate key "a"'),
        (b"\xff\xfe hunter2", "not valid YAML: 'utf-8' codec"),
        (b"user: ann\npassword: hunter2\n", "password is not a parameter"),
        (b"train:\n  lr: " + b"x" * 100_000, "train.lr is 'xxxxxxxxxxxx"),
        (b"train:\n  length: " + b"x" * 100_000, "train.length: is 'xxxxxxxxxxxx"),
        (b"train:\n  lr: 0x" + b"f" * 9000, "train.lr is a very long number"),
        (b'? "\\e[31m' + b"k" * 900 + b'"\n: 1\n', "kkk' is not a parameter"),
    ],
)
@pytest.mark.parametrize("command", [["use"], ["check", "--params"]])
def test_the_content_of_another_file_is_not_shown(
    command: list[str],
    content: bytes,
    said: str,
    work: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (work / "secret").write_bytes(content)
    before = (work / "params.yaml").read_bytes()
    assert main([*command, "secret"]) == 1
    shown = "".join(capsys.readouterr())
    assert said in shown
    assert "hunter2" not in shown and "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 300
    assert (work / "params.yaml").read_bytes() == before


def test_a_name_too_long_for_a_file_is_refused(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", "n" * 5000]) == 1
    said = capsys.readouterr().err
    assert "is neither a recipe nor a parameter file" in said and len(said) < 300


@pytest.mark.parametrize("command", [["use"], ["use", "small"], ["use", "--upgrade"], ["check"]])
def test_a_folder_in_the_place_of_the_parameters_is_said(
    command: list[str], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "params.yaml").unlink()
    (work / "params.yaml").mkdir()
    assert main(command) == 1
    assert "params.yaml: is a folder" in capsys.readouterr().err
    assert sorted(path.name for path in work.iterdir()) == ["params.yaml", "recipes"]


def test_what_is_no_file_among_the_recipes_is_passed_over(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "recipes/folder.yaml").mkdir()
    os.mkfifo(work / "recipes/pipe.yaml")
    assert main(["use"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()[:-1]]
    assert listed == ["large", "small"]
    assert main(["use", "small", "--force"]) == 0


def test_a_recipe_for_the_own_data(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Source, labels and splits stay; all else is the recipe's."""
    recipe(
        work / "params.yaml",
        source__path="data/own",
        labels__scheme="mine.csv",
        prepare__split__by="ratio",
        prepare__height=40,
        train__lr=0.25,
    )
    assert main(["use", "large", "--keep-data", "--force"]) == 0
    params, large = load_params(work / "params.yaml"), load_params(work / "recipes/large.yaml")
    assert (params.source.path, params.labels.scheme) == ("data/own", "mine.csv")
    assert params.prepare.split.by == "ratio"
    assert (params.train, params.model, params.prepare.height) == (large.train, large.model, 64)
    assert read_header((work / "params.yaml").read_text()).fields["data"] == "own: data/own"
    capsys.readouterr()
    assert main(["use", "large", "--keep-data"]) == 0
    assert "nothing is written" in capsys.readouterr().out
    assert main(["use", "--keep-data"]) == 1
    assert "segpipe use NAME --keep-data" in capsys.readouterr().err
