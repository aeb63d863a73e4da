"""The served page end to end in headless Chromium: select, upload, slide, compare, at two widths."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.dashboard.browser import CHROMIUM, Page, opened, served
from tests.dashboard.project import copy_bundle, make_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium or google-chrome here"),
]

# The shadow root of the component with the two pictures.
SWIPE = (
    "[...document.querySelectorAll('*')].map(e => e.shadowRoot)"
    ".find(root => root && root.querySelector('.stack'))"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("project"))
    copy_bundle(root / "bundles/second")
    return root


@pytest.fixture(scope="module")
def address(project: Path) -> Iterator[str]:
    with served(project) as (url, _):
        yield url


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    with opened(address) as found:
        found.wait("document.body.innerText.includes('mIoU')")
        found.ready()
        yield found


def test_an_image_is_selected_and_the_opacity_slid(page: Page) -> None:
    pictures = "[...document.querySelectorAll('[data-testid=stImage] img')].map(i => i.src).join()"
    first = page.run(pictures)
    assert first.count(",") == 2
    page.choose("Image", "s2")
    page.wait(f"{pictures} !== {first!r}")
    page.ready()
    second = page.run(pictures)
    page.run("document.querySelector('[data-testid=stSlider] input').focus()")
    page.press("ArrowRight")
    page.wait(f"{pictures} !== {second!r}")
    assert "60" in page.run("document.querySelector('[data-testid=stSlider]').innerText")


def test_an_upload_is_predicted_and_a_bad_one_is_refused(page: Page, tmp_path: Path) -> None:
    page.choose("Images from", "Upload")
    page.wait("document.querySelector('input[type=file]')")
    page.ready()
    street = tmp_path / "street.png"
    Image.fromarray(np.full((48, 64, 3), 99, np.uint8)).save(street)
    page.upload(street)
    page.wait("document.body.innerText.includes('no truth')")
    for name, content, words in (
        ("broken.png", b"\x89PNG\r\n\x1a\n", "cannot be read as a picture"),
        ("large.png", bytes(51 << 20), "must be 50.0MB or smaller"),
    ):
        page.click("[data-testid=stFileChipDeleteBtn] button")
        page.wait("!document.querySelector('[data-testid=stFileChipDeleteBtn]')")
        page.ready()
        (tmp_path / name).write_bytes(content)
        page.upload(tmp_path / name)
        page.wait(f"document.body.innerText.includes({words!r})")
    assert "Traceback" not in page.text()


def test_two_models_are_compared_with_a_swipe(page: Page) -> None:
    page.choose("Compare with", "bundles/second")
    page.wait(f"{SWIPE} && {SWIPE}.querySelector('.right').textContent")  # its script has run
    assert page.run(f"{SWIPE}.querySelector('.right').textContent") == "bundles/second"
    page.run(
        f"(() => {{ const s = {SWIPE}.querySelector('input'); s.value = 20; s.oninput(); }})()"
    )
    clip = page.run(f"{SWIPE}.querySelector('.above').style.clipPath")
    assert clip == "inset(0px 80% 0px 0px)"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_no_page_is_wider_than_the_window(
    address: str, width: int, theme: str, tmp_path: Path
) -> None:
    with opened(address, width) as page:
        page.theme(theme)
        page.wait("document.body.innerText.includes('mIoU')")
        for name in ("Curves", "Scores", "Data", "Image"):
            page.click("[data-testid=stButtonGroup] button", name)
            page.ready()
            main = "document.querySelector('[data-testid=stMain]')"
            assert page.run(f"{main}.scrollWidth <= {width}"), name
            assert "Traceback" not in page.text()
        page.wait("document.querySelector('[data-testid=stImage] img')")
        page.screenshot(tmp_path / "page.png")
    ground = np.asarray(Image.open(tmp_path / "page.png").convert("L"))[-1, -1]
    assert (ground < 60) == (theme == "dark")


@pytest.mark.parametrize("path", ["/secret.txt", "/../secret.txt", "/media/../secret.txt"])
@pytest.mark.parametrize("dots", ["..", "%2e%2e"])
def test_files_of_the_project_are_not_served(
    address: str, project: Path, path: str, dots: str
) -> None:
    (project / "secret.txt").write_text("secret")
    try:
        with urllib.request.urlopen(address + path.replace("..", dots)) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        content = error.read()
    assert b"secret" not in content
