"""Checkpoints: whole, exact, kept by number, and honest about what is damaged."""

import json
import os
import resource
import shutil
import signal
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from segpipe.models.parts.network import Network
from segpipe.params.train import TrainParams
from segpipe.runtime.errors import CheckpointError
from segpipe.training.optimizer import build_optimizer, optimizer_tensors, restore_optimizer
from segpipe.training.state.checkpoint import Checkpoints, Progress, State, copied_state


class Tiny(Network):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3))

    def forward(self, image_BCHW: Tensor) -> Tensor:
        logits_BKHW: Tensor = self.layers(image_BCHW)
        return logits_BKHW


def parts(seed: int) -> tuple[Network, torch.optim.Optimizer]:
    """A small network with some steps behind it, its kernels in channels-last order."""
    torch.manual_seed(seed)
    network = Tiny()
    network.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(network, TrainParams())
    for _ in range(3):
        step(network, optimizer)
    return network, optimizer


def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    image = torch.linspace(-1, 1, 2 * 3 * 64).reshape(2, 3, 8, 8)
    network(image).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def state_at(taken: int, size: int = 3) -> State:
    """A state whose tensors say at which step it was."""
    full = torch.full((size,), float(taken))
    tensors = {name: {"0.x": full} for name in ("network", "average", "best", "optimizer")}
    return State(Progress(step=taken), tensors, {"code": "a"})


def test_rows_keep_their_times_and_a_checkpoint_without_times_is_read(tmp_path: Path) -> None:
    state = state_at(5)
    for taken in (4, 5):
        state.progress.add_row({"step": taken})
    state.progress.row_times = [1000, 2000]
    Checkpoints(tmp_path).write(state)
    assert Checkpoints(tmp_path).read(5).progress.row_times == [1000, 2000]
    # As the version before wrote it.
    folder = tmp_path / "checkpoint-000000005"
    content = json.loads((folder / "progress.json").read_text())
    del content["progress"]["row_times"]
    (folder / "progress.json").write_text(json.dumps(content))
    sums = json.loads((folder / "sums.json").read_text())
    sums["progress.json"] = zlib.crc32((folder / "progress.json").read_bytes())
    (folder / "sums.json").write_text(json.dumps(sums))
    before = int(time.time() * 1000)
    progress = Checkpoints(tmp_path).read(5).progress
    assert len(progress.history) == len(progress.row_times) == 2
    assert all(before <= at <= time.time() * 1000 for at in progress.row_times)


def test_a_restored_run_takes_the_same_next_step(tmp_path: Path) -> None:
    network, optimizer = parts(0)
    average, _ = parts(7)
    progress = Progress(step=7, best_row=2, loss_sum=0.1 + 0.2, history=[{"step": 7, "lr": None}])
    best = {"weight": torch.tensor([1.5])}
    about = {"code": "a", "processes": 1}
    state = copied_state(progress, network, optimizer, average, best, about)
    # What is trained on while the state is written is not what is written.
    progress.history.append({"step": 9})
    step(network, optimizer)
    with torch.no_grad():
        next(average.parameters()).zero_()
    Checkpoints(tmp_path).write(state)
    read = Checkpoints(tmp_path).read(7)
    assert (read.progress.best_row, read.progress.step) == (2, 7)
    assert read.progress.loss_sum == 0.1 + 0.2
    assert read.progress.history == [{"step": 7, "lr": None}]
    assert read.about == about
    assert read.tensors["best"]["weight"].tolist() == [1.5]
    untouched, _ = parts(7)
    assert torch.equal(read.tensors["average"]["layers.0.weight"], untouched.layers[0].weight)
    other, its_optimizer = parts(1)
    other.load_state_dict(read.tensors["network"])
    restore_optimizer(its_optimizer, read.tensors["optimizer"])
    step(other, its_optimizer)
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    restored = optimizer_tensors(its_optimizer)
    for name, value in optimizer_tensors(optimizer).items():
        assert torch.equal(value, restored[name]), name


@pytest.mark.parametrize("keep", [1, 3])
def test_the_newest_are_kept(keep: int, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep)
    assert checkpoints.steps() == []
    for taken in (1, 2, 10, 1_000_000_001):
        checkpoints.write(state_at(taken))
    assert checkpoints.steps() == [1, 2, 10, 1_000_000_001][-keep:]
    assert len(list(tmp_path.iterdir())) == keep, "and nothing else is left"


