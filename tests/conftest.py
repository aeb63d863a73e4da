"""What holds for every test: one thread a process; and what several files of them share.

The networks of the tests are so small that threads mostly wait for each other, and `make test` runs
a process a core: with a thread a core in each of them, all get in each other's way.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.trainers import Trainers

# Before anything imports torch or numpy, which read them once. Subprocesses inherit them.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


# A shell starts what runs in its background deaf to Ctrl-C, and what that starts is deaf as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after fetch and prepare, to be copied by `workspace_with`.

    19 training images, so three are left over in an epoch of
    batches of 4 or 16, and 5 for validation.
    """
    from tests.forge import make_folder, make_prepared

    root = tmp_path_factory.mktemp("prepared")
    return make_prepared(root / "w", make_folder(root / "data", train=19, val=5))


@pytest.fixture(scope="session")
def trainers() -> "Iterator[Trainers]":
    """Starts trainings at once, without the seconds of imports."""
    from tests.trainers import Trainers

    started = Trainers()
    yield started
    started.close()
