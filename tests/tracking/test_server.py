"""The link to segpipe's runs, and MLflow's own pages behind it, in a browser."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segpipe.params.schema import TrackingParams
from segpipe.runtime.errors import TrackingError
from segpipe.tracking.lookup import recorded_run
from segpipe.tracking.run import start_run
from segpipe.tracking.server import show_runs
from segpipe.tracking.view import runs_link
from tests.forge import ROOT, child_environment, wait_until

SETTINGS = TrackingParams(system_seconds=0)


def test_the_view_is_a_tag_of_the_experiment(used: Path, read: Callable[[Path], Any]) -> None:
    with start_run(SETTINGS, "unet lr=0.5", {}, {}):
        pass
    tags = read(used / "mlflow.db").get_experiment_by_name("segpipe").tags
    view = json.loads(tags["mlflow.sharedViewState.segpipe"])
    assert view["selectedColumns"][:3] == [
        "metrics.`miou`",
        "metrics.`miou_low`",
        "metrics.`miou_high`",
    ]
    link = runs_link("http://host:5000/", "7")
    assert link.startswith("http://host:5000/#/experiments/7/runs?workflowType=machine_learning")
    assert link.endswith("viewStateShareKey=segpipe")


def test_a_port_that_is_taken_is_said(used: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(TrackingError, match=f"port {port} .*--port {port + 1}"):
            show_runs(SETTINGS, port)


def test_of_a_server_the_link_is_printed_alone(
    root: Path, server: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    address = server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("://", "://ann:s3cret@"))
    assert show_runs(SETTINGS, 5000) == 0
    assert capfd.readouterr() == (f"{runs_link(address, '7')}\n", "")
    server.stop()
    away = SETTINGS.model_copy(update={"unreachable": "local"})
    with pytest.raises(TrackingError, match="connection refused"):
        show_runs(away, 5000)
    assert list(root.iterdir()) == []


def test_a_run_is_found_by_its_id_and_by_its_name(used: Path, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with start_run(SETTINGS, "it's one", {}, {"dvc_experiment": "wide"}) as tracker:
        tracker.log_files(tmp_path / "model.json", "bundle")
    for name in (str(tracker.run_id), "it's one"):
        folder = tmp_path / f"of {len(name)}"
        found = recorded_run(name, SETTINGS, folder)
        assert found is not None
        assert (found.run_id, found.experiment) == (tracker.run_id, "wide")
        assert (folder / "bundle/model.json").read_text() == "{}"
        assert not (folder / "evaluation/evaluation.json").exists()
    assert recorded_run("another", SETTINGS, tmp_path) is None


@pytest.mark.slow
def test_the_pages_show_the_scores_first(used: Path, tmp_path: Path) -> None:
    """In a browser that was never here: runs, not the pages for language models; mIoU, loss, time."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("there is no chromium here")
    with start_run(
        SETTINGS, "unet lr=0.5 [wide]", {}, {"mlflow.source.name": "stages/train.py"}
    ) as run:
        run.log_metrics({"val_loss": 0.25, "images_per_second": 33.0}, step=1)
        run.log_metrics({"miou": 0.815, "miou_low": 0.79, "miou_high": 0.835, "hours": 1.5}, None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "segpipe.cli.main", "ui", "--port", str(port)]
    environment = child_environment(DVC_ROOT=str(used), PYTHONPATH=str(ROOT), DISPLAY="")
    with (tmp_path / "said").open("w") as said:
        server = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_until(lambda: "Application startup complete" in (tmp_path / "said").read_text(), 120)
        link = next(
            line
            for line in (tmp_path / "said").read_text().splitlines()
            if "#/experiments/" in line
        )
        dump = [
            *(
                browser,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--window-size=1900,1000",
            ),
            *(
                f"--user-data-dir={tmp_path / 'profile'}",
                "--virtual-time-budget=60000",
                "--dump-dom",
            ),
        ]
        done = subprocess.run(
            [*dump, link], capture_output=True, text=True, check=True, timeout=120
        )
    finally:
        server.terminate()
        assert server.wait(30) == 143
    page = done.stdout
    for text in ("unet lr=0.5 [wide]", "0.815", "0.79", "0.835", "0.25", "33", "1.5", "train.py"):
        assert f">{text}<" in page, text
    columns = [column_of(page, name) for name in ("miou", "miou_low", "miou_high", "val_loss")]
    assert columns == sorted(columns)


def column_of(page: str, name: str) -> int:
    """The place of a column from the left; the page's code has them in the order of their making."""
    mark = 'aria-colindex="'
    start = page.rindex(mark, 0, page.index(f">{name}<")) + len(mark)
    return int(page[start : page.index('"', start)])
