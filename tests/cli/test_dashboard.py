"""`segpipe dashboard`: what it starts, and what it refuses."""

import importlib.util
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from segpipe.cli.main import main


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The command and the environment in place of the server."""
    calls: list[Any] = []

    def note(program: str, command: list[str], environment: dict[str, str]) -> None:
        assert program == command[0]
        calls.extend([command, environment])
        raise SystemExit(0)  # as the server does in the end

    monkeypatch.setattr(os, "execve", note)
    return calls


def test_the_server_is_for_this_machine_and_bounded(
    started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEGPIPE_MAX_PIXELS", raising=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SystemExit):
        main(["dashboard", "--port", str(port), "--models", "a", "b", "--images", "c"])
    command, environment = started
    assert {
        "--server.address=127.0.0.1",
        f"--server.port={port}",
        "--server.headless=true",
        "--server.enableXsrfProtection=true",
        "--server.maxUploadSize=50",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
    } <= set(command)
    assert command[command.index("--") :] == ["--", "--models", "a", "b", "--images", "c"]
    assert Path(command[command.index("run") + 1]).is_file()
    assert environment["SEGPIPE_MAX_PIXELS"] == "50000000"


def test_without_streamlit_it_says_how_to_install_it(
    started: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["dashboard"]) == 1
    assert "pip install 'segpipe[dashboard]'" in capsys.readouterr().err
    assert started == []


def test_a_port_that_is_taken_is_refused(
    started: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["dashboard", "--port", port]) == 1
    assert f"--port {port}: cannot be used" in capsys.readouterr().err
    assert main(["dashboard", "--port", "99999"]) == 1
    assert "--port 99999: cannot be used" in capsys.readouterr().err
    assert started == []
