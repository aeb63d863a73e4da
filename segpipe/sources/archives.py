"""Archives of published data sets: looked through first, unpacked only when nothing is wrong."""

import shutil
import stat
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


def unpack(archive: Path, target: Path, wanted: Callable[[str], bool] = lambda _name: True) -> None:
    """Unpack a zip archive below the folder `target`: the members whose names are `wanted`.

    Raises DataError before anything is written when any member, wanted or not, would land outside
    `target`, is a link, appears twice or is encrypted, when the unpacked size of all is implausible
    or that of the wanted does not fit on the disk; and while unpacking when the archive is
    truncated or a checksum is wrong.
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
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
                raise DataError(
                    f"{archive}: {member.filename} is damaged ({error}); get the archive again"
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
    except zipfile.BadZipFile as error:
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
    seen: set[str] = set()
    folders = {
        str(folder) for member in members for folder in PurePosixPath(member.filename).parents
    }
    for member in members:
        name = member.filename
        path = PurePosixPath(name)
        if _leads_out(path):
            faults.append(f"{name}: would be written outside the folder")
        elif stat.S_ISLNK(member.external_attr >> 16):
            faults.append(f"{name}: is a link")
        elif member.flag_bits & 0x1:
            faults.append(f"{name}: is encrypted")
        elif name in seen:
            faults.append(f"{name}: stands in it twice")
        elif str(path) in folders:
            faults.append(f"{name}: is a file, and a folder of other files")
        seen.add(name)
    if faults:
        raise DataError(
            f"{archive}: is not safe to unpack; nothing was written:\n{listing(faults)}"
        )


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
