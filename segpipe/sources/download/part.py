"""The part of a package that has come so far: kept on every failure, continued from there.

NAME.part holds the bytes, NAME.part.json what they belong to: the published MD5, the size and the
entity tag of the file on the site.
"""

import contextlib
import errno
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from segpipe.runtime.atomic import sync, write_json
from segpipe.sources.download.display import readable
from segpipe.sources.download.faults import DownloadError
from segpipe.sources.download.halt import Halt
from segpipe.sources.download.receipt import write_receipt

_BLOCK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Origin:
    """What the bytes of a part belong to; None where the site does not tell it."""

    md5: str | None = None
    size: int | None = None
    etag: str | None = None


class Part:
    """The unfinished file of one package."""

    def __init__(self, path: Path) -> None:
        """`path`: where the finished package will be.

        A file that lies there (another downloader's, or changed since) becomes the part, so that
        it is verified like one, and continued when it is not whole.
        """
        self.path = path
        self.file = path.with_name(f"{path.name}.part")
        self._notes = path.with_name(f"{path.name}.part.json")
        if path.exists() and (not self.file.exists() or _size(path) > _size(self.file)):
            self._notes.unlink(missing_ok=True)
            path.replace(self.file)
        self.origin = self._read_notes()
        self._digest = hashlib.md5(usedforsecurity=False)
        self._digested = 0

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return _size(self.file)

    @property
    def md5(self) -> str:
        """The MD5 of the bytes that are there; `digest_kept` has to have been called."""
        return self._digest.hexdigest()

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are there; whether they are the right ones is not said."""
        return self.origin.size is not None and self.size >= self.origin.size

    def belongs_to(self, origin: Origin) -> None:
        """Note what the bytes that follow belong to."""
        if origin != self.origin:
            self.origin = origin
            write_json(self._notes, asdict(origin))

    def restart(self) -> None:
        """Drop all bytes."""
        self.file.unlink(missing_ok=True)
        self._digest = hashlib.md5(usedforsecurity=False)
        self._digested = 0

    def digest_kept(self, halt: Halt) -> None:
        """Take the bytes of earlier tries into the digest. Raises StoppedError."""
        if self._digested == self.size:
            return
        self._digest = hashlib.md5(usedforsecurity=False)
        self._digested = 0
        with self.file.open("rb") as file:
            while block := file.read(_BLOCK):
                halt.check()
                self._digest.update(block)
                self._digested += len(block)

    @contextlib.contextmanager
    def appending(self) -> Iterator[Callable[[bytes], None]]:
        """Yield the function that writes bytes behind those that are there. Raises OSError."""
        # Unbuffered, so that what was written is in the file however this process ends.
        with self.file.open("ab", buffering=0) as file:

            def append(chunk: bytes) -> None:
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) :]
                self._digest.update(chunk)
                self._digested += len(chunk)

            yield append

    def finish(self, published: str | None) -> Path:
        """Verify the bytes and give them their name; a part that is wrong is removed.

        Raises DownloadError when the digest or the size is not the one of the site.
        """
        md5 = self.md5
        size = self.size
        wrong = []
        if published is not None and md5 != published:
            wrong.append(f"its MD5 is {md5}, the site publishes {published}")
        if self.origin.size is not None and size != self.origin.size:
            wrong.append(f"it has {size:,} bytes, on the site {self.origin.size:,}")
        if wrong:
            self.restart()
            self._notes.unlink(missing_ok=True)
            raise DownloadError(
                f"{self.path.name}: what came is not what the site offers ({'; '.join(wrong)}), so "
                "it was removed; start again, and should it happen again, check the disk"
            )
        sync(self.file)
        self.file.replace(self.path)
        sync(self.path.parent)
        write_receipt(self.path, md5, published is not None)
        self._notes.unlink(missing_ok=True)
        return self.path

    def kept(self) -> str:
        """Return a sentence about what is there, with a space before it, or nothing."""
        size = self.size
        return f" {readable(size)} are kept in {self.file} and continued from." if size else ""

    def unwritable(self, error: OSError) -> str:
        """Return what a failure of the disk means, and what to do."""
        if error.errno in _FULL:
            full = (
                "the disk is full" if error.errno == errno.ENOSPC else "the disk quota is used up"
            )
            return f"{self.path.name}: {full}.{self.kept()} Free some space and start again"
        if error.errno == errno.EFBIG:
            return (
                f"{self.path.name}: the file system (or a limit, see `ulimit -f`) takes no larger "
                f"file.{self.kept()} Put the repository on another disk"
            )
        return (
            f"{self.file}: cannot be written or read ({error.strerror}).{self.kept()} See to the "
            "folder's permissions and the disk, and start again"
        )

    def _read_notes(self) -> Origin:
        try:
            return Origin(**json.loads(self._notes.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Origin()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
