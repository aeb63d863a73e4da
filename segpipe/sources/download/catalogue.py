"""The packages that the site offers, and the digests that it publishes."""

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from segpipe.runtime.errors import listing
from segpipe.sources.download.faults import DownloadError, SiteError
from segpipe.sources.download.session import Site

_FORBIDDEN_LIST = "the account may not be confirmed yet: log in with a browser and look"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)B?", re.IGNORECASE)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Package:
    """A file on the site. about: its size in bytes as the list rounds it."""

    name: str
    number: int
    about: int

    @property
    def path(self) -> str:
        """Where its bytes are."""
        return f"/file-handling/?packageID={self.number}"


def forbidden(name: str, site: Site) -> str:
    """Return what status 403 for a package means."""
    return (
        f"this account has no access to {name}: ask for it, and accept its terms, at "
        f"{site.address}/downloads/ with a browser, then start again"
    )


def find_packages(names: Sequence[str], site: Site) -> list[Package]:
    """Return the named packages in order; DownloadError lists those that the site does not name."""
    offered = {package.name: package for package in list_packages(site)}
    unknown = []
    for name in names:
        if name not in offered:
            near = difflib.get_close_matches(name, offered, n=3, cutoff=0.5)
            unknown.append(f"{name} (did you mean {' or '.join(near)}?)" if near else name)
    if unknown:
        raise DownloadError(
            f"{site.host} offers this account no such packages; a name may be misspelt, or the "
            f"account lacks access (see {site.address}/downloads/):\n{listing(unknown)}"
        )
    return [offered[name] for name in names]


def list_packages(site: Site) -> list[Package]:
    """Return what the site offers to this account. Raises SiteError when its list has changed."""
    text = site.text("/downloads/?list", "list of packages", _FORBIDDEN_LIST)
    try:
        return [_package(row) for row in json.loads(text) if _FILE_NAME.fullmatch(str(row["name"]))]
    except (ValueError, TypeError, KeyError):
        pass
    raise SiteError(
        f"{site.host}: its list of packages is not as expected (JSON with name, packageID and "
        "size); the site may have changed: download with a browser and name the folder in "
        "source.path"
    )


def published_digest(package: Package, site: Site) -> str | None:
    """Return the MD5 that the site publishes, as 32 lower-case digits, or None without one."""
    subject = f"digest of {package.name}"
    path = f"/md5-sum/?packageID={package.number}"
    text = site.text(path, subject, forbidden(package.name, site), missing="")
    found = re.match(r"\s*([0-9a-fA-F]{32})(?:\s|$)", text)
    return found[1].lower() if found else None


def _package(row: dict[str, object]) -> Package:
    return Package(str(row["name"]), int(str(row["packageID"])), _bytes(str(row["size"])))


def _bytes(size: str) -> int:
    """Return the bytes of "241MB"; 0 for what is no size, since the exact one comes later."""
    found = _SIZE.fullmatch(size.strip())
    return round(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
