"""Archives of published data sets: looked through first, unpacked only when nothing is wrong."""

import errno
import lzma
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError, listing
from segpipe.sources.copying import refuse_too_little_space

# Pictures hardly shrink and polygon files shrink about tenfold; what grows more is a zip bomb.
_MOST_GROWTH = 50
_SMALL = 1 << 20
_LONGEST_NAME, _LONGEST_PATH = 255, 1024  # bytes; file systems take names of up to 255
# What zipfile raises at content that is not what it claims to be: a ValueError for a name or a
# position that cannot be, NotImplementedError for a method of compression that cannot be.
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    ValueError,
)


def unpack(archive: Path, target: Path, wanted: Callable[[str], bool] = lambda _name: True) -> None:
    """Unpack a zip archive below the folder `target`: the members whose names are `wanted`.

    Raises DataError before anything is written when any member, wanted or not, would land outside
    `target`, is a link, is encrypted, has a name that is too long or that another one has too (in
    other case, say), when the unpacked size of all is implausible or that of the wanted does not fit
    on the disk; and while unpacking when the archive is truncated or a checksum is wrong.
    """
    with _opened(archive) as opened:
        members = [member for member in _checked(archive, opened) if wanted(member.filename)]
        refuse_too_little_space(sum(member.file_size for member in members), target, str(archive))
        for member in progress(members, f"unpack {archive.name}", "file"):
            path = target / member.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with opened.open(member) as packed, path.open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
            except (*_DAMAGES, OSError) as error:
                # bz2, and a position before the beginning; others are of the disk.
                if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                    raise
                raise DataError(
                    f"{archive}: {_shown(member.filename)} is damaged ({error}); get the archive again"
                ) from error


def member_sizes(archive: Path) -> dict[str, int]:
    """Return the files of an archive with their unpacked bytes, after the checks of `unpack`.

    Whether they fit on a disk is not among these.
    """
    with _opened(archive) as opened:
        return {member.filename: member.file_size for member in _checked(archive, opened)}


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except FileNotFoundError as error:
        raise DataError(f"{archive}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{archive}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{archive}: has a member whose name claims to be UTF-8 and is not ({error.object!r}); "
            "get the archive again, or pack it anew"
        ) from error
    except (*_DAMAGES, struct.error, OverflowError) as error:
        raise DataError(
            f"{archive}: is not a complete zip archive ({error}); it may be cut off: get it again"
        ) from error


def _checked(archive: Path, opened: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = [member for member in opened.infolist() if not member.is_dir()]
    _refuse_unsafe(archive, members)
    _refuse_bomb(archive, members)
    return members


def _refuse_unsafe(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    faults = []
    seen: dict[str, str] = {}
    paths = [PurePosixPath(member.filename) for member in members]
    folders = {_folded(folder) for path in paths for folder in path.parents}
    for member, path in zip(members, paths, strict=True):
        name, place = member.filename, _folded(path)
        other = seen.get(place)
        if _leads_out(path):
            fault = "would be written outside the folder"
        elif stat.S_ISLNK(member.external_attr >> 16):
            fault = "is a link"
        elif member.flag_bits & 0x1:
            fault = "is encrypted"
        elif longest := _too_long(path):
            fault = longest
        elif other == name:
            fault = "stands in it twice"
        elif other is not None:
            fault = f"is the same file as {_shown(other)} where case does not count"
        elif place in folders:
            fault = "is a file, and a folder of other files"
        else:
            fault = ""
        seen[place] = name
        if fault:
            faults.append(f"{_shown(name)}: {fault}")
    if faults:
        raise DataError(
            f"{archive}: is not safe to unpack; nothing was written:\n{listing(faults)}"
        )


def _folded(path: PurePosixPath) -> str:
    """Return what two paths have in common that are one file on some file system."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _shown(name: str) -> str:
    """Return a name as it can be printed: without control characters, and not longer than a line."""
    plain = name if name.isprintable() else repr(name)
    return plain if len(plain) <= 100 else f"{plain[:60]}...{plain[-30:]}"


def _too_long(path: PurePosixPath) -> str:
    longest = max(len(part.encode()) for part in path.parts)
    if longest > _LONGEST_NAME:
        return f"has a name of {longest} bytes; file systems take {_LONGEST_NAME}"
    whole = len(str(path).encode())
    return f"is a path of {whole:,} bytes, above {_LONGEST_PATH:,}" if whole > _LONGEST_PATH else ""


def _leads_out(path: PurePosixPath) -> bool:
    """Return whether a member's path leaves the folder, here or on a system with other rules."""
    if not path.parts or path.is_absolute() or ".." in path.parts:
        return True
    return "\\" in str(path) or ":" in path.parts[0]


def _refuse_bomb(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    unpacked = sum(member.file_size for member in members)
    packed = archive.stat().st_size
    if unpacked > _MOST_GROWTH * packed + _SMALL:
        raise DataError(
            f"{archive}: {packed:,} bytes claim to unpack to {unpacked:,}; no archive of pictures "
            "does, so nothing was written"
        )
