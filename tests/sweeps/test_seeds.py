"""What `segpipe repeat` would train, and what it takes as trained; tests/pipeline/test_repeat.py trains."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.dependency.base import Dependency
from dvc.repo import Repo
from dvc.stage import Stage
from ruamel.yaml import YAML

from segpipe.cli.main import main
from segpipe.runtime.errors import ParameterError
from segpipe.sweeps.experiment import Experiment
from segpipe.sweeps.seeds import family_names, seed_experiments, seeds_of
from tests.cli.test_compare import commit, evaluation, make_repository, run, write
from tests.forge import tiny_parameters, write_parameters


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with parameters, a file of code, and data that git does not track."""
    monkeypatch.chdir(tmp_path)
    make_repository(tmp_path)
    (tmp_path / ".gitignore").write_text("data\n")
    (tmp_path / "data/mine").mkdir(parents=True)
    (tmp_path / "data/mine/a.png").write_bytes(b"a")
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/train.py").write_text("print(1)\n")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "README").write_text("one\n")
    write_parameters(tmp_path / "params.yaml", tiny_parameters(Path("data/mine"), train__seed=4))
    run(tmp_path, "dvc", "init", "--quiet")
    commit(tmp_path, "first")
    return tmp_path


def record(root: Path, experiment: Experiment) -> None:
    """Make the experiment as DVC does: its files in a commit with a ref; the workspace stays."""
    with Repo() as repo:
        digest = Dependency(Stage(repo), "data/mine").get_hash().value
    lock = {
        "schema": "2.0",
        "stages": {
            "fetch": {
                "cmd": "x",
                "deps": [{"path": "data/mine", "md5": digest}],
                "outs": [{"path": "data/raw", "md5": "1"}],
            },
            "train": {
                "cmd": "x",
                "deps": [
                    {"path": "data/raw", "md5": "1"},
                    {"path": "data/raw/report.json", "md5": "4"},
                    {"path": "stages/train.py", "md5": "2"},
                ],
                "outs": [{"path": "models", "md5": "3"}],
            },
        },
    }
    seed = experiment.parameters().train.seed
    params = tiny_parameters(Path("data/mine"), train__seed=seed)
    before = (root / "params.yaml").read_bytes()
    write_parameters(root / "params.yaml", params)
    with (root / "dvc.lock").open("w") as file:
        YAML().dump(lock, file)
    write(root / "metrics", evaluation(0.9, 0.6, 0.2, 0.1 * seed, None))
    run(root, "git", "add", "-A")
    tree, head = run(root, "git", "write-tree"), run(root, "git", "rev-parse", "HEAD")
    made = run(root, "git", "commit-tree", tree, "-p", head, "-m", experiment.name)
    run(root, "git", "update-ref", experiment.ref, made)
    run(root, "git", "reset", "-q", "--hard")
    (root / "params.yaml").write_bytes(before)


def test_seeds_count_from_that_of_the_parameters_or_are_a_list(work: Path) -> None:
    assert seeds_of("3", []) == [4, 5, 6]
    assert seeds_of("3, 5,7", []) == [3, 5, 7]


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        ("1", [], "at least two are needed"),
        ("3,3", [], "each once"),
        ("five", [], "it must be a number such as 5, or a list such as 3,5,7"),
        ("-2", [], "it must be a number"),
        ("2", ["train.seed=1"], "the seeds are those of --seeds"),
    ],
)
def test_other_seeds_are_refused(text: str, settings: list[str], words: str, work: Path) -> None:
    with pytest.raises(ParameterError, match=words):
        seeds_of(text, settings)


