"""One process at a time downloads into a folder; the others wait for it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.lock import held_file


@contextlib.contextmanager
def held_in_turn(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a download folder, waiting for the process that has it.

    Raises SegpipeError where the folder cannot be written or the file system knows no locks.
    """

    def wait(holder: str) -> None:
        tell(f"process {holder} is downloading into {folder}; waiting until it has ended")

    with contextlib.ExitStack() as held:
        try:
            held.enter_context(held_file(folder / ".lock", wait))
        except OSError as error:
            raise _explained(folder, error) from error
        yield


def _explained(folder: Path, error: OSError) -> SegpipeError:
    if error.filename is not None:
        return SegpipeError(
            f"{error.filename}: cannot be written ({error.strerror}); see to the permissions of its "
            "folder"
        )
    return SegpipeError(
        f"{folder}: its file system cannot lock files ({error.strerror}), so two downloads "
        "could write one package; put the repository on a local disk, or download the "
        "packages by hand and name their folder in source.path"
    )
