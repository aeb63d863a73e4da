"""The pages: the site that is built of them, and the links of those that do not belong to it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES
from tests.forge import ROOT, child_environment

OUTSIDE = ("README.md", "CONTRIBUTING.md", "deploy/README.md")


@pytest.mark.slow
def test_the_site_has_no_broken_link_and_asks_no_other_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        env=child_environment(NO_MKDOCS_2_WARNING="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text()
        assert re.findall(r'<script[^>]* src="https?:[^"]*"', text) == []
        assert re.findall(r'<(?:img|iframe)[^>]* src="https?:[^"]*"', text) == []
        sheets = re.findall(r'<link[^>]* rel="(?:stylesheet|preconnect)"[^>]*>', text)
        assert [one for one in sheets if "http" in one] == []


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_links_of_pages_outside_of_the_site_lead_to_files_and_headings(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())
    assert links
    for link in links:
        file, _, anchor = link.partition("#")
        target = page.parent / file
        assert target.exists(), f"{name}: {link}"
        if anchor:
            assert anchor in headings(target), f"{name}: {link}"


def headings(page: Path) -> set[str]:
    """The anchors that GitHub and MkDocs alike give the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().strip().replace(" ", "-") for title in titles}


def test_the_pages_that_the_code_names_exist() -> None:
    files = [*(ROOT / "segpipe").rglob("*.py"), *(ROOT / "recipes").rglob("*.yaml")]
    named = {page for file in files for page in re.findall(r"\bdocs/[\w/-]+\.md", file.read_text())}
    assert len(named) > 5
    assert sorted(page for page in named if not (ROOT / page).is_file()) == []


def test_the_files_that_the_pages_name_exist() -> None:
    pattern = r"`((?:tests|bench|deploy|stages|segpipe|recipes)/[\w./-]+)`"
    named = {one for page in PAGES for one in re.findall(pattern, page.read_text())}
    assert len(named) > 30
    named = {one for one in named if "NAME" not in one}
    assert sorted(one for one in named if not (ROOT / one).exists()) == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200