def test_the_name_is_that_of_the_parameters_less_the_seed(work: Path) -> None:
    names = [one.name for one in seed_experiments([0, 1], [], None)]
    stem = names[0].removesuffix("-seed-0")
    assert names == [f"{stem}-seed-0", f"{stem}-seed-1"]
    other = seed_experiments([0, 1], ["train.lr=0.02"], None)
    assert not other[0].name.startswith(stem)
    assert other[1].settings == ("train.lr=0.02", "train.seed=1")
    assert other[1].parameters().train.lr == 0.02
    write_parameters(work / "params.yaml", tiny_parameters(Path("data/mine"), train__seed=9))
    assert [one.name for one in seed_experiments([0, 1], [], None)] == names
    assert seed_experiments([0, 1], [], "hard")[1].name == "hard-seed-1"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.lrr=1", "train.lrr"),
        ("train.lr=-1", "train.lr is -1; it must be greater than 0"),
        ("train.lr", "train.lr"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_before_any_training(
    setting: str, words: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (work / "params.yaml").read_bytes()
    assert main(["repeat", "--seeds", "2", "-S", setting]) == 1
    assert words in capsys.readouterr().err
    assert (work / "params.yaml").read_bytes() == before


def test_wrong_calls(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        ([], "give --seeds to train"),
        (["a", "b", "--seeds", "2"], "and not both"),
        (["a", "b", "--name", "c"], "are for trainings"),
        (["a"], "there are no experiments a-seed-0, a-seed-1"),
        (["--seeds", "2", "--name", "a b"], "--name is 'a b'"),
    ):
        assert main(["repeat", *arguments]) == 1
        assert words in capsys.readouterr().err


def test_without_a_commit_there_is_nothing_to_start_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_repository(tmp_path)
    with pytest.raises(ParameterError, match="git add -A && git commit"):
        Experiment("a", ()).is_finished()


def test_an_experiment_of_the_same_is_finished(work: Path) -> None:
    one, other = seed_experiments([1, 2], [], "hard")
    record(work, one)
    assert one.is_finished()
    assert not other.is_finished()
    with pytest.raises(ParameterError, match="there are no experiments hard-seed-0"):
        family_names(["hard"])
    record(work, other)
    assert family_names(["hard"]) == ["hard-seed-1", "hard-seed-2"]
    assert family_names(["a", "b"]) == ["a", "b"]
    (work / "README").write_text("two\n")
    assert one.is_finished(), "it decides nothing"
    commit(work, "later")
    assert not one.is_finished(), "experiments belong to a commit"
    assert [name.rpartition("/")[2] for name in family_names(["hard"])] == [
        "hard-seed-1",
        "hard-seed-2",
    ]


def edit_code(work: Path) -> None:
    (work / "stages/train.py").write_text("print(2)\n")


def edit_data(work: Path) -> None:
    (work / "data/mine/b.png").write_bytes(b"b")


def edit_parameter(work: Path) -> None:
    write_parameters(work / "params.yaml", tiny_parameters(Path("data/mine"), train__lr=0.02))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edit_code, "  stages/train.py"),
        (edit_data, "  data/mine"),
        (edit_parameter, "  train.lr: 0.01 there, 0.02 here"),
    ],
)
def test_one_of_something_else_is_refused_by_what_differs(
    edit: Callable[[Path], None], words: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for one in seed_experiments([1, 2], [], "hard"):
        record(work, one)
    edit(work)
    assert main(["repeat", "--seeds", "1,2", "--name", "hard"]) == 1
    said = capsys.readouterr().err
    assert "there is an experiment hard-seed-1 already, made of something else" in said
    assert said.rstrip().endswith(words)
    assert "dvc exp remove hard-seed-1" in said


def test_a_family_that_is_trained_is_shown_at_once(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for one in seed_experiments([1, 2], [], "hard"):
        record(work, one)
    assert main(["repeat", "--seeds", "1,2", "--name", "hard"]) == 0
    said = capsys.readouterr().out
    assert "hard-seed-1: trained already, mIoU 45.00 %" in said
    assert "mIoU 46.25 % with a standard deviation of 1.77 points over 2 seeds" in said
    assert "has no image_counts.csv" in said
    assert main(["repeat", "hard"]) == 0
    assert "train.seed 2, mIoU 47.50 %" in capsys.readouterr().out


def test_the_run_cache_forgets_a_training_that_was_ended(work: Path) -> None:
    [one, _] = seed_experiments([1, 2], [], "hard")
    record(work, one)
    folder = work / ".dvc/cache/runs/ab/abcd"
    folder.mkdir(parents=True)
    (folder / "ours").write_text("outs:\n- path: models\n  md5: '3'\n")
    (folder / "others").write_text("outs:\n- path: models\n  md5: '7'\n")
    one.forget_cached()
    assert [path.name for path in folder.iterdir()] == ["others"]


def test_data_that_git_does_not_track_is_copied(work: Path) -> None:
    assert Experiment("a", ()).copied_paths() == ["data/mine"]
    assert Experiment("a", (f"source.path={work}/data/mine",)).copied_paths() == []
    assert Experiment("a", ("source.path=README",)).copied_paths() == []
