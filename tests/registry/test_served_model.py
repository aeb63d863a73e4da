"""A registered model as MLflow loads it, and as `mlflow models serve` answers over HTTP.

The commands are those of docs/serving.md.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import segpipe
from segpipe.cli.main import main
from tests.docs.blocks import blocks, commands
from tests.forge import ROOT, scene, wait_until
from tests.registry.models import evaluated_bundle

# The commands of the page: to register, to promote and to serve; to ask.
START, REQUEST = (block.text for block in blocks(ROOT / "docs/serving.md"))
PORT = "5001"


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with mlflow.db, where `segpipe` has a champion, and the pictures one.png and photo.jpg."""
    root = tmp_path_factory.mktemp("registered")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DVC_"))]:
            patch.delenv(name)
        patch.setenv("DVC_ROOT", str(root))
        patch.chdir(root)
        evaluated_bundle(root / "models")
        for program, *arguments in commands(START):
            assert program != "segpipe" or main(arguments) == 0
    for name in ("one.png", "photo.jpg"):
        Image.fromarray(scene(7, 40, 60)[0]).save(root / name)
    return root


def environment(root: Path) -> dict[str, str]:
    """As a person has it who has not the repository: the code of the model is what is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    kept.pop("PYTHONPATH", None)
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlflow.db"}


def expected(root: Path, name: str = "one.png") -> bytes:
    [written] = segpipe.predict(root / name, root / "out", root / "models", force=True)
    return written.read_bytes()


def test_the_model_answers_tables_and_refuses_in_mlflows_terms(
    registered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import pandas

    monkeypatch.setattr(sys, "path", [*sys.path])  # MLflow adds the version's code
    [folder] = [path.parent for path in (registered / "mlartifacts").rglob("MLmodel")]
    with warnings.catch_warnings(record=True):
        model = mlflow.pyfunc.load_model(str(folder))
    text = base64.b64encode((registered / "one.png").read_bytes()).decode()
    [found] = model.predict(pandas.DataFrame({"image": [text]}))
    assert base64.b64decode(found["label_map"]) == expected(registered)
    [found] = model.predict([{"image": text}], params={"labels": "array"})
    assert np.shape(found["label_map"]) == (40, 60)
    with pytest.raises(mlflow.MlflowException, match=r"^image 1: is not valid base64") as refused:
        model.predict([{"image": text}, {"image": "@"}])
    assert refused.value.get_http_status_code() == 400
    monkeypatch.setattr(model.unwrap_python_model(), "_predictor", None)
    with pytest.raises(mlflow.MlflowException, match="could not be labelled") as failed:
        model.predict([{"image": text}])
    assert failed.value.get_http_status_code() == 500
    assert "NoneType" not in failed.value.serialize_as_json()


@pytest.mark.slow
def test_mlflow_loads_the_code_and_the_model_of_the_version(registered: Path) -> None:
    code = (
        "import base64, json, sys, mlflow\n"
        "model = mlflow.pyfunc.load_model('models:/segpipe@champion')\n"
        "text = base64.b64encode(open(sys.argv[1], 'rb').read()).decode()\n"
        "found = model.predict([{'image': text}])\n"
        "import segpipe\n"
        "print(json.dumps([segpipe.__file__, found[0]['label_map']]))\n"
        "try: model.predict([{'image': 'QUJD'}])\n"
        "except mlflow.MlflowException as error: print(error.get_http_status_code(), error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(registered / "one.png")],
        env=environment(registered),
        cwd=registered,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answer, refusal = done.stdout.splitlines()
    place, label_map = json.loads(answer)
    assert place.endswith("/code/segpipe/__init__.py")
    assert base64.b64decode(label_map) == expected(registered)
    assert refusal.startswith("400 image 0: frame 0: cannot be read as a picture")


@pytest.fixture(scope="module")
def port(registered: Path) -> Iterator[int]:
    """Of the server of the champion, on the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    [command] = [words for words in commands(START) if words[0] == "mlflow"]
    command = [word.replace(PORT, str(port)) for word in command]
    variables = environment(registered) | {
        "SEGPIPE_MAX_REQUEST_MB": "1",
        "SEGPIPE_MAX_PIXELS": "10000",
    }
    with (registered / "said").open("w") as said:
        server = subprocess.Popen(
            command, stdout=said, stderr=said, env=variables, cwd=registered, start_new_session=True
        )
    try:
        text = registered / "said"
        wait_until(lambda: server.poll() is not None or "startup complete" in text.read_text())
        assert server.poll() is None, text.read_text()
        yield port
    finally:
        os.killpg(server.pid, 15)
        server.wait()


