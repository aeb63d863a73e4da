"""Milliseconds from a click in the dashboard to the pictures of another image, in headless Chromium.

A project with generated street scenes and the model that comes with segpipe is made and served. Then
images are chosen one after the other, each for the first time (it is predicted) and again (it is kept in
memory), and so with a second model below the swipe. The clock runs from the click on the option until all
new pictures are decoded. Printed are the median and the slowest, and the processor time of the server
and of the browser, which other work on the machine changes less.

Example: python -m bench.dashboard --images 8
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from segpipe.bundle_format import PREDICTING, SHIPPED
from segpipe.dataset.layout import Row, write_index
from segpipe.params.source import SourceParams, SyntheticParams
from segpipe.sources.synthetic.fetch import fetch
from segpipe.sources.synthetic.samples import list_samples
from tests.dashboard.browser import CHROMIUM, Page, opened, served
from tests.forge import ROOT, children

_TICKS = os.sysconf("SC_CLK_TCK")
_PICTURES = """
(() => { const roots = [document, ...[...document.querySelectorAll('*')].map(e => e.shadowRoot)];
  const main = roots.filter(root => root).flatMap(root =>
    [...root.querySelectorAll('[data-testid=stMain] [data-testid=stImage] img, .stack img')]);
  return main.every(one => one.complete && one.naturalWidth) ? main.map(one => one.src).join() : ''; })()
"""


class Switch(NamedTuple):
    """Seconds of a change of the image: by the clock, and of the processor in server and browser."""

    wall: float
    server: float
    browser: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    options = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("there is no chromium or google-chrome here")
    with tempfile.TemporaryDirectory() as folder:
        names = _make_project(Path(folder), options.images, options.height, options.width)
        with served(Path(folder)) as (address, server), opened(address) as page:
            page.wait("document.body.innerText.includes('mIoU')")
            page.ready()
            print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
            _measure(page, server, names, "one model")
            page.choose("Compare with", "bundles/second")
            page.wait("document.body.innerText.includes('bundles/second')")
            page.ready()
            _measure(page, server, names, "two models, swipe")


def _make_project(root: Path, images: int, height: int, width: int) -> list[str]:
    """Write models and raw data below `root`; return the names of the images."""
    for name in ("models", "bundles/second"):
        (root / name).mkdir(parents=True)
        for file in PREDICTING:
            shutil.copyfile(SHIPPED / file, root / name / file)
    scenes = SyntheticParams(train=1, val=images, test=0, height=height, width=width)
    source = SourceParams(
        name="synthetic", path=str(ROOT / "data/synthetic.yaml"), synthetic=scenes
    )
    (root / "data/raw").mkdir(parents=True)
    fetch(source, root / "data/raw")
    samples = list_samples(root / "data/raw", source).samples["val"]
    (root / "data/prepared/val").mkdir(parents=True)
    write_index(root / "data/prepared/val/index.csv", [Row(sample, 0) for sample in samples])
    return [sample.name for sample in samples]


def _measure(page: Page, server: int, names: list[str], what: str) -> None:
    first = [_switch(page, server, name) for name in names[1:]]
    again = [_switch(page, server, name) for name in names[:-1]]
    for words, found in (("first time", first), ("again", again)):
        walls, servers, browsers = zip(*found, strict=True)
        print(
            f"{what}, {words}: median {1000 * median(walls):.0f} ms, slowest "
            f"{1000 * max(walls):.0f} ms of {len(walls)}; processor time of the server "
            f"{1000 * median(servers):.0f} ms, of the browser {1000 * median(browsers):.0f} ms"
        )


def _switch(page: Page, server: int, name: str) -> Switch:
    before = page.run(_PICTURES)
    page.click('input[role=combobox][aria-label="Image"]')
    page.wait("document.querySelector('[role=option]')")
    cpu = _seconds(server), _seconds(page.process)
    start = perf_counter()
    page.click("[role=option]", name)
    page.wait(f"{_PICTURES} && {_PICTURES} !== {before!r}")
    wall = perf_counter() - start
    page.ready()
    return Switch(wall, _seconds(server) - cpu[0], _seconds(page.process) - cpu[1])


def _seconds(process: int) -> float:
    """Return the processor time of a process and of those below it, as far as they still run."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / _TICKS
    return own + sum(_seconds(child) for child in children(process))


if __name__ == "__main__":
    main()
