"""The page in Streamlit's own simulation: choosing, uploading, comparing, and what is broken.

It covers app, image_page, model_choice, run_pages, messages and swipe.
"""

import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from segpipe.dashboard import image_page, messages, model_choice, run_pages, swipe
from segpipe.dashboard.app import show
from segpipe.dashboard.image_list import UPLOAD
from segpipe.inference.predictor import Predictor
from segpipe.metrics.scores import miou
from tests.cli.test_compare import commit, make_repository, run
from tests.cli.test_show import EVALUATION
from tests.dashboard.project import (
    NAMES,
    copy_bundle,
    make_experiment,
    make_project,
    make_runs,
)
from tests.inference.test_raster_prediction import esd_files, save_random_bundle
from tests.raw.rasters.geotiffs import make_esd_tile


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(make_project(tmp_path))
    # Streamlit puts its script in the place of the main module, which processes started later read.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    yield tmp_path
    st.cache_resource.clear()


def page(**forged: str) -> AppTest:
    """The page; forged: what a browser sends for widgets by itself, whatever their lists hold."""

    def script(forged: dict[str, str]) -> None:
        from pathlib import Path

        import streamlit as st

        from segpipe.dashboard.app import show

        st.session_state.update(forged)
        show([Path("models"), Path("bundles")], [Path("samples")])

    return AppTest.from_function(script, default_timeout=60, kwargs={"forged": forged}).run()


def opened(app: AppTest, name: str) -> AppTest:
    return app.segmented_control(key="page").set_value(name).run()


def said(app: AppTest) -> str:
    """All text of the page; no traceback is among it, whatever has happened."""
    assert not app.exception
    kinds = (app.error, app.warning, app.info, app.markdown, app.caption)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def png(array: "np.typing.NDArray[np.uint8]") -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return content.getvalue()


def test_an_image_is_shown_with_the_scores_that_the_library_gives() -> None:
    app = page()
    assert app.selectbox(key=image_page.IMAGE).options == list(NAMES)
    assert [one.captions[0] for one in app.image] == [
        "Truth",
        "Prediction",
        "Errors",
    ]
    predictor = Predictor.load("models")
    for name in NAMES:
        app.selectbox(key=image_page.IMAGE).set_value(name).run()
        number = NAMES.index(name)
        mask = np.asarray(Image.open(sorted(Path("data/raw/masks/val").iterdir())[number]))
        image = np.asarray(Image.open(sorted(Path("data/raw/images/val").iterdir())[number]))
        truth, _ = predictor.scheme.encode(mask)
        labels = predictor.predict(image[None])
        counts = [
            [
                (truth == k).sum(),
                ((labels == k) & (truth != 255)).sum(),
                ((labels == k) & (truth == k)).sum(),
            ]
            for k in range(3)
        ]
        assert f"mIoU {100 * float(miou(np.array(counts))):.1f} %" in said(app)


def test_each_control_changes_the_pictures() -> None:
    app = page()

    def pictures() -> list[str]:
        return [str(one.proto.imgs[0].url) for one in app.image]

    before = pictures()
    app.slider[0].set_value(0).run()
    faint = pictures()
    assert faint[0] != before[0] and faint[1] != before[1] and faint[2] == before[2]
    app.pills[0].set_value(["car"]).run()
    assert pictures()[2] != faint[2]
    assert app.dataframe[0].value["class"].tolist() == ["car"]
    assert not app.exception


def test_two_models_are_swiped_over_one_image(project: Path) -> None:
    copy_bundle(project / "bundles/<b>second")
    app = page()
    app.selectbox(key=model_choice.OTHER).set_value("bundles/<b>second").run()
    assert "models: mIoU" in said(app).replace("**", "")
    component = json.loads(app.get("bidi_component")[0].proto.json)
    assert component["left_name"] == "models" and component["right_name"] == "bundles/<b>second"
    assert component["left"] == component["right"]  # of the same weights
    assert {"IoU, models", "IoU, bundles/<b>second"} <= set(app.dataframe[0].value)
    assert swipe.swipe is not None


