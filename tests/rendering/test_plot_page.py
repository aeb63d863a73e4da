"""The page and the templates of `dvc plots`: complete in themselves, and DVC can fill them."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from segpipe.runtime.yaml_file import read_yaml

PLOTS = Path(__file__).resolve().parents[2] / ".dvc" / "plots"
PAGE = PLOTS / "page.html"
TEMPLATES = sorted(path.stem for path in PLOTS.glob("*.json"))
# The anchors that DVC fills in a template.
KNOWN = {
    "COLOR",
    "DATA",
    "PLOT_HEIGHT",
    "PLOT_WIDTH",
    "STROKE_DASH",
    "TITLE",
    "TOOLTIP",
    "X",
    "X_LABEL",
    "Y",
    "Y_LABEL",
    "ZOOM_AND_PAN",
}
DVC_YAML = """
plots:
  - loss:
      title: Loss
      template: curves
      x: epoch
      y:
        history.csv: [train_loss, val_loss]
  - rate:
      template: curves
      x: epoch
      y:
        history.csv: lr
  - classes.csv:
      template: class_bars
      x: iou
      y: class
  - confusion.csv:
      template: confusion_pixels
      x: predicted
      y: actual
  - images.csv:
      template: score_histogram
      x: name
      y: miou
  - class_history.csv:
      template: class_curves
      x: epoch
      y: iou
  - image_counts.csv:
      template: wrong_pixels
      x: hits
      y: name
  - precision_recall.csv:
      template: precision_recall
      x: recall
      y: precision
  - shares.csv:
      template: class_shares
      x: share
      y: class
  - brightness.csv:
      template: brightness
      x: from
      y: share
"""
TABLES = {
    "history.csv": "epoch,lr,train_loss,val_loss\n1,0.1,2.5,\n2,0.05,1.5,1.75\n",
    "classes.csv": "class,iou,pixels,share\nroad,0.5,90,0.9\ntraffic light,,10,0.1\n",
    "confusion.csv": "actual,predicted,count,share\na,a,9,0.9\na,b,1,0.1\nb,a,0,\nb,b,0,\n",
    "images.csv": "name,miou\none,0.25\ntwo,\n",
    "class_history.csv": "epoch,step,class,iou\n1,2,sky,0.5\n1,2,road,\n",
    "image_counts.csv": "name,group,image,truth,predicted,hits\none,a,a.png,3 4,5 2,3 1\n",
    "precision_recall.csv": (
        "class,threshold,precision,recall\nsky,0,0.4,1\nsky,0.5,0.9,0.8\nsky,0.999,,0\n"
    ),
    "shares.csv": (
        "class,split,share,images_share,mean_pixels\n"
        "road,train,0.9,1.0,90\nroad,val,1.0,1.0,80\ncar,train,0.1,0.5,20\ncar,val,0.0,0.0,\n"
    ),
    "brightness.csv": (
        "from,to,split,images,share\n0.0,0.5,train,1,0.25\n0.5,1.0,train,3,0.75\n"
        "0.0,0.5,val,0,\n0.5,1.0,val,0,\n"
    ),
}


class Reading(HTMLParser):
    """Collects what a page would load, and its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.policy = ""
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.loaded += [f"{tag} {name}={named[name]}" for name in ("src", "href") if name in named]
        if tag == "script":
            self.scripts.append((named, ""))
            self.inside = True
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            named, text = self.scripts[-1]
            self.scripts[-1] = (named, text + data)


def read(html: str) -> Reading:
    reading = Reading()
    reading.feed(html)
    reading.close()
    return reading


def test_the_page_loads_nothing() -> None:
    reading = read(PAGE.read_text(encoding="utf-8"))
    assert reading.loaded == []
    assert "default-src 'none'" in reading.policy
    assert "http" not in reading.policy


