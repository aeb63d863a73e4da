"""When a checkpoint is written, and its writing while the training goes on.

The leading process decides and writes. What it decides goes round with the sums of a step, so that
all processes know at which steps a checkpoint is taken.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from segpipe.params.checkpoint import CheckpointParams
from segpipe.runtime.console import say
from segpipe.runtime.errors import CheckpointError
from segpipe.training.state.checkpoint import Checkpoints, State


class Saver:
    """Writes one checkpoint at a time, in a thread."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        params: CheckpointParams,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """now: the time in seconds."""
        self._checkpoints = checkpoints
        self._params = params
        self._now = now
        self._last = now()
        self._owed = False
        self._fault: OSError | None = None
        self._bug: BaseException | None = None
        self._thread: threading.Thread | None = None

    def is_due(self, taken: int, row_due: bool) -> bool:
        """Return whether the state is to be saved once so many steps are taken.

        row_due: the history gets a row then. What falls due while a checkpoint is being written is
        due again as soon as that is done.
        """
        steps, minutes = self._params.steps, self._params.minutes
        by_steps = steps is not None and taken % steps == 0
        by_time = minutes is not None and self._now() - self._last >= 60 * minutes
        self._owed = self._owed or row_due or by_steps or by_time
        return self._owed and not self._is_writing()

    def save(self, state: State) -> None:
        """Begin to write, after the write before has ended.

        A disk that refuses is said once; older checkpoints stay, and the next one is tried.
        """
        self.wait()
        self._owed, self._last = False, self._now()
        self._thread = threading.Thread(target=self._write, args=(state,), daemon=True)
        self._thread.start()

    def save_and_wait(self, state: State) -> None:
        """Write now; CheckpointError when the disk refuses, with what is kept."""
        self.save(state)
        self.wait()
        if self._fault is None:
            return
        kept = self._checkpoints.steps()
        onward = f"from step {kept[-1]}, which is kept" if kept else "from its beginning"
        raise CheckpointError(
            f"{self._checkpoints.folder}: the state of step {state.progress.step} could not be saved: "
            f"{self._fault}. Free some space there (`dvc gc --workspace --all-experiments` drops "
            f"unused results) and start again: the training goes on {onward}"
        ) from self._fault

    def wait(self) -> None:
        """Return once nothing is being written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._bug is not None:
            raise self._bug

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Let the checkpoint that is being written become whole before an error leaves the block."""
        try:
            yield
        except Exception:
            self.wait()
            raise

    def _is_writing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _write(self, state: State) -> None:
        try:
            self._checkpoints.write(state)
        except OSError as error:
            if self._fault is None:
                say(
                    f"warning: {self._checkpoints.folder}: step {state.progress.step} could not be "
                    f"saved: {error}; the training goes on, and saving is tried again"
                )
            self._fault = error
        except BaseException as error:  # raised where the training waits for this thread
            self._bug = error
        else:
            if self._fault is not None:
                say(f"{self._checkpoints.folder}: step {state.progress.step} is saved again")
            self._fault = None
