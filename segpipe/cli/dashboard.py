"""segpipe dashboard: a page in the browser on which models, images and scores are looked at."""

import argparse
import importlib.util
import os
import socket
import sys
from pathlib import Path
from typing import Any

from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError

_ADDRESS = "127.0.0.1"
_UPLOAD_MB = 50
_PIXELS = 50_000_000  # of a picture; more are shown by `segpipe predict`
_PAGE = Path(__file__).resolve().parents[1] / "dashboard" / "app.py"


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `dashboard` to the command line."""
    parser = commands.add_parser(
        "dashboard",
        help="look at models, images and scores in the browser",
        description="Serve a page on this machine alone (127.0.0.1): truth, prediction and errors of an "
        "image, two models on it, curves, scores with their intervals, worst images, and what was found "
        "in the data. Ctrl-C ends it. A model or an image is added by putting it into a folder that is "
        "looked into, and reloading the page.",
    )
    parser.add_argument("--port", type=int, default=8501, help="of the page (default: 8501)")
    parser.add_argument(
        "--models",
        nargs="+",
        type=Path,
        metavar="DIR",
        default=[Path("models"), Path("bundles")],
        help="folders that are models or hold models (default: models and bundles)",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        type=Path,
        metavar="DIR",
        default=[Path("samples")],
        help="folders of images, or with images/ and masks/ in them (default: samples); the splits of "
        "the data are always there",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("streamlit") is None:
        raise ParameterError(
            "the dashboard needs Streamlit, which is not installed here: "
            "pip install 'segpipe[dashboard]'"
        )
    _refuse_port(options.port)
    say(f"segpipe dashboard: http://{_ADDRESS}:{options.port} (Ctrl-C ends it)")
    command, environment = _command(options), _environment()
    sys.stdout.flush()
    # In place of this process, so that signals reach the server itself.
    os.execve(command[0], command, environment)


def _refuse_port(port: int) -> None:
    """Raise ParameterError where the port cannot be taken."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_ADDRESS, port))
    except (OSError, OverflowError) as error:
        raise ParameterError(
            f"--port {port}: cannot be used ({error}); name another, such as --port 8502"
        ) from error


def _command(options: argparse.Namespace) -> list[str]:
    settings = {
        "server.address": _ADDRESS,
        "server.port": options.port,
        "server.headless": not options.open,
        "server.showEmailPrompt": False,
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.maxUploadSize": _UPLOAD_MB,
        "server.fileWatcherType": "none",
        "runner.postScriptGC": False,
        "browser.serverAddress": _ADDRESS,
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
    }
    flags = [f"--{name}={str(value).lower()}" for name, value in settings.items()]
    folders = ["--models", *map(str, options.models), "--images", *map(str, options.images)]
    # -P: a folder here that is called as a module of Python does not stand in its place.
    start = [sys.executable, "-P", "-m", "streamlit", "run", str(_PAGE)]
    return [*start, *flags, "--", *folders]


def _environment() -> dict[str, str]:
    """Return the environment of the server: this segpipe, and fewer pixels a picture than elsewhere."""
    paths = [str(_PAGE.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    limits = {"SEGPIPE_MAX_PIXELS": str(_PIXELS)}
    return {**limits, **os.environ, "PYTHONPATH": os.pathsep.join(paths)}
