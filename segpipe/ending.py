"""How a command ends: with its exit code, or with one message in plain words."""

import sys
from collections.abc import Callable
from pathlib import Path

from segpipe.atomic import disk_errors_explained
from segpipe.errors import SegpipeError

INTERRUPTED = 130  # as a shell reports Ctrl-C


def explained(work: Callable[[], int]) -> int:
    """Return what `work` returns; say expected errors in one message, without a traceback."""
    try:
        with disk_errors_explained(Path.cwd()):
            return work()
    except SegpipeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was published", file=sys.stderr)
        return INTERRUPTED