@pytest.fixture(scope="module")
def ask(port: int) -> Callable[..., tuple[int, Any]]:
    """Asks the server; returns status and answer."""

    def request(body: Any, **headers: str) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} | headers
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", content, given)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return request


@pytest.mark.slow
def test_the_page_asks_for_the_labels_of_a_photograph(registered: Path, port: int) -> None:
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", REQUEST.replace(PORT, str(port))],
        cwd=registered,
        env=environment(registered),
        check=True,
    )
    assert (registered / "labels.png").read_bytes() == expected(registered, "photo.jpg")


@pytest.mark.slow
def test_each_form_of_a_request_has_the_labels_of_segpipe_predict(
    registered: Path, ask: Callable[..., tuple[int, Any]]
) -> None:
    text = base64.b64encode((registered / "one.png").read_bytes()).decode()
    array = np.asarray(Image.open(registered / "one.png")).tolist()
    for body in (
        {"inputs": [{"image": text}]},
        {"inputs": [{"image": array}]},
        {"instances": [text]},
        {"dataframe_split": {"columns": ["image"], "data": [[text]]}},
        {"dataframe_records": [{"image": text}, {"image": array}]},
    ):
        status, answer = ask(body)
        assert status == 200, answer
        for one in answer["predictions"]:
            assert base64.b64decode(one["label_map"]) == expected(registered)
            assert one["classes"] == {"0": "sky", "1": "road", "2": "car"}
    status, answer = ask({"inputs": [{"image": text}], "params": {"labels": "array"}})
    labels = np.asarray(Image.open(registered / "out/one.png")).tolist()
    assert answer["predictions"][0]["label_map"] == labels
    example = next((registered / "mlartifacts").rglob("serving_input_example.json"))
    status, answer = ask(example.read_bytes())
    assert status == 200 and answer["predictions"][0]["height"] == 64


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"hello", 400, "JSONDecodeError"),
        (b'{"inputs": "\xff"}', 400, "UnicodeDecodeError"),
        (b"[" * 100_000, 400, "RecursionError"),
        (b'{"inputs":[{"image":[[[' + b"9" * 6000 + b",1,2]]]}]}", 400, "ValueError"),
        ({}, 400, "exactly one of the input fields"),
        ({"inputs": [{"picture": "QUJD"}]}, 400, "missing inputs"),
        ({"inputs": []}, 400, "image 0: is neither"),
        ({"inputs": [{"image": "@@@"}]}, 400, "image 0: is not valid base64"),
        ({"inputs": [{"image": "QUJD"}]}, 400, "image 0: frame 0: cannot be read as a picture"),
        ({"inputs": [{"image": [[[1, 2]]]}]}, 400, "image 0: has 2 channels"),
        ({"inputs": [{"image": [[[0, 0, 0]] * 101] * 100}]}, 400, "image 0: has 10,100 pixels"),
        ({"inputs": [{"image": "QUJD"}], "params": {"labels": "gif"}}, 400, "png or array"),
        ({"inputs": [{"image": "QUJD"}], "params": {"labels": 5}}, 400, "labels"),
        (b" " * (2**20 + 1), 413, "may have 1 MiB"),
    ],
)
def test_a_bad_request_is_answered_by_its_reason(
    ask: Callable[..., tuple[int, Any]], body: Any, status: int, why: str
) -> None:
    found, answer = ask(body)
    assert (found, [*answer]) == (status, ["message"])
    assert why in answer["message"] and len(answer["message"]) <= 1000
    assert "Traceback" not in answer["message"] and "QUJD" not in answer["message"]


@pytest.mark.slow
def test_only_json_is_read(ask: Callable[..., tuple[int, Any]]) -> None:
    for kind in ("text/csv", "application/vnd.apache.parquet", "application/json; charset=latin-1"):
        status, answer = ask(b"image\nQUJD", **{"Content-Type": kind})
        assert status == 415, answer
