"""The page docs/commands.md: each command with its arguments and examples, from its parser."""

import argparse
import re
from collections.abc import Iterator
from itertools import groupby

from segpipe.cli.main import CommandParser

_INTRODUCTION = """\
# Commands

Written from the parsers in `segpipe/cli` by `make parameters`; `segpipe COMMAND --help` says the same. Exit
codes: 0, 1 for a named error, 2 for wrong usage, 130 after Ctrl-C, 143 after SIGTERM.
"""


def commands_page() -> str:
    """Return the text of docs/commands.md.

    It is made of the actions of the parsers and not of `format_help`, whose layout depends on the
    version of Python and on the width of the terminal.
    """
    parser = CommandParser()
    parts = [_INTRODUCTION]
    for heading, names in parser.groups.items():
        parts.append(f"## {heading.capitalize()}\n")
        for name in names:
            parts.append(f"### segpipe {name}\n")
            parts += [f"{part}\n" for part in _command(parser.commands.choices[name])]
    return "\n".join(parts)


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the paragraphs of a command: description, table of its arguments, examples, notes."""
    yield from _paragraphs(parser.description or "")
    rows = [_row(parser, action) for action in parser._actions if action.dest != "help"]
    if rows:
        yield "\n".join(["| argument | meaning |", "| --- | --- |", *rows])
    yield from _paragraphs(parser.epilog or "")


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return the row of an argument; argparse fills in its choices and `%(default)s`."""
    formatter, shown = parser._get_formatter(), action.dest
    names = ", ".join(action.option_strings)
    values = formatter._format_args(action, shown.upper() if names else shown)
    meaning = formatter._expand_help(action) if action.help else ""
    usage = f"{names} {values}".strip().replace("|", "\\|")
    return f"| `{usage}` | {_escaped(' '.join(meaning.split()))} |"


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; indented lines become a block, of commands or of text."""
    language = "bash" if text.lstrip().startswith("examples:") else "text"
    lines = [line for line in text.strip("\n").splitlines() if line != "examples:"]
    for kind, group in groupby(lines, key=_kind):
        if kind == "indented":
            yield "\n".join([f"```{language}", *(line[2:] for line in group), "```"])
            language = "text"
        elif kind == "sentence":
            yield _escaped(" ".join(group))


def _kind(line: str) -> str:
    if not line.strip():
        return "empty"
    return "indented" if line.startswith("  ") else "sentence"


def _escaped(text: str) -> str:
    """Return text in which Markdown leaves `*`, `_`, `|` and `<` as they are, but within backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part.replace("|", "\\|") if part.startswith("`") else re.sub(r"([*_|<\[])", r"\\\1", part)
        for part in parts
    )
