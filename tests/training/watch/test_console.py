"""The live line, on a terminal and in a pipe."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from segpipe.params.length import Length
from segpipe.runtime.console import say
from segpipe.training.lengths import StepLengths
from segpipe.training.watch.console import LiveLine, duration

LINE = re.compile(
    r"epoch \d/\d, step \d/5, \d+:\d\d left: loss \d+\.\d{3}, lr \S+, \S+ images/s, "
    r"\d+ % waiting for data"
)


class Terminal:
    """A pseudo-terminal as stdout and stderr; `shown` is what came out of its other end."""

    def __init__(self, columns: int) -> None:
        self._other, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.file = os.fdopen(end, "w")
        self._pieces: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self._pieces.append(os.read(self._other, 4096))
            except OSError:  # the other end was closed
                return

    def close(self) -> str:
        self.file.close()
        self._reader.join(timeout=10)
        os.close(self._other)
        return b"".join(self._pieces).decode()


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object], int], str]:
    def run(work: Callable[[], object], columns: int = 120) -> str:
        terminal = Terminal(columns)
        with monkeypatch.context() as patch:
            patch.setattr("sys.stderr", terminal.file)
            patch.setattr("sys.stdout", terminal.file)
            work()
        return terminal.close()

    return run


def test_a_terminal_has_one_line_that_moves(dataset, trained, on_terminal, monkeypatch) -> None:
    monkeypatch.setattr("segpipe.training.watch.console._REDRAWN_EVERY", 0.0)
    shown = on_terminal(lambda: trained(dataset), 120)
    states = [state for state in shown.split("\r") if LINE.search(state)]
    assert len(states) >= 10, "one for each step"
    assert states[-1].startswith("|############|") or "█" in states[-1]
    assert "\n" not in shown, "it stays on its line"
    assert "epoch 1/2, step 1/5" in states[0]
    assert "epoch 2/2, step 5/5, 0:00 left" in states[-1]


def test_a_narrow_terminal_does_not_wrap(dataset, trained, on_terminal, monkeypatch) -> None:
    monkeypatch.setattr("segpipe.training.watch.console._REDRAWN_EVERY", 0.0)
    shown = on_terminal(lambda: trained(dataset), 60)
    states = [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", state).strip() for state in shown.split("\r")]
    assert max(map(len, states)) in range(50, 61)


def test_what_is_said_meanwhile_stands_above_the_line(on_terminal) -> None:
    def work() -> None:
        with line_of(total=10) as line:
            line.step(1, 1.0, 0.1, 0.1, 0.0)
            say("a row")
            line.step(2, 1.0, 0.1, 0.1, 0.0)

    shown = on_terminal(work)
    before, found, _ = shown.partition("a row\r\n")
    assert found
    assert not before.rpartition("\r")[2].strip(), "the bar was wiped first"


def test_a_pipe_has_plain_lines_now_and_then(dataset, trained, capsys, monkeypatch) -> None:
    trained(dataset, state="quick")
    quick = capsys.readouterr()
    [first] = quick.out.splitlines()
    assert first.startswith("epoch 1/2, step 1/5"), "it has begun; more would come after 15 seconds"
    assert quick.err == ""
    monkeypatch.setattr("segpipe.training.watch.console._SAID_EVERY", 0.0)
    trained(dataset, state="slow")
    slow = capsys.readouterr()
    assert "\r" not in slow.out + slow.err
    lines = slow.out.splitlines()
    assert len(lines) == 10
    assert all(LINE.fullmatch(line) for line in lines)


def line_of(total: int, taken: int = 0, shown: bool = True) -> LiveLine:
    lengths = StepLengths(50, total, warmup=0, validate_every=100, halve_every=1, reasons=())
    return LiveLine(lengths, batch_size=8, taken=taken, shown=shown)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time of the line, moved by hand."""
    time = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("segpipe.training.watch.console.perf_counter", lambda: time.now)
    return time


def test_lines_come_every_15_seconds_with_the_time_that_is_left(clock, capsys) -> None:
    with line_of(total=400) as line:
        clock.now += 60.0  # the first step compiles
        line.step(1, 9.0, 0.1, 60.0, 0.0)
        for taken in range(2, 101):
            clock.now += 1.0
            line.step(taken, 2.0, 0.004, 1.0, 0.25)
        clock.now += 31.0  # a validation of 30 seconds
        line.step(101, 2.0, 0.004, 1.0, 0.25)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/8, step 1/50, 6:39:00 left: loss 9.000")
    assert len(lines) == 99 // 15 + 1
    assert lines[0] == (
        "epoch 1/8, step 16/50, 6:24 left: loss 2.000, lr 0.004, 8 images/s, 25 % waiting for data"
    )
    # 299 steps, and the validations at 200, 300 and 400.
    assert lines[-1].startswith("epoch 3/8, step 1/50, 6:29 left")


def test_a_process_that_follows_says_nothing(clock, capsys) -> None:
    with line_of(total=10, shown=False) as line:
        clock.now += 100.0
        line.step(1, 1.0, 0.1, 0.1, 0.0)
    assert capsys.readouterr().out == ""


def test_a_resumed_training_counts_from_where_it_was(clock, capsys) -> None:
    with line_of(total=120, taken=110) as line:
        clock.now += 20.0
        line.step(111, 1.0, 0.1, 2.0, 0.0)
    assert "epoch 3/3, step 11/50, 0:18 left" in capsys.readouterr().out


def test_a_length_in_steps_has_the_same_line(dataset, trained, capsys, monkeypatch) -> None:
    monkeypatch.setattr("segpipe.training.watch.console._SAID_EVERY", 0.0)
    trained(dataset, length=Length(7, "steps"), validate_every=Length(3, "steps"))
    assert capsys.readouterr().out.splitlines()[-1].startswith("epoch 2/2, step 2/5, 0:00 left")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (42.4, "0:42"), (725, "12:05"), (11220, "3:07:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