def test_the_page_has_dvcs_places_once_and_none_for_its_scripts() -> None:
    html = PAGE.read_text(encoding="utf-8")
    assert html.count("{plot_divs}") == html.count("{refresh_tag}") == 1
    assert "{scripts}" not in html
    assert html.index("{plot_divs}") > html.rindex("<script")


def test_the_libraries_are_those_that_were_published() -> None:
    reading = read(PAGE.read_text(encoding="utf-8"))
    libraries = {
        str(named["data-package"]): (str(named["data-sha256"]), text)
        for named, text in reading.scripts
        if "data-package" in named
    }
    # The major versions for which DVC writes its charts.
    assert [re.sub(r"\..*", "", name) for name in libraries] == [
        "vega@5",
        "vega-lite@5",
        "vega-embed@6",
    ]
    for digest, text in libraries.values():
        assert hashlib.sha256(text.encode()).hexdigest() == digest
        assert "sourceMappingURL" not in text


def test_the_licences_are_named() -> None:
    header = PAGE.read_text(encoding="utf-8").split("-->", 1)[0]
    assert "University of Washington Interactive Data Lab" in header
    assert "Redistributions in binary form must reproduce" in header


def test_there_are_templates() -> None:
    assert TEMPLATES == [
        "brightness",
        "class_bars",
        "class_curves",
        "class_shares",
        "confusion_pixels",
        "curves",
        "precision_recall",
        "score_histogram",
        "wrong_pixels",
    ]


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_parse_and_hold_only_anchors_that_dvc_fills(name: str) -> None:
    text = (PLOTS / f"{name}.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert content["data"] == {"values": "<DVC_METRIC_DATA>"}
    assert content["title"]["text"] == "<DVC_METRIC_TITLE>"
    anchors = set(re.findall(r"<DVC_METRIC_(\w+)>", text))
    assert {"DATA", "TITLE", "Y"} <= anchors <= KNOWN


def test_scores_have_axes_in_percent_and_losses_have_not() -> None:
    """The axis of `curves` goes by its label, which dvc.yaml gives as `score` for scores."""
    content = json.loads((PLOTS / "curves.json").read_text(encoding="utf-8"))
    told = content["encoding"]["y"]["axis"]["labelExpr"]
    assert told == "format(datum.value, '<DVC_METRIC_Y_LABEL>' === 'score' ? '~%' : '~g')"
    plots = {
        name: plot
        for each in read_yaml(PLOTS.parents[1] / "dvc.yaml")["plots"]
        if isinstance(each, dict)
        for name, plot in each.items()
    }
    assert plots["quality"]["y_label"] == "score"
    assert plots["loss"]["y_label"] != "score"


def test_the_confusion_keeps_the_order_of_the_classes() -> None:
    content = json.loads((PLOTS / "confusion_pixels.json").read_text(encoding="utf-8"))
    encoding = content["spec"]["encoding"]
    assert encoding["x"]["sort"] is None
    assert encoding["y"]["sort"] is None


@pytest.mark.slow
def test_dvc_makes_a_page_that_needs_no_network(tmp_path: Path) -> None:
    # DVC_TEST keeps DVC from asking the network for a newer version of itself.
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_TEST": "1"}

    def dvc(*arguments: str) -> None:
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr

    dvc("init", "--no-scm", "--quiet")
    shutil.copytree(PLOTS, tmp_path / ".dvc" / "plots")
    dvc("config", "plots.html_template", "plots/page.html")
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    for name, table in TABLES.items():
        (tmp_path / name).write_text(table)
    dvc("plots", "show")

    html = (tmp_path / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert "{plot_divs}" not in html
    reading = read(html)
    assert reading.loaded == []
    charts = [text for _, text in reading.scripts if "vegaEmbed('#" in text]
    assert len(charts) == 10
    for chart in charts:
        spec, _end = json.JSONDecoder().raw_decode(chart.split("var spec = ", 1)[1])
        assert spec["data"]["values"]
        assert "<DVC_METRIC_" not in json.dumps(spec)
