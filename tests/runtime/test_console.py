"""What is seen of long work where nobody looks at a terminal, and of names on any."""

import io
import os
import sys

import pytest

from segpipe.runtime import console
from segpipe.runtime.console import printable, progress, say, say_error
from segpipe.runtime.errors import DataError
from segpipe.runtime.process_exit import explained


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that have passed; a test adds to them."""
    passed = [100.0]
    monkeypatch.setattr(console, "monotonic", lambda: passed[0])
    return passed


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, 1), (1.0, 3), (4.0, 9), (30.0, 25)])
def test_a_pipe_gets_a_line_every_ten_seconds_and_one_at_the_end(
    seconds: float, lines: int, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for item in progress(range(25), "prepare", "image", 25):
        found.append(item)
        clock[0] += seconds
    said = capsys.readouterr()
    assert found == list(range(25))
    assert said.out == ""
    assert "\r" not in said.err
    assert said.err.count("\n") == lines
    assert said.err.splitlines()[-1] == f"prepare: 25 of 25 images, {25 * seconds:.0f} s"


def test_the_first_line_comes_after_ten_seconds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    work = iter(progress(iter("abc"), "unpack", "file"))
    next(work)
    clock[0] += 10
    next(work)
    assert capsys.readouterr().err == "unpack: 1 file, 10 s\n"
    assert list(work) == ["c"]
    assert capsys.readouterr().err == "unpack: 3 files, 10 s\n"


@pytest.mark.parametrize(("delay", "lines"), [(5.0, 0), (2.0, 1)])
def test_what_is_done_before_the_delay_says_nothing(
    delay: float, lines: int, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in progress(range(3), "centroids", "mask", 3, delay):
        clock[0] += 1
    assert capsys.readouterr().err.count("\n") == lines


def test_work_that_fails_has_no_last_line(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> object:
        yield 1
        raise ValueError("the work")

    with pytest.raises(ValueError, match="the work"):
        list(progress(broken(), "prepare", "image", 2))
    assert capsys.readouterr().err == ""


def test_what_a_name_could_do_to_a_terminal_is_printed_as_an_escape(
    capsys: pytest.CaptureFixture[str],
) -> None:
    latin1 = os.fsdecode(b"stra\xdfe")
    say(f"a\x1b[31m\r{latin1}\x9b\u2028\u00e4\n  second\tline")
    say_error(f"error: {latin1}\x07")
    said = capsys.readouterr()
    assert said.out == "a\\x1b[31m\\rstra\\xdfe\\x9b\\u2028\u00e4\n  second\tline\n"
    assert said.err == "error: stra\\xdfe\\x07\n"
    assert printable("two\nlines\t\ud83d", kept="") == "two\\nlines\\t\\ud83d"


def test_a_terminal_of_another_encoding_gets_escapes_for_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="latin-1"))
    say("stra\u00dfe \u9053")
    sys.stdout.flush()
    assert buffer.getvalue() == b"stra\xdfe \\u9053\n"


def test_an_error_that_ends_a_command_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> int:
        raise DataError(f"{os.fsdecode(bytes([0xE4]))}\x1b]0;title\x07: is missing;\n  more")

    assert explained(failing) == 1
    assert capsys.readouterr().err == "error: \\xe4\\x1b]0;title\\x07: is missing;\n  more\n"


def test_a_line_comes_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that threads and processes which share an output never cut each other's lines."""
    pieces: list[str] = []

    class Output(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Output())
    monkeypatch.setattr(sys, "stderr", Output())
    say("one")
    say_error("two")
    assert pieces == ["one\n", "two\n"]
