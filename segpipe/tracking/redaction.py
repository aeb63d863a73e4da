"""Passwords and tokens stay out of everything that is shown, logged or stored (law 9)."""

import os
import re
from urllib.parse import SplitResult, unquote, urlsplit

HIDDEN = "***"
# Greedy up to the last @: an unquoted password may hold one itself.
_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
_QUERY = re.compile(
    r"(?i)([?&;](?:password|passwd|pwd|token|access_token|secret|api_key)=)[^&;\s'\"]+"
)
# Replacing a shorter secret wherever it occurs would leave no readable text.
_SHORTEST = 4


def redacted(text: str) -> str:
    """Return `text` without the secrets of the environment and without user:password@ in addresses."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _QUERY.sub(rf"\g<1>{HIDDEN}", _USER_INFO.sub(f"{HIDDEN}@", text))


def without_credentials(address: str) -> tuple[str, dict[str, str]]:
    """Split http(s)://user:password@server into the plain address and MLflow's own two variables.

    So the password is in nothing that MLflow shows or keeps. Other addresses come back unchanged.
    """
    try:
        parts: SplitResult = urlsplit(address)
        name, password, port = parts.username, parts.password, parts.port
    except ValueError:  # not an address at all; connecting to it says so, redacted
        return address, {}
    if parts.scheme not in ("http", "https") or not name or not password:
        return address, {}
    host = parts.netloc.rpartition("@")[2]
    assert port is None or host.endswith(str(port))
    return parts._replace(netloc=host).geturl(), {
        "MLFLOW_TRACKING_USERNAME": unquote(name),
        "MLFLOW_TRACKING_PASSWORD": unquote(password),
    }


def _secrets() -> set[str]:
    found = {os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")}
    user_info, at, _ = os.environ.get("MLFLOW_TRACKING_URI", "").rpartition("@")
    if at:
        user_info = user_info.partition("://")[2]
        password = user_info.partition(":")[2]
        found |= {user_info, password, unquote(password)}
    return {secret for secret in found if len(secret) >= _SHORTEST}