@pytest.mark.slow
def test_models_of_all_origins_are_compared_with_one_another(project: Path) -> None:
    """A bundle with a DVC experiment, that with an MLflow run, and a folder of the same name."""
    shutil.rmtree(project / "models")
    (project / ".gitignore").write_text("/data\n/samples\n")
    make_experiment(project, "models")
    make_runs()
    copy_bundle(project / "models")
    app = page()

    def compared() -> list[str]:
        assert not app.exception and not app.error
        component = json.loads(app.get("bidi_component")[0].proto.json)
        names = [str(component["left_name"]), str(component["right_name"])]
        assert {f"IoU, {name}" for name in names} <= set(app.dataframe[0].value)
        assert all(component[side].startswith("data:image/jpeg") for side in ("left", "right"))
        return names

    app.radio(key=model_choice.OTHER_ORIGIN).set_value("DVC experiments").run()
    app.selectbox(key=model_choice.OTHER).set_value("models").run()
    assert compared() == ["models (Folders)", "models (DVC experiments)"]
    app.radio(key=model_choice.ORIGIN).set_value("MLflow runs").run()
    named = next(one for one in app.selectbox(key=model_choice.MODEL).options if "with " in one)
    app.selectbox(key=model_choice.MODEL).set_value(named).run()
    app.selectbox(key=model_choice.OTHER).set_value("models").run()
    assert compared() == [f"{named} (MLflow runs)", "models (DVC experiments)"]


def test_choices_stay_while_another_page_is_shown(project: Path) -> None:
    copy_bundle(project / "bundles/b")
    app = page()
    app.selectbox(key=model_choice.MODEL).set_value("bundles/b").run()
    app.selectbox(key=image_page.IMAGE).set_value("s2").run()
    app = opened(opened(app, "Data"), "Image")
    assert app.selectbox(key=model_choice.MODEL).value == "bundles/b"
    assert app.selectbox(key=image_page.IMAGE).value == "s2"
    app.radio(key=model_choice.ORIGIN).set_value("MLflow runs").run()
    assert not app.exception


def test_a_file_that_is_added_is_there_at_the_next_click(project: Path) -> None:
    app = page()
    app.selectbox(key=image_page.PLACE).set_value("samples").run()
    assert len(app.selectbox(key=image_page.IMAGE).options) == 3
    for kind in ("images", "masks"):
        one = next((project / "samples" / kind / "val").iterdir())
        (one.parent / f"new{one.suffix}").write_bytes(one.read_bytes())
    copy_bundle(project / "bundles/new")
    app.run()
    assert "images/val/new.png" in app.selectbox(key=image_page.IMAGE).options
    assert "bundles/new" in app.selectbox(key=model_choice.MODEL).options
    assert "mIoU" in said(app)


def uploading() -> AppTest:
    return page().selectbox(key=image_page.PLACE).set_value(UPLOAD).run()


