"""A page in headless Chromium, driven through its DevTools protocol."""

import base64
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.forge import ROOT, child_environment

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_READY = """
(() => { const app = document.querySelector('[data-testid=stApp]');
  return !!app && app.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stSpinner], [data-testid=stSkeleton]'); })()
"""


class Page:
    """A tab of the browser, on a page of Streamlit. process: the id of the browser's."""

    def __init__(self, socket: ClientConnection, process: int) -> None:
        self._socket, self._number, self.process = socket, 0, process

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the DevTools protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script: str) -> Any:
        """Return what a JavaScript expression gives."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Wait until a JavaScript expression is true; the time is only against hanging."""
        deadline = time.monotonic() + seconds
        while not self.run(f"!!({condition})"):
            assert time.monotonic() < deadline, f"never true: {condition}; {self.text()[-2000:]}"
            time.sleep(0.02)

    def ready(self) -> None:
        """Wait until Streamlit's script has ended."""
        self.wait(_READY)

    def text(self) -> str:
        """What a person reads on the page."""
        return str(self.run("document.body.innerText"))

    def size(self, width: int, height: int = 1000) -> None:
        """Set the size of the window, in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip

    def theme(self, name: str) -> None:
        """Ask for `light` or `dark`."""
        wanted = {"name": "prefers-color-scheme", "value": name}
        self.call("Emulation.setEmulatedMedia", features=[wanted])

    def click(self, selector: str, words: str = "") -> None:
        """Click the first element of a selector that holds some words, with a real mouse."""
        chosen = f"[...document.querySelectorAll({selector!r})].find(e => e.innerText.includes({words!r}))"
        self.wait(chosen)
        x, y = self.run(
            f"(() => {{ const e = {chosen}; e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def choose(self, label: str, option: str) -> None:
        """Choose an option of the select box with a label."""
        self.click(f'input[role=combobox][aria-label="{label}"]')
        self.click("[role=option]", option)

    def press(self, key: str) -> None:
        """Press a key, such as ArrowRight."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode={"ArrowLeft": 37, "ArrowRight": 39}[key])  # fmt: skip

    def upload(self, path: Path) -> None:
        """Give a file to the page's only field for files."""
        document = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=document, selector="input[type=file]")
        self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node["nodeId"])

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as a PNG."""
        content = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(content))


@contextmanager
def served(project: Path) -> Iterator[tuple[str, int]]:
    """Serve the dashboard of a project; give its address and the server's process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "segpipe.cli.main", "dashboard", "--port", str(port)]
    environment = child_environment(PYTHONPATH=str(ROOT))
    with subprocess.Popen(command, cwd=project, env=environment) as server:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health").close()
                break
            except urllib.error.URLError:
                assert server.poll() is None
                time.sleep(0.1)
        yield url, server.pid
        server.send_signal(signal.SIGTERM)
        server.wait(30)


@contextmanager
def opened(address: str, width: int = 1400) -> Iterator[Page]:
    """Open a page in a browser of its own, whose window is so many pixels wide."""
    assert CHROMIUM is not None
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *options, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        with subprocess.Popen([*command, "about:blank"], stderr=subprocess.DEVNULL) as browser:
            try:
                with connect(_debugger(Path(profile)), max_size=None) as tab:
                    page = Page(tab, browser.pid)
                    page.size(width)
                    page.call("Page.navigate", url=address)
                    page.wait("document.body && document.querySelector('[data-testid=stApp]')")
                    yield page
            finally:
                browser.terminate()


def _debugger(profile: Path) -> str:
    """Return the address of the tab, once the browser has written its port."""
    file, deadline = profile / "DevToolsActivePort", time.monotonic() + 60
    while not file.is_file() or len(file.read_text().split()) < 2:
        assert time.monotonic() < deadline, "the browser has not started"
        time.sleep(0.05)
    port = file.read_text().split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
        tabs = json.load(answer)
    return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
