"""Packages of Cityscapes from their site into a folder, each whole and verified.

NAME.part holds the bytes that have arrived, and is renamed to NAME once they are verified. NAME.json
records the MD5 of the file on the site that they belong to and, of a verified package, its size and
modification time, so that it counts as whole without being read.
"""

import contextlib
import errno
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from tqdm import tqdm

from segpipe.runtime.atomic import sync, write_json
from segpipe.runtime.console import say
from segpipe.runtime.lock import held_file
from segpipe.runtime.small_files import read_json
from segpipe.sources.cityscapes.credentials import find_credentials
from segpipe.sources.cityscapes.faults import DownloadError, SiteError, TransientError, retry
from segpipe.sources.cityscapes.site import SITE, Package, Session, Site
from segpipe.sources.copying import refuse_too_little_space

SECONDS_BETWEEN_LINES = 10.0
_LONG_TO_VERIFY = 1 << 30  # bytes
_NO_LOCKS = "its file system cannot lock files; put the repository on a local disk"
_DISK_FAULTS = {
    errno.ENOSPC: "the disk is full; free some space and start again",
    errno.EDQUOT: "the disk quota is used up; free some space and start again",
    errno.EFBIG: "the file system (or a limit, see `ulimit -f`) takes no larger file",
    errno.ENOLCK: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
}


def download(names: Sequence[str], target: Path, address: str = SITE) -> None:
    """Bring the named packages ("gtFine_trainvaltest.zip") into the folder `target`, one by one.

    A package that is whole is not asked for again and needs no login; one that was begun is
    continued. Several processes may call this at once: one downloads, the others wait. A fault of
    one package lets the others finish. Raises SegpipeError; all bytes that arrived are kept.
    """
    waiting = f"is downloading into {target}; waiting until it has ended"
    try:
        if all(_is_whole(target / name) for name in names):
            return
        target.mkdir(parents=True, exist_ok=True)
        with held_file(target / ".lock", lambda holder: say(f"process {holder} {waiting}")):
            missing = [name for name in dict.fromkeys(names) if not _is_whole(target / name)]
            if missing:
                _download_missing(missing, target, address)
    except OSError as error:  # of the disk: those of the network are TransientErrors by now
        text = _DISK_FAULTS.get(error.errno or 0, f"{error.strerror}; see to its permissions")
        raise SiteError(f"{error.filename or target}: {text}") from error
    finally:
        for part in (_part_of(target / name) for name in names):
            if size := _size(part):
                say(f"{part}: {_readable(size)} are kept, and the next start continues from there")


def _download_missing(names: Sequence[str], target: Path, address: str) -> None:
    failures = []
    with Session() as session:
        site = Site(session, find_credentials(), address)
        transfers = [_Transfer(package, target, site) for package in site.find_packages(names)]
        missing = sum(transfer.missing for transfer in transfers)
        refuse_too_little_space(missing, target, f"the download of {', '.join(names)}")
        say(f"about {_readable(missing)} to download from {address} into {target}")
        for transfer in transfers:
            try:
                transfer.run()
            except SiteError:
                raise
            except DownloadError as error:
                failures.append(str(error))
                if transfer is not transfers[-1]:
                    say(str(error))  # at once, because the others may take hours
    if failures:
        raise DownloadError("\n".join(failures))


