"""Packages of Cityscapes from their site into a folder, each whole and verified."""

import contextlib
import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from segpipe.runtime.errors import SegpipeError, listing
from segpipe.sources.download.catalogue import find_packages
from segpipe.sources.download.credentials import find_credentials
from segpipe.sources.download.display import Display, readable, tell
from segpipe.sources.download.faults import DownloadError, SiteError
from segpipe.sources.download.halt import Halt, StoppedError
from segpipe.sources.download.lock import held_in_turn
from segpipe.sources.download.part import Part
from segpipe.sources.download.patience import PATIENT, Patience
from segpipe.sources.download.receipt import is_whole
from segpipe.sources.download.session import SITE, Site
from segpipe.sources.download.transfer import Transfer

_AT_ONCE = 3
_SECONDS_TO_END = 2.0


def download(
    names: Sequence[str], target: Path, site: str = SITE, patience: Patience = PATIENT
) -> list[Path]:
    """Bring the named packages ("gtFine_trainvaltest.zip") into the folder `target`; return their paths.

    What is there whole is not asked for again, and needs no login. What was begun is continued.
    Several processes may call this at once: one downloads, the others wait. Raises SegpipeError
    (DownloadError for what concerns the site) with every package that did not come; the others
    are finished first where they can be, and all that came is kept.
    """
    wanted = list(dict.fromkeys(names))
    paths = [target / name for name in names]
    if all(is_whole(target / name) for name in wanted):
        return paths
    _make_folder(target)
    with held_in_turn(target, tell):
        missing = [name for name in wanted if not is_whole(target / name)]
        if missing:
            _bring(missing, target, site, patience)
    return paths


def _make_folder(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SegpipeError(
            f"{target}: this folder for downloads cannot be made ({error.strerror}); see to the "
            "permissions above it"
        ) from error


def _bring(names: list[str], target: Path, address: str, patience: Patience) -> None:
    halt = Halt()
    with contextlib.closing(Site(address, find_credentials(), patience, halt, tell)) as site:
        site.log_in()
        packages = find_packages(names, site)
        transfers = [Transfer(each, _part(target / each.name), site, halt) for each in packages]
        _refuse_too_little_space(transfers, target)
        total = sum(transfer.expected for transfer in transfers)
        missing = sum(transfer.missing for transfer in transfers)
        tell(f"{readable(missing)} to download from {site.host} into {target}")
        with Display(len(transfers), total, total - missing) as display:
            failures = _in_parallel(transfers, display, halt, target)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        texts = listing([str(failure) for failure in failures])
        raise DownloadError(f"{len(failures)} packages could not be brought:\n{texts}")


def _part(path: Path) -> Part:
    try:
        return Part(path)
    except OSError as error:
        raise SegpipeError(
            f"{path}: cannot be used ({error.strerror}); see to its permissions, or move it away"
        ) from error


def _refuse_too_little_space(transfers: list[Transfer], target: Path) -> None:
    missing = sum(transfer.missing for transfer in transfers)
    free = shutil.disk_usage(target).free
    if missing > free:
        sizes = [f"{each.package.name}: {readable(each.missing)}" for each in transfers]
        raise SegpipeError(
            f"{target}: {readable(missing)} have to be downloaded, and {readable(free)} are free on "
            "its disk; free some space (unpacking needs as much again) and start again:\n"
            f"{listing(sizes)}"
        )


def _in_parallel(
    transfers: list[Transfer], display: Display, halt: Halt, target: Path
) -> list[DownloadError]:
    """Run the transfers, a few at once; return what failed, in the order of the transfers.

    A fault of one package lets the others come; a fault that concerns all stops them.
    """
    waiting: queue.SimpleQueue[Transfer] = queue.SimpleQueue()
    for transfer in transfers:
        waiting.put(transfer)
    ended: queue.SimpleQueue[tuple[Transfer, Exception | None]] = queue.SimpleQueue()

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                transfer = waiting.get_nowait()
                ended.put((transfer, _outcome(transfer, display)))

    failures: dict[Transfer, DownloadError] = {}
    with _threads(work, min(_AT_ONCE, len(transfers)), halt, target):
        for _ in transfers:
            transfer, error = ended.get()
            if isinstance(error, SiteError):
                halt.stop()
            if isinstance(error, DownloadError):
                failures[transfer] = error
                if len(transfers) > 1:
                    tell(f"{error}")  # at once: the others may take hours
            elif error is not None and not isinstance(error, StoppedError):
                raise error
    return [failures[transfer] for transfer in transfers if transfer in failures]


def _outcome(transfer: Transfer, display: Display) -> Exception | None:
    try:
        transfer.run(display)
    except Exception as error:
        return error
    return None


@contextlib.contextmanager
def _threads(work: Callable[[], None], count: int, halt: Halt, target: Path) -> Iterator[None]:
    """Run `work` in threads during the block; whatever ends the block early stops them at once."""
    # Daemons: one that waits for a name server or for a first answer cannot be woken, and must not
    # keep the process.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
        yield
    except KeyboardInterrupt:
        tell(f"stopped; what came so far is kept in {target} and continued at the next start")
        raise
    finally:
        halt.stop()
        for thread in threads:
            thread.join(_SECONDS_TO_END)
