"""MLflow's pages of the runs: the server that shows a local store, and the link to segpipe's runs."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import webbrowser

from segpipe.params.schema import TrackingParams
from segpipe.runtime.console import say
from segpipe.runtime.errors import TrackingError
from segpipe.tracking.local_store import database_address
from segpipe.tracking.store import database_file, local_root, named_store, open_store
from segpipe.tracking.view import offer_view, runs_link

HOST = "127.0.0.1"
_PATIENCE = 120.0  # seconds until the server must answer for the browser to be opened


def show_runs(settings: TrackingParams, port: int) -> int:
    """Print the link to segpipe's runs and serve MLflow's pages until Ctrl-C; return the exit code.

    Where MLFLOW_TRACKING_URI names a server, the link to its pages is printed alone. Only this machine
    can reach the pages that are served here. Raises TrackingError: the store cannot be used, or the port
    is taken.
    """
    # A server that is away is said: the link would lead to it, whatever training falls back on.
    store = open_store(settings.model_copy(update={"unreachable": "error"}))
    with store.calls() as client:
        offer_view(client, store.experiment_id)
    named, local = named_store(), database_file()
    if named.startswith(("http://", "https://")):
        say(runs_link(store.address, store.experiment_id))
        return 0
    address = named if local is None else database_address(local)
    _refuse_taken_port(port)
    link = runs_link(f"http://{HOST}:{port}", store.experiment_id)
    say(
        "MLflow needs about 15 seconds to start; Ctrl-C ends it. Its assistant panel stays closed once it is"
    )
    say(link)
    # Without jobs and with one worker it starts in half the time, in a quarter of the memory.
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BACKEND_STORE_URI": address,  # not an argument, which others see: it may hold a password
    }
    server = subprocess.Popen([*command, "--workers", "1"], env=environment, cwd=local_root())
    try:
        if _has_display():
            threading.Thread(target=_open_when_up, args=(link, port, server), daemon=True).start()
        return server.wait()
    finally:
        server.terminate()
        server.wait()


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            other = port + 1 if 0 < port < 65535 else 5001
            raise TrackingError(
                f"port {port} of {HOST} cannot be used ({error}); name another, such as --port {other}"
            ) from error


def _has_display() -> bool:
    """Return whether a browser would have a window; one in the terminal would hide the server's lines."""
    return sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _open_when_up(link: str, port: int, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            webbrowser.open(link)
            return
        time.sleep(0.5)