@pytest.fixture
def small_disk() -> Iterator[None]:
    """A system that lets no file grow beyond 100 kB, as a full disk would not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_disk")
def test_what_does_not_fit_leaves_the_older_checkpoints(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 1)
    checkpoints.write(state_at(1))
    with pytest.raises(OSError, match="File too large"):
        checkpoints.write(state_at(2, size=100_000))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000001"]
    assert checkpoints.read(1).progress.step == 1


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    """Change one bit, in the tensors' values where the file has some."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("harm", [cut, flip, Path.unlink], ids=["cut", "flip", "unlink"])
def test_each_damage_to_each_file_is_noticed(harm, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "state")
    checkpoints.write(state_at(1))
    names = sorted(path.name for path in (tmp_path / "state/checkpoint-000000001").iterdir())
    assert len(names) == 6
    for name in names:
        other = Checkpoints(tmp_path / name)
        shutil.copytree(tmp_path / "state", tmp_path / name)
        harm(tmp_path / name / "checkpoint-000000001" / name)
        with pytest.raises(CheckpointError, match="checkpoint-000000001: is damaged"):
            other.read(1)
    assert checkpoints.read(1).progress.step == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "sums.json has no checksum of average.safetensors, best.safetensors, network"),
        ("[]", "must hold a JSON object"),
        ("[" * 3000, "more than 64 lists and objects inside each other"),
        ('{"progress.json": {"progress.json": [1]}}', "sums.json has no checksum of average"),
        ("missing", "sums.json has no checksum of progress.json"),
        ("outside", r"\.\./\.\./secret was changed or is not there"),
        ("nested", "progress.json was changed"),
    ],
)
def test_sums_that_do_not_name_the_files_are_damage(
    content: str, words: str, tmp_path: Path
) -> None:
    Checkpoints(tmp_path / "state").write(state_at(1))
    path = tmp_path / "state/checkpoint-000000001/sums.json"
    sums = json.loads(path.read_text())
    if content == "missing":
        del sums["progress.json"]
    elif content == "outside":
        (tmp_path / "secret").write_bytes(b"")
        sums["../../secret"] = 0
    elif content == "nested":
        sums["progress.json"] = [[sums["progress.json"]]]
    path.write_text(json.dumps(sums) if content.isalpha() else content)
    with pytest.raises(CheckpointError, match=f"checkpoint-000000001: is damaged: .*{words}"):
        Checkpoints(tmp_path / "state").read(1)


@pytest.mark.parametrize("name", ["checkpoint-old", "checkpoint-1", "checkpoint-000000001.bak"])
def test_what_is_only_named_like_a_checkpoint_is_passed_over(name: str, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 1)
    (tmp_path / name).mkdir()
    checkpoints.write(state_at(2))
    checkpoints.write(state_at(3))
    assert checkpoints.steps() == [3]
    assert checkpoints.strays() == [tmp_path / name]


def test_what_a_killed_process_left_is_cleared_up(tmp_path: Path) -> None:
    folder = tmp_path / "f00d"
    checkpoints = Checkpoints(folder)
    checkpoints.write(state_at(1))
    checkpoints.note_tracked("abc")
    for name in (".checkpoint-000000002.x7", ".checkpoint-000000001.old", "../.f00d.old"):
        (folder / name).mkdir()
        (folder / name / "network.safetensors").write_bytes(b"half")
    (folder / ".mlflow.json.k2").write_text("{")
    (tmp_path / ".beef.old").mkdir()
    checkpoints.clear_up()
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-000000001", "mlflow.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".beef.old", "f00d"]
    assert checkpoints.tracked() == "abc"
    checkpoints.remove()
    assert [path.name for path in tmp_path.iterdir()] == [".beef.old"]
    assert (checkpoints.steps(), checkpoints.tracked()) == ([], None)


def test_a_deletion_that_is_cut_short_leaves_no_half_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path / "state", 1)
    checkpoints.write(state_at(1))

    def killed(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    real = os.rmdir
    monkeypatch.setattr("os.rmdir", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.write(state_at(2))
    monkeypatch.setattr("os.rmdir", real)
    assert checkpoints.steps() == [2]
    assert checkpoints.read(2).progress.step == 2


def test_the_token_of_a_training_stays_until_its_state_is_removed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "state")
    token = checkpoints.tracking_token()
    assert Checkpoints(tmp_path / "state").tracking_token() == token
    assert checkpoints.steps() == []
    checkpoints.remove()
    assert checkpoints.tracking_token() != token


def test_a_note_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "mlflow.json").write_text(json.dumps(["abc"]))
    with pytest.raises(CheckpointError, match=r"mlflow\.json: cannot be read .* delete it"):
        Checkpoints(tmp_path).tracked()


def test_a_checkpoint_of_an_older_version_that_noted_its_accumulations_is_read(
    tmp_path: Path,
) -> None:
    Checkpoints(tmp_path).write(state_at(4))
    [folder] = tmp_path.iterdir()
    content = json.loads((folder / "progress.json").read_text())
    content["progress"]["accumulations"] = [[0, 1], [2, 4]]
    (folder / "progress.json").write_text(json.dumps(content))
    sums = json.loads((folder / "sums.json").read_text())
    sums["progress.json"] = zlib.crc32((folder / "progress.json").read_bytes())
    (folder / "sums.json").write_text(json.dumps(sums))
    assert Checkpoints(tmp_path).read(4).progress == Progress(step=4)