class _Transfer:
    """One package on its way from the site to the disk."""

    def __init__(self, package: Package, target: Path, site: Site) -> None:
        self._package, self._site = package, site
        self._path = target / package.name
        self._part = _part_of(self._path)
        self._md5 = _read_record(self._path).get("md5")  # of the file that the part belongs to
        # A file of another downloader, or one that has changed, is verified and completed as a part.
        if _size(self._path) > _size(self._part):
            self._path.replace(self._part)
            self._md5 = None
        self.missing = max(0, package.about - _size(self._part))  # bytes, about

    def run(self) -> None:
        """Download and verify the package. Raises DownloadError, or OSError of the disk."""
        name, before, self._md5 = self._package.name, self._md5, self._site.digest(self._package)
        if before not in (None, self._md5):
            self._start_over("the site has another file of this name now")
        write_json(_record_of(self._path), {"md5": self._md5})
        retry(name, self._continue, lambda: _size(self._part))
        size = _size(self._part)
        if size > _LONG_TO_VERIFY:
            say(f"{name}: comparing the MD5 of {_readable(size)}")
        md5 = _md5_of(self._part)
        if md5 != self._md5:
            self._part.unlink()
            _record_of(self._path).unlink()
            raise DownloadError(
                f"{name}: {size:,} bytes with MD5 {md5} came, but the site publishes {self._md5}, "
                "so they were removed; start again, and should it happen again, check the disk"
            )
        sync(self._part)
        self._part.replace(self._path)
        sync(self._path.parent)
        _record_whole(self._path, md5)
        say(f"{name}: {_readable(size)} are here (MD5 as published)")

    def _continue(self) -> None:
        """Ask once for the bytes that are missing. Raises TransientError when some still are."""
        name, size, address = self._package.name, _size(self._part), self._site.address
        path = f"/file-handling/?packageID={self._package.number}"
        headers = {"Range": f"bytes={size}-"} if size else {}  # RFC 9110, 14.2
        with self._site.ask(path, name, (200, 206, 416), headers) as answer:
            status, told = answer.response.status_code, answer.response.headers
            if status == 416:  # nothing lies behind the part
                if _md5_of(self._part) == self._md5:
                    return
                self._start_over("the part does not belong to the file on the site")
                raise TransientError("there is nothing to continue")
            if not answer.first:
                raise TransientError(f"{address} sends nothing")
            if status == 206 and not told.get("Content-Range", "").startswith(f"bytes {size}-"):
                raise TransientError(f"{address} sends another part of the file than was asked for")
            if status == 200 and not answer.first.startswith(b"PK"):
                raise DownloadError(
                    f"{name}: {address} sends something that is not a zip archive; look at its page "
                    "of downloads with a browser"
                )
            if status == 200 and size:
                self._start_over("the site sends the file from its beginning")
            total = told.get("Content-Length", "")
            if status == 206:
                total = told["Content-Range"].rpartition("/")[2]
            expected = int(total) if total.isdecimal() else None
            self._append(answer.chunks, expected)
        if _size(self._part) < (expected or 0):
            raise TransientError("the answer ended too early")

    def _append(self, chunks: Iterator[bytes], total: int | None) -> None:
        """Write the bytes behind those of the part, and show the progress of the package.

        On a terminal that is a bar with rate and time left, otherwise a line every ten seconds.
        """
        name, begun, before = self._package.name, monotonic(), _size(self._part)
        said = begun
        bar = tqdm(
            desc=name,
            total=total,
            initial=before,
            unit="B",
            unit_scale=True,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )
        # Unbuffered, so that what was written is in the file however this process ends.
        with self._part.open("ab", buffering=0) as file, bar:
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[file.write(rest) :]
                bar.update(len(chunk))
                now = monotonic()
                if bar.disable and now - said >= SECONDS_BETWEEN_LINES:
                    said, size = now, file.tell()
                    of_all = f" of {_readable(total)}" if total else ""
                    rate = _readable((size - before) / (now - begun))
                    say(f"{name}: {_readable(size)}{of_all}, {rate}/s")

    def _start_over(self, reason: str) -> None:
        say(f"{self._package.name}: {reason}; starting over")
        self._part.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Return whether the package at `path` is there as recorded.

    Where the recorded time is missing or another one (the folder was copied), its MD5 decides.
    """
    record = _read_record(path)
    if not path.is_file() or record.get("bytes") not in (None, _size(path)):
        return False
    if record.get("modified_ns") != path.stat().st_mtime_ns:
        if record.get("md5") is None or record["md5"] != _md5_of(path):
            return False
        with contextlib.suppress(OSError):  # a folder of somebody else: read again next time
            _record_whole(path, record["md5"])
    return True


def _read_record(path: Path) -> dict[str, Any]:
    try:
        return read_json(_record_of(path))
    except (OSError, ValueError):
        return {}


def _record_whole(path: Path, md5: str) -> None:
    facts = path.stat()
    record = {"bytes": facts.st_size, "md5": md5, "modified_ns": facts.st_mtime_ns}
    write_json(_record_of(path), record)


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _size(path: Path) -> int:
    """Return the bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _md5_of(path: Path) -> str:
    def md5() -> "hashlib._Hash":
        return hashlib.md5(usedforsecurity=False)

    with path.open("rb") as file:
        return hashlib.file_digest(file, md5).hexdigest()


def _readable(count: float) -> str:
    return tqdm.format_sizeof(count, "B")