def test_an_upload_is_predicted() -> None:
    app = uploading()
    assert "Upload an image here" in said(app)
    image = sorted(Path("data/raw/images/val").iterdir())[0].read_bytes()
    app.file_uploader[0].upload("../../street.png", image, "image/png").run()
    assert "no truth" in said(app) and "48 x 64 pixels" in said(app)
    assert not app.error


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n broken", "upload1.png: cannot be read as a picture"),
        (b"", "upload1.png: cannot be read as a picture: it is empty"),
        (b"%PDF-1.4", "it is a PDF file"),
        (png(np.zeros((40, 60, 3), np.uint8)), "has 2,400 pixels (40 x 60), and the limit"),
    ],
)
def test_a_bad_upload_is_refused_in_words(
    content: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGPIPE_MAX_PIXELS", "2000")
    app = uploading()
    app.file_uploader[0].upload("a.png", content, "image/png").run()
    assert words in said(app)
    assert "/tmp" not in said(app)


def test_a_broken_model_is_named_and_the_others_work(project: Path) -> None:
    copy_bundle(project / "bundles/good")
    (project / "models/model.safetensors").write_bytes(b"none")
    app = page()
    assert "models/model.safetensors: incomplete or corrupt" in said(app)
    app.selectbox(key=model_choice.MODEL).set_value("bundles/good").run()
    assert not app.error and "mIoU" in said(app)
    (project / "bundles/good/model.json").write_text("{}")
    assert "bundles/good/model.json: is of format" in said(app.run())


def test_a_broken_image_is_named(project: Path) -> None:
    first = sorted((project / "data/raw/images/val").iterdir())[0]
    first.write_bytes(first.read_bytes()[:40])
    app = page()
    assert f"{first.name}: cannot be read as a picture" in said(app)
    assert not page().selectbox(key=image_page.IMAGE).set_value("s1").run().error


def test_what_is_not_expected_is_one_sentence_and_the_console_has_the_rest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the machine")

    monkeypatch.setattr(image_page, "look_at", fail)
    app = page()
    assert "unexpected error" in said(app) and "secret" not in said(app)
    assert "a secret of the machine" in caplog.text


@pytest.mark.parametrize("name", ["/etc/passwd", "bundles/../../other", "data/raw/images/val"])
@pytest.mark.parametrize("key", [model_choice.MODEL, image_page.PLACE, image_page.IMAGE])
def test_what_is_not_in_a_list_is_not_opened(project: Path, name: str, key: str) -> None:
    """Streamlit itself goes back to the first of the list, or hands the name on, which is refused."""
    copy_bundle(project / "other")
    app = page(**{key: name})
    refused = "choose one of the list" in said(app)
    assert refused or app.selectbox(key=key).value == app.selectbox(key=key).options[0]
    assert name not in said(app) or not app.image


def test_pages_of_runs_without_results_say_what_to_do() -> None:
    app = page()
    assert "dvc repro" in said(opened(app, "Curves"))
    assert "dvc repro" in said(opened(app, "Scores"))
    assert "segpipe check" in said(opened(app, "Data"))
    assert run_pages.show_curves_page is not None and messages.plain("a_b") == "a\\_b"


def write_metrics(project: Path) -> Path:
    metrics = project / "metrics"
    metrics.mkdir()
    (metrics / "evaluation.json").write_text(json.dumps(EVALUATION))
    (metrics / "images.csv").write_text("name,miou,pixel_accuracy,pixels\ns1,0.25,0.5,9\ns0,,,0\n")
    (metrics / "history.csv").write_text(
        "epoch,step,lr,train_loss,val_loss,val_miou,val_pixel_accuracy,images_per_second,wait_seconds,"
        "peak_memory_mb,seconds\n1,4,0.1,2.5,2.25,0.5,0.75,1,0,1,1\n2,8,0.1,1.5,,,,1,0,1,1\n"
    )
    (metrics / "class_history.csv").write_text("epoch,step,class,iou\n1,4,sky,0.5\n1,4,rest,\n")
    return metrics


def test_curves_of_losses_scores_and_classes(project: Path) -> None:
    write_metrics(project)
    app = opened(page(), "Curves")
    assert not app.error and not app.exception
    assert len(app.get("vega_lite_chart")) == 3


def test_curves_of_the_training_stand_beside_those_of_the_validation(project: Path) -> None:
    history = write_metrics(project) / "history.csv"
    counted = ("train_miou", "train_pixel_accuracy", "partial_val_loss", "partial_val_miou")
    rows = history.read_text().splitlines()
    added = [",".join(counted), ",".join(["0.25"] * 4), ",".join(["0.5"] * 4)]
    history.write_text("".join(f"{row},{more}\n" for row, more in zip(rows, added, strict=True)))
    app = opened(page(), "Curves")
    assert not app.error and not app.exception
    losses, scores, _ = (one.proto.SerializeToString() for one in app.get("vega_lite_chart"))
    assert b"validation, few samples" in losses
    for name in (b"mIoU, training", b"pixel accuracy, training", b"mIoU, few samples"):
        assert name in scores


def test_curves_of_several_runs(project: Path) -> None:
    """An experiment is a commit with a ref, whose files are not here."""
    metrics = write_metrics(project)
    make_repository(project)
    (project / ".gitignore").write_text("/data\n/models\n/samples\n")
    head = commit(project, "with results")
    run(project, "git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/deep-net", head)
    history = (metrics / "history.csv").read_text()
    (metrics / "history.csv").write_text(history.splitlines()[0] + "\n")
    app = opened(page(), "Curves")
    assert "no training to show" in said(app)
    assert app.multiselect(key=run_pages.RUNS).options == ["workspace", "deep-net"]
    app.multiselect(key=run_pages.RUNS).set_value(["workspace", "deep-net"]).run()
    assert len(app.get("vega_lite_chart")) == 3
    app = opened(app, "Scores")
    app.selectbox(key=run_pages.RUN).set_value("deep-net").run()
    assert app.metric[0].value == "85.0 %" and len(app.button) == 1


def test_scores_have_intervals_and_protocol_and_the_worst_image_opens(project: Path) -> None:
    write_metrics(project)
    app = opened(page(), "Scores")
    text = said(app)
    assert [one.value for one in app.metric[:2]] == ["85.0 %", "97.0 %"]
    assert "95 % interval 80.0 to 90.0 %" in text and "5 images of split val" in text
    assert app.dataframe[0].value["class"].tolist() == ["rest", "sky"]
    [worst] = app.button
    assert "25.0 %" in worst.label and "s1" in worst.label
    worst.click().run()
    assert app.segmented_control(key="page").value == "Image"
    assert app.selectbox(key=image_page.IMAGE).value == "s1"
    assert not app.error


@pytest.mark.parametrize("page_name", ["Curves", "Scores"])
def test_broken_metrics_are_named(project: Path, page_name: str) -> None:
    metrics = write_metrics(project)
    (metrics / "evaluation.json").write_text("{")
    (metrics / "history.csv").write_text("epoch\nx\n")
    assert "dvc repro" in said(opened(page(), page_name)) and "metrics/" in said(
        opened(page(), page_name)
    )


def test_the_data_page_shows_splits_classes_and_findings(project: Path) -> None:
    folder = project / "data/report"
    folder.mkdir()
    split = {
        "samples": 3,
        "masks": 3,
        "groups": 2,
        "pixels": 9,
        "void_share": 0.5,
        "mean_brightness": 0.25,
    }
    finding = {
        "kind": "k",
        "severity": "warning",
        "text": "2 odd_files",
        "repair": "mend them",
        "items": ["a*b*"],
    }
    report = {
        "errors": 0, "warnings": 1, "scheme": "classes", "findings": [finding], "splits": {"val": split},
        "classes": [{"name": "sky", "splits": {"val": {"share": 0.25, "images": 2}}, "weights": {}}],
        "image_sizes": {"48x64": 3}, "image_modes": {"RGB": 3}, "mask_modes": {"L": 3}, "left_out": 0,
        "excluded": {},
    }  # fmt: skip
    (folder / "report.json").write_text(json.dumps(report))
    app = opened(page(), "Data")
    assert "2 odd_files: mend them" in said(app) and "a*b*" in said(app)
    assert app.dataframe[0].value["void, %"].tolist() == [50]
    assert app.dataframe[1].value["val, % of pixels"].tolist() == [25]
    (folder / "report.json").write_text("[]")
    assert "report.json" in said(opened(page(), "Data"))


def test_of_tiles_rgb_truth_prediction_and_errors_are_shown(project: Path) -> None:
    shutil.rmtree(project / "models")
    save_random_bundle(project / "models", esd_files(8), 16, 16)
    make_esd_tile(project / "samples/Tile3", truth=6, ratio=8)
    app = page().selectbox(key=image_page.PLACE).set_value("samples").run()
    assert app.selectbox(key=image_page.IMAGE).options == ["Tile3"]
    captions = [one.captions[0] for one in app.image]
    assert captions == ["RGB", "Truth", "Prediction", "Errors"]
    assert "48 x 48 pixels" in said(app) and "mIoU" in said(app)
    app.selectbox(key=image_page.PLACE).set_value(UPLOAD).run()
    assert "a tile is a folder and cannot be uploaded" in said(app)


def test_models_of_experiments_and_runs_are_absent_in_words() -> None:
    app = page()
    for origin in ("DVC experiments", "MLflow runs"):
        app.radio[0].set_value(origin).run()
        assert "no models of this kind" in said(app)


def test_the_page_is_the_one_that_is_served() -> None:
    assert show.__module__ == "segpipe.dashboard.app"
