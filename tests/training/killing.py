"""Trainings in forked children that kill themselves with SIGKILL at a given place (for test_kills.py).

Run in a workspace as `python -m tests.training.killing`. A line on stdin asks for one training: where
it shall be killed, as {"phase": ..., "entry": k, "event": n}; "count" for not at all, but to count;
null for neither. It is killed within the k-th call of a function of that phase, at the n-th call or
return, of Python or of C, since that function was entered. The answer, a line on stdout, is the
exit code, negative for a signal, and for each phase how many events its calls had, in order.

A child is forked from a process that has imported torch and MLflow, which saves their fifteen seconds.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow  # noqa: F401 (imported before the fork)
import torch._dynamo  # noqa: F401 (torch does that at the first optimizer)

import segpipe.tracking.synchronise
import segpipe.training.loop
import segpipe.training.run
import segpipe.training.watch.tracked
from segpipe.runtime.process_exit import explained
from segpipe.tracking.tracker import Tracker
from segpipe.training.state.checkpoint import Checkpoints
from stages import train

PHASES: dict[str, list[tuple[Any, str]]] = {
    "start": [(segpipe.training.watch.tracked, "start_run"), (Checkpoints, "note_tracked")],
    "resume": [(segpipe.training.run, "resume")],
    "step": [(segpipe.training.loop, "train_step")],
    "copy": [(segpipe.training.loop, "copied_state")],
    "write": [(Checkpoints, "write")],
    "validation": [(segpipe.training.loop, "validate")],
    "log": [(Tracker, "log_metrics"), (segpipe.tracking.synchronise, "send_rows")],
    "publish": [
        (segpipe.training.run, "write_bundle"),
        (segpipe.training.run, "write_history"),
        (segpipe.training.run, "write_record"),
        (Tracker, "log_files"),
    ],
    "remove": [(Checkpoints, "remove")],
}


class Watch:
    """Counts what happens within the functions of a phase, and kills when told to."""

    def __init__(self, kill: Any) -> None:
        self.counts = kill == "count"
        self.kill = kill if isinstance(kill, dict) else {"phase": None}
        self.seen: dict[str, list[int]] = {phase: [] for phase in PHASES}

    def wrap(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            entry = len(self.seen[phase])
            self.seen[phase].append(0)
            fatal = self.kill["phase"] == phase and self.kill["entry"] == entry + 1

            def count(*_: Any) -> None:
                self.seen[phase][entry] += 1
                if fatal and self.seen[phase][entry] == self.kill["event"]:
                    os.kill(os.getpid(), signal.SIGKILL)

            if not (fatal or self.counts):
                return function(*arguments, **options)  # counting is slow
            outer = sys.getprofile()
            sys.setprofile(count)
            try:
                return function(*arguments, **options)
            finally:
                sys.setprofile(outer)

        return watched


def child(kill: Any, answer: int) -> int:
    """Train in this process, which was forked for it; write what was seen to `answer`."""
    watch = Watch(kill)
    for phase, places in PHASES.items():
        for owner, name in places:
            setattr(owner, name, watch.wrap(phase, getattr(owner, name)))
    code = explained(train.start)
    os.write(answer, json.dumps(watch.seen).encode())
    return code


def main() -> None:
    for line in sys.stdin:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            with Path("log.txt").open("a") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                sys.exit(child(json.loads(line), writing))
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            seen = answer.read()
        _, status = os.waitpid(process, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code, "seen": json.loads(seen or b"null")}), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
