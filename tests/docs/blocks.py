"""The commands that the pages show: blocks, and commands in sentences."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.forge import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "deploy/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(
    r'^(?P<indent> *)```(?P<language>bash|console)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_SPAN = re.compile(r"(?<!`)`((?:segpipe|dvc|make|python -m) [^`]+)`(?!`)")
_ASSIGNMENT = re.compile(r"\w+=")


@dataclass(frozen=True)
class Block:
    """A block of commands.

    title: what it needs that not everybody has, such as a cluster or hours. transcript: what somebody
    saw; the commands are the lines after a `$`.
    """

    text: str
    title: str | None = None
    transcript: bool = False


def blocks(page: Path) -> list[Block]:
    """The blocks of commands on a page, in order."""
    return [_block(found) for found in _FENCE.finditer(page.read_text())]


def _block(found: re.Match[str]) -> Block:
    text = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
    if found["language"] == "bash":
        return Block(text, found["title"])
    return Block("\n".join(re.findall(r"^\$ (.*)$", text, re.MULTILINE)), transcript=True)


def shown_in_text(page: Path) -> list[str]:
    """The commands between backticks in the sentences and tables of a page."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in _SPAN.findall(text)]


def commands(text: str) -> Iterator[list[str]]:
    """Each command of a script as its words, without assignments before it and redirections."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        words: list[str] = []
        redirected = False
        for word in [*lexer, ";"]:
            if redirected:
                redirected = False
            elif set(word) <= set("<>"):
                redirected = True
            elif set(word) <= set("();|&"):
                while words and _ASSIGNMENT.match(words[0]):
                    words.pop(0)
                if words:
                    yield words
                words = []
            else:
                words.append(word)
