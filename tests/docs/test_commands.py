"""Every command on the pages, in a block or in a sentence, exists with its options and parameters."""

import argparse
import re
import tomllib
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from segpipe.cli.main import CommandParser
from segpipe.params.edit import with_settings
from segpipe.params.settings import split_setting
from tests.docs.blocks import PAGES, blocks, commands, shown_in_text
from tests.forge import ROOT

# Programs of which nothing is known here but their name.
_OTHERS = {
    "cd",
    "docker",
    "eval",
    "export",
    "git",
    "mkdir",
    "nohup",
    "pre-commit",
    "read",
    "source",
}
_OTHERS |= {"base64", "cp", "curl", "echo", "zip"}
# What stands for a command in a sentence.
_NOT_ONE = {"COMMAND", "NAME", "stages.NAME", "..."}


@cache
def parameters() -> str:
    return (ROOT / "params.yaml").read_text()


def check_parameters(settings: Sequence[str]) -> None:
    """The parameters of -S exist and take their values; of a grid each value."""
    for setting in settings:
        key, value = split_setting(setting)
        several = value.split(",") if "," in value and value[0] not in "[{" else [value]
        for one in several:
            with_settings(parameters(), [f"{key}={one}"], "params.yaml")


def check_segpipe(words: Sequence[str]) -> None:
    options = segpipe_parser().parse_args(words)
    check_parameters(getattr(options, "settings", None) or getattr(options, "set", None) or [])


def check_segpipe_in_a_sentence(words: Sequence[str]) -> None:
    """A sentence may leave arguments out: command and options exist."""
    name, *rest = words
    known = segpipe_parser().commands.choices[name]._option_string_actions
    assert {word for word in rest if word.startswith("-")} <= known.keys()


@cache
def segpipe_parser() -> CommandParser:
    return CommandParser()


@cache
def dvc_parser() -> argparse.ArgumentParser:
    """DVC's parser, which would look at the options of pytest when it is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["dvc"])
        made: argparse.ArgumentParser = import_module("dvc.cli.parser").get_main_parser()
    return made


def check_dvc(words: Sequence[str]) -> None:
    check_parameters(getattr(dvc_parser().parse_args(list(words)), "set_param", None) or [])


def check_dvc_in_a_sentence(words: Sequence[str]) -> None:
    parser = dvc_parser()
    for number, word in enumerate(words):
        nested = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if not nested:
            options = {word for word in words[number:] if word.startswith("-")}
            assert options <= parser._option_string_actions.keys()
            break
        parser = nested[0].choices[word]


def check_make(words: Sequence[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {word for word in words if "=" not in word} <= set(targets)


def check_accelerate(words: Sequence[str]) -> None:
    subcommand, *rest = words
    assert subcommand in ("config", "launch")
    if subcommand == "launch":
        parser = import_module("accelerate.commands.launch").launch_command_parser()
        check_stage(parser.parse_args(rest).training_script)


def check_stage(name: str) -> None:
    assert (ROOT / f"{name.removesuffix('.py').replace('.', '/')}.py").is_file(), name


def check_python(words: Sequence[str]) -> None:
    option, module, *rest = words
    if option == "-c":
        compile(module, "a page", "exec")
        return
    assert option == "-m"
    if (ROOT / module.replace(".", "/") / "__main__.py").is_file():
        module += ".__main__"
    check_stage(module)
    if module == "deploy.torchrun":
        given = import_module("torch.distributed.run").parse_args(rest)
        check_stage(given.training_script)
    elif module.startswith("bench."):
        check_benchmark(module, rest)


class Parsed(Exception):  # noqa: N818 - it is no error
    """Raised when a benchmark has read its options, so that it measures nothing."""


def check_benchmark(module: str, words: Sequence[str]) -> None:
    if "argparse" not in (ROOT / f"{module.replace('.', '/')}.py").read_text():
        assert not words, "it takes no options"
        return
    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser: argparse.ArgumentParser, *_: Any) -> argparse.Namespace:
        parse(parser, list(words))
        raise Parsed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Parsed):
        patch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
        import_module(module).main()


def check_mlflow(words: Sequence[str]) -> None:
    with warnings.catch_warnings():  # of SQLAlchemy, where MLflow imports its store
        warnings.simplefilter("ignore")
        command, rest = import_module("mlflow.cli").cli, list(words)
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        command.make_context(command.name, rest)


def check_pip(words: Sequence[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in re.findall(r"(?:segpipe|\.)\[(\w+)\]", " ".join(words)):
        assert extra in project["optional-dependencies"]


def check_files(words: Sequence[str]) -> None:
    """Files of the repository that are named are there."""
    named = [word for word in words if word.startswith(("deploy/", "tests/"))]
    assert [name for name in named if not (ROOT / name).exists()] == []


CHECKS: dict[str, Callable[[Sequence[str]], None]] = {
    "segpipe": check_segpipe,
    "dvc": check_dvc,
    "make": check_make,
    "accelerate": check_accelerate,
    "python": check_python,
    "mlflow": check_mlflow,
    "pip": check_pip,
    **dict.fromkeys(("sbatch", "kubectl", "pytest"), check_files),
    **dict.fromkeys(_OTHERS, lambda words: None),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page_exist_with_their_options_and_parameters(page: Path) -> None:
    found = blocks(page)
    assert len(found) == len(re.findall(r"^ *```(?:bash|console)", page.read_text(), re.MULTILINE))
    spans = [span for span in shown_in_text(page) if not _NOT_ONE & set(span.split())]
    checks = [(words, CHECKS) for block in found for words in commands(block.text)]
    shorter = {"segpipe": check_segpipe_in_a_sentence, "dvc": check_dvc_in_a_sentence}
    in_sentence = {**CHECKS, **shorter}
    checks += [(words, in_sentence) for span in spans for words in commands(span)]
    wrong = []
    for words, known in checks:
        try:
            known[words[0]](words[1:])
        except SystemExit as end:
            if end.code:  # 0 is that of --help
                wrong.append((words, "usage"))
        except Exception as error:
            wrong.append((words, f"{type(error).__name__}: {error}"))
    assert wrong == []


def test_the_pages_show_commands() -> None:
    shown = [words for page in PAGES for block in blocks(page) for words in commands(block.text)]
    assert len(shown) > 100
    assert sum(len(shown_in_text(page)) for page in PAGES) > 100
    assert {"segpipe", "dvc", "make", "accelerate", "python", "mlflow"} <= {one[0] for one in shown}


@pytest.mark.parametrize(
    "wrong",
    [
        "segpipe trian",
        "segpipe train --lr 1",
        "segpipe train --set train.lrr=1",
        "dvc exp run -S train.lr=fast",
        "dvc exp run -S train.batch_size=8,-1",
        "dvc exps show",
        "make tests",
        "python -m bench.nothing",
        "python -m bench.coverage --drawz 3",
        "python -c 'import'",
        "mlflow serve --here",
        "pip install 'segpipe[everything]'",
        "accelerate launch stages/nothing.py",
        "sbatch deploy/slurm/nothing.sbatch",
    ],
)
def test_a_command_that_does_not_exist_is_found(wrong: str) -> None:
    [words] = commands(wrong)
    with pytest.raises((SystemExit, Exception)):
        CHECKS[words[0]](words[1:])


def test_a_script_is_taken_apart() -> None:
    text = "A=1 make demo && dvc repro > log  # then\njob=$(sbatch x \\\n  y); cd 'a b'"
    expected = [["make", "demo"], ["dvc", "repro"], ["sbatch", "x", "y"], ["cd", "a b"]]
    assert list(commands(text)) == expected
