"""Archives of published data sets: looked through first, unpacked only when nothing is wrong."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from segpipe.console import progress
from segpipe.errors import DataError, listing

# Pictures hardly shrink and polygon files shrink about tenfold; what grows more is a zip bomb.
_MOST_GROWTH = 50
_SMALL = 1 << 20


def unpack(archive: Path, target: Path) -> None:
    """Unpack a zip archive below the folder `target`.

    Raises DataError before anything is written when a member would land outside `target`, is a
    link, stands twice or is encrypted, when the unpacked size is implausible or does not fit on
    the disk; and while unpacking when the archive is truncated or a checksum is wrong.
    """
    with _opened(archive) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        _refuse_unsafe(archive, members)
        _refuse_too_large(archive, members, target)
        for member in progress(members, f"unpack {archive.name}", "file"):
            path = target / member.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with opened.open(member) as packed, path.open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise DataError(
                    f"{archive}: {member.filename} is damaged ({error}); get the archive again"
                ) from error


def member_names(archive: Path) -> list[str]:
    """Return the files of an archive, after the same checks as `unpack` makes of the names."""
    with _opened(archive) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        _refuse_unsafe(archive, members)
        return [member.filename for member in members]


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except FileNotFoundError as error:
        raise DataError(f"{archive}: there is no such file") from error
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{archive}: is no whole zip archive ({error}); it may be cut off: get it again"
        ) from error


def _refuse_unsafe(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    faults = []
    seen: set[str] = set()
    for member in members:
        name = member.filename
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
            faults.append(f"{name}: would be written outside the folder")
        elif stat.S_ISLNK(member.external_attr >> 16):
            faults.append(f"{name}: is a link")
        elif member.flag_bits & 0x1:
            faults.append(f"{name}: is encrypted")
        elif name in seen:
            faults.append(f"{name}: stands in it twice")
        seen.add(name)
    if faults:
        raise DataError(
            f"{archive}: is not safe to unpack; nothing was written:\n{listing(faults)}"
        )


def _refuse_too_large(archive: Path, members: list[zipfile.ZipInfo], target: Path) -> None:
    unpacked = sum(member.file_size for member in members)
    packed = archive.stat().st_size
    if unpacked > _MOST_GROWTH * packed + _SMALL:
        raise DataError(
            f"{archive}: {packed:,} bytes claim to unpack to {unpacked:,}; no archive of pictures "
            "does, so nothing was written"
        )
    free = shutil.disk_usage(target).free
    if unpacked > free:
        raise DataError(
            f"{archive}: unpacks to {unpacked:,} bytes, but only {free:,} are free on the disk of "
            f"{target.parent}; free some space and start again"
        )
