"""Weights of the Hugging Face hub, by its real client, from a server of the same form on this machine.

`segpipe.models.pretrained.encoder`; the client reads its address and folder when it is imported, so
each case is a process of its own.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save
from torchvision.models import get_model

from tests.forge import run_python

pytestmark = pytest.mark.slow
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PROGRAM = """
import json, sys, hashlib
from segpipe.models.build import build_model
from segpipe.models.pretrained.load import load_pretrained
from segpipe.params.model import ModelParams
from segpipe.models.pretrained import packaged

packaged._path = lambda: None
smp = {"decoder": "fpn", "encoder": sys.argv[1]}
params = ModelParams.model_validate({"name": "smp", "pretrained": "imagenet", "smp": smp})
network = build_model(params, 3, 4)
loaded = load_pretrained(network, params)
own = network.network.encoder.state_dict()
first = next(iter(own.values()))
print(json.dumps({
    "source": loaded.source, "taken": len(loaded.taken), "own": len(own),
    "mean": loaded.normalisation.mean, "std": loaded.normalisation.std,
    "first": hashlib.sha256(first.numpy().tobytes()).hexdigest(),
}))
"""


class Hub:
    """Answers as https://huggingface.co does for /REPOSITORY/resolve/REVISION/FILE."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                hub.asked.append(f"{self.command} {self.path}")
                content = hub.files.get(self.path)
                self.send_response(200 if content is not None else 404)
                if content is not None:
                    self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if self.command == "GET" and content:
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Write nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    served = Hub()
    monkeypatch.setenv("HF_ENDPOINT", served.address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield served
    served.server.shutdown()
    served.server.server_close()


def loaded(encoder: str, folder: Path) -> dict[str, Any]:
    done = run_python(["-W", "ignore", "-c", PROGRAM, encoder], folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.detach().numpy().tobytes()).hexdigest()


def test_the_library_s_encoder_comes_from_its_repository_at_its_commit(hub, tmp_path):
    from segmentation_models_pytorch.encoders import encoders

    known = encoders["resnet18"]["pretrained_settings"]["imagenet"]
    given = get_model("resnet18").state_dict()
    base = f"/{known['repo_id']}/resolve/{known['revision']}"
    hub.files[f"{base}/config.json"] = json.dumps(
        {"mean": [0.4, 0.5, 0.6], "std": [51, 51, 51], "input_range": [0, 1]}
    ).encode()
    hub.files[f"{base}/model.safetensors"] = save(given)
    found = loaded("resnet18", tmp_path)
    assert found["source"] == f"{known['repo_id']} at {known['revision']}"
    assert found["taken"] == found["own"] == 120
    assert found["mean"] == [0.4, 0.5, 0.6] and found["std"] == [51, 51, 51]
    assert found["first"] == digest(given["conv1.weight"])
    assert f"GET {base}/model.safetensors" in hub.asked
    hub.asked.clear()
    assert loaded("resnet18", tmp_path) == found  # from the cache
    assert not [line for line in hub.asked if line.endswith(".safetensors") and "GET" in line]


def test_timm_s_encoder_comes_from_timm_s_repository_where_the_package_is_not(hub, tmp_path):
    network = timm.create_model("tf_efficientnet_lite0")
    base = "/timm/tf_efficientnet_lite0.in1k/resolve/main"
    hub.files[f"{base}/model.safetensors"] = save(network.state_dict())
    found = loaded("tu-tf_efficientnet_lite0", tmp_path)
    assert found["source"] == "timm tf_efficientnet_lite0.in1k"
    assert found["taken"] == found["own"] == 288
    assert found["mean"] == found["std"] == [0.5, 0.5, 0.5]
    assert found["first"] == digest(network.conv_stem.weight)
