"""The command as a whole: help, version, unknown commands, completion."""

import subprocess
from importlib.metadata import version

import pytest

from segpipe.cli.main import CommandParser, main
from tests.forge import ROOT, run_python


def test_help_lists_every_command_below_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    parser = CommandParser()
    for heading, names in parser.groups.items():
        assert names
        assert f"\n{heading}:\n" in said
        for name in names:
            assert f"\n  {name} " in said
    assert sum(map(len, parser.groups.values())) == len(parser.commands.choices) >= 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "there is no command 'trian'; did you mean train?"),
        (["Predict", "x"], "did you mean predict?"),
        (["qqqq"], "the commands are new, "),
    ],
)
def test_an_unknown_command_is_answered_with_the_nearest(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"segpipe {version('segpipe')}\n"


def test_the_command_line_starts_without_what_is_slow_to_import() -> None:
    slow = "{'torch', 'scipy', 'jinja2', 'mlflow', 'dvc', 'shtab', 'psutil'}"
    code = (
        "import sys; from segpipe.cli.main import CommandParser; CommandParser().format_help(); "
        f"print(sorted({slow} & set(sys.modules)))"
    )
    done = run_python(["-c", code], ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_gets_a_script_that_names_all_commands(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name in CommandParser().commands.choices:
        assert name in script


def test_bash_completes_commands_options_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    ask = (
        'COMP_WORDS=(segpipe "${typed[@]}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); '
        '_shtab_segpipe 2>/dev/null; echo "${COMPREPLY[@]}"'
    )
    for typed, expected in (
        ("tr", "train"),
        ("train --pro", "--processes"),
        ("use --dr", "--dry-run"),
    ):
        done = subprocess.run(
            ["bash", "-c", f"{script}\ntyped=({typed}); {ask}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert expected in done.stdout.split(), (typed, done.stdout, done.stderr)
