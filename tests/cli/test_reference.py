"""The page of the commands."""

import re

from segpipe.cli.main import CommandParser
from segpipe.cli.reference import commands_page
from tests.forge import ROOT


def test_the_page_of_commands_is_up_to_date() -> None:
    page = (ROOT / "docs/commands.md").read_text()
    assert page == commands_page(), "run `make parameters`"


def test_each_command_has_its_section_with_all_its_options() -> None:
    page = commands_page()
    commands = CommandParser().commands.choices
    sections = dict(re.findall(r"^### segpipe (\S+)\n(.*?)(?=^##|\Z)", page, re.M | re.S))
    assert sections.keys() == commands.keys()
    for name, command in commands.items():
        for option in command._option_string_actions.keys() - {"-h", "--help"}:
            assert re.search(rf"^\| `[^`]*{option}\b", sections[name], re.M), (name, option)


def test_text_of_a_help_is_not_read_as_markdown() -> None:
    page = commands_page()
    assert "OUT/probabilities/011\\_person/NAME.png" in page
    assert (
        "\nsegpipe predict 'drives/**/*.jpg' https://example.org/street.jpg --out labels\n" in page
    )
