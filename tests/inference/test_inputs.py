"""What the words of the command name: files, folders, patterns and URLs (inputs.py, download.py)."""

import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from segpipe.inference import download as module
from segpipe.inference.download import download, is_url, names_of, public_text
from segpipe.inference.inputs import gather
from segpipe.inference.targets import output_names
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.pictures.reader import PictureReader
from segpipe.runtime.errors import DataError, ParameterError
from tests.cli.test_predict import brightness, flat, predict, written  # noqa: F401
from tests.forge import save
from tests.raw.test_build import RASTERS


def names(words: list[str | Path], out: Path) -> dict[str, str]:
    """The name of each input's output, by the input's own."""
    inputs = gather([str(word) for word in words], PictureReader(PICTURES), out, out)
    found = output_names(inputs.places) | output_names(inputs.films)
    return {path.name: name for path, name in found.items()}


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.png", "b/a.jpg", "b/c/d.png", "b/.hidden.png", "e[1].png"):
        save(tmp_path / "in" / name, flat(3))
    (tmp_path / "in/notes.txt").write_text("")
    (tmp_path / "in/b/f.MP4").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


def test_patterns_are_expanded_and_keep_their_folders(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    everything = {
        "a.jpg": "b/a",
        "d.png": "b/c/d",
        "f.MP4": "b/f",
        "a.png": "a",
        "e[1].png": "e[1]",
    }
    assert names(["in/**/*"], out) == everything
    assert names([photographs / "**"], out) == everything
    assert names(["in/*.png"], out) == {"a.png": "a", "e[1].png": "e[1]"}
    assert names(["in/b/[c-d]/?.png"], out) == {"d.png": "c/d"}
    assert names(["in/e[1].png"], out) == {"e[1].png": "e[1]"}, "it exists, so it is no pattern"
    with pytest.raises(
        DataError, match=r"in/\*\.txt: no image fits this pattern; what fits: 1 \.txt"
    ):
        names(["in/*.txt"], out)


def test_several_inputs_keep_the_folders_that_tell_them_apart(
    photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert names(["in/a.png", "in/e[1].png"], out) == {"a.png": "a", "e[1].png": "e[1]"}
    found = names(["in/a.png", "in/b", tmp_path / "in/b/c/../a.jpg"], out)
    assert found == {"a.png": "a", "a.jpg": "b/a", "d.png": "b/c/d"}, (
        "what is named twice counts once"
    )
    save(tmp_path / "other/a.png", flat(3))
    inputs = gather(["in/a.png", "other"], PictureReader(PICTURES), out, out)
    assert [*output_names(inputs.places).values()] == ["in/a", "other/a"]


def test_each_word_must_name_something(photographs: Path, tmp_path: Path) -> None:
    for word in ("in/none.png", "none.mp4", "webcam:x"):
        with pytest.raises(DataError, match="there is no such file or folder"):
            names(["in", word], tmp_path / "out")
    for word in ("ftp://host/a.png", "file:///etc/passwd", "s3://bucket/a.png"):
        with pytest.raises(ParameterError, match="is not read; give an http or https URL"):
            names([word], tmp_path / "out")
    with pytest.raises(ParameterError, match="names no host"):
        is_url("https:///a.png")
    with pytest.raises(ParameterError, match="malformed"):
        is_url("http://[::1/a.png")


def test_urls_are_for_models_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="URLs are of pictures, and this model reads rasters"):
        gather(["http://127.0.0.1:9/a.tif"], build_reader(RASTERS), tmp_path, tmp_path)


def test_names_of_urls_are_file_names_and_stay_apart() -> None:
    urls = [
        "http://h/a.png",
        "http://h/x/b.jpg?size=1",
        "http://h/y/b.jpg",
        "http://h/..%2F..%2Fetc%2F%00passwd",
        "http://h.org/",
        "http://h/.hidden%20file.png",
        f"http://h/{'x' * 300}.png",
    ]
    found = [*names_of(urls).values()]
    assert found[0] == "a.png"
    assert found[1] != found[2]
    assert {name[:2] + name[-4:] for name in found[1:3]} == {"b-.jpg"}
    assert found[3:6] == ["etc_passwd", "h.org", "hidden_file.png"]
    assert len(found[6]) <= 200
    assert public_text("https://user:secret@host:81/a.png?key=secret") == "https://host:81/a.png"


def png(value: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(flat(value)).save(content, "png")
    return content.getvalue()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in ("/moved.png", "/away.png", "/circle.png"):
            targets = {
                "/moved.png": "/a.png",
                "/away.png": "ftp://h/a.png",
                "/circle.png": "/circle.png",
            }
            self.send_response(302)
            self.send_header("Location", targets[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        contents = {
            "/a.png": png(250),
            "/b.png": png(3),
            "/page": b"<html>none</html>",
            "/slow.png": png(3),
            "/large.png": bytes(5000),
            "/unsized.png": bytes(5000),
            "/cut.png": png(3),
        }
        if path not in contents:
            self.send_error(404)
            return
        content = contents[path]
        self.send_response(200)
        if path == "/cut.png":
            self.send_header("Content-Length", str(2 * len(content)))
        elif path not in ("/slow.png", "/unsized.png"):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for place in range(len(content)):
            if path == "/slow.png":
                time.sleep(0.05)
            try:
                self.wfile.write(content[place : place + 1] if path == "/slow.png" else content)
            except OSError:
                return
            if path != "/slow.png":
                return

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()
    thread.join()


def test_images_at_urls_are_labelled(
    server: str,
    brightness: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One that cannot be had is named by its URL, without what may be secret, and ends no other."""
    brightness()
    save(tmp_path / "in/c.png", flat(3))
    save(tmp_path / "in/a.png", flat(3))
    urls = [f"{server}{path}" for path in ("/a.png", "/moved.png", "/none.png?key=secret", "/page")]
    out = tmp_path / "out"
    assert predict(*urls, tmp_path / "in", "--out", out) == 1
    assert written(out) == {"a.png": 3, "c.png": 3, "url-a.png": 7, "moved.png": 7}
    said = capsys.readouterr()
    assert f"{server}/none.png: the server answers 404 Not Found" in said.err
    assert f"{server}/page: cannot be read as a picture: it is text in angle brackets" in said.err
    assert "secret" not in said.err + said.out
    assert "4 of 4 label images" in said.out
    assert predict(f"{server}/none.png", "--out", out) == 1
    assert f"no image could be read:\n  {server}/none.png" in capsys.readouterr().err


def test_bounds_of_bytes_and_time_hold(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    monkeypatch.setattr(module, "SECONDS", 0.3)
    began = time.monotonic()
    for path, reason in (
        ("/large.png", "has more than"),
        ("/unsized.png", "has more than"),
        ("/slow.png", r"is not here after 0\.3 seconds"),
        ("/cut.png", "cannot be downloaded"),
        ("/away.png", "leads to what is not http or https"),
        ("/circle.png", r"cannot be downloaded \(TooManyRedirects\)"),
    ):
        with pytest.raises(DataError, match=f"{server}{path}: {reason}"):
            download(f"{server}{path}", tmp_path / "x")
    assert time.monotonic() - began < 5
    with pytest.raises(DataError, match=r"cannot be downloaded \(ConnectionError\)"):
        download("http://127.0.0.1:9/a.png", tmp_path / "x")
