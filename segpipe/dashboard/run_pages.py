"""The pages of runs and of the data: curves, scores, worst images; statistics and findings."""

from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

import streamlit as st

from segpipe.dashboard.image_list import split_place
from segpipe.dashboard.image_page import IMAGE, PLACE
from segpipe.dashboard.messages import errors_in_words, plain
from segpipe.rendering.html.page import interval, percent
from segpipe.results.data_report import DATA_REPORT, ClassSummary, DataReport
from segpipe.results.evaluation import ClassScores, Evaluation
from segpipe.results.evaluation_tables import ImageRow, class_rows
from segpipe.results.experiments import WORKSPACE, experiments, read_run, read_run_table
from segpipe.results.records import METRICS, read_record, set_labels, shown_values
from segpipe.results.training import ClassHistoryRow, HistoryRow
from segpipe.runtime.errors import DataError

RUNS, RUN = "runs", "run"  # keys of choices
_STATISTICS = Path("data/statistics")
_WORST = 12  # images
_MOST_CURVES = 8  # whose colours can be told apart
_NUMBERS = st.column_config.NumberColumn(format="%.2f")
# Columns of the history; a curve is there where the run has values.
_LOSSES = {
    "train_loss": "training",
    "val_loss": "validation",
    "partial_val_loss": "validation, few samples",
}
_SCORES = {
    "val_miou": "mIoU",
    "val_pixel_accuracy": "pixel accuracy",
    "train_miou": "mIoU, training",
    "train_pixel_accuracy": "pixel accuracy, training",
    "partial_val_miou": "mIoU, few samples",
}


def show_curves_page() -> None:
    """Show loss and scores over the epochs of the chosen runs, and IoU by class of one of them."""
    with errors_in_words():
        known = _runs()
        st.session_state.setdefault(RUNS, known[:1])
        chosen = st.multiselect("Runs", known, key=RUNS)
        histories = {name: read_run_table(name, HistoryRow) for name in chosen}
        if not any(histories.values()):
            st.info(
                "There is no training to show; `dvc repro` trains, and writes metrics/history.csv."
            )
            return
        left, right = st.columns(2)
        with left:
            st.subheader("Loss per valid pixel")
            _lines(histories, _LOSSES)
        with right:
            st.subheader("Scores of the validation, %")
            _lines(histories, _SCORES, factor=100)
        st.subheader("IoU by class, %")
        _class_curves(str(st.selectbox("of the run", chosen)))


def _class_curves(run: str) -> None:
    """Show IoU over the epochs of the classes that are chosen; at first those that are lowest at the end."""
    rows = [row for row in read_run_table(run, ClassHistoryRow) if row.iou is not None]
    last = {row.class_name: row.iou or 0.0 for row in rows}
    names = sorted(last, key=lambda name: last[name])
    chosen = st.multiselect("Classes", names, default=names[:_MOST_CURVES])
    if rows and chosen:
        points = [
            (row.epoch, row.class_name, 100 * (row.iou or 0))
            for row in rows
            if row.class_name in chosen
        ]
        table = _table(points, "epoch", "class", "IoU, %")
        st.line_chart(table, x="epoch", y="IoU, %", color="class")


def _runs() -> list[str]:
    """Return the workspace, where it has results, and the experiments of DVC."""
    here = [WORKSPACE] if (METRICS / Evaluation.file).is_file() else []
    return [*here, *dict.fromkeys(name for name, _, _ in experiments())]


def _lines(
    histories: dict[str, list[HistoryRow]], columns: dict[str, str], factor: float = 1
) -> None:
    points = [
        (row.epoch, f"{words}, {name}" if len(histories) > 1 else words, factor * value)
        for name, rows in histories.items()
        for row in rows
        for column, words in columns.items()
        if (value := getattr(row, column)) is not None
    ]
    if points:
        table = _table(points, "epoch", "curve", "value")
        st.line_chart(table, x="epoch", y="value", color="curve", y_label="")


def _table(rows: Sequence[tuple[object, ...]], *columns: str) -> dict[str, list[object]]:
    """Return rows as the columns that Streamlit's charts take."""
    return {name: [row[place] for row in rows] for place, name in enumerate(columns)}


def show_scores_page(open_image: Callable[[], None]) -> None:
    """Show the scores of a run with their intervals and protocol, its classes and its worst images.

    open_image: called when an image of the list is clicked, before the page is made again.
    """
    with errors_in_words():
        runs = _runs()
        if not runs:
            st.info("There are no scores yet; `dvc repro` writes them.")
            return
        name = str(st.selectbox("Run", runs, key=RUN))
        if name not in runs:
            raise DataError("there is no such run; choose one of the list")
        evaluation = read_run(name).evaluation
        _headline(evaluation)
        left, right = st.columns([3, 2])
        with left:
            st.subheader("Classes, %")
            _class_table(evaluation)
        with right:
            _worst_images(name, evaluation.protocol.split, open_image)
        with st.expander("All scores and the protocol"):
            rows = [
                {
                    "score": one.label,
                    "%": percent(one.value, 1),
                    "95 % interval": interval(one.interval, 1),
                }
                for one in shown_values(evaluation)
            ]
            st.dataframe(rows, hide_index=True)
            for field, value in evaluation.protocol:
                if value not in (None, "", {}):
                    st.markdown(f"**{field.replace('_', ' ')}**: {plain(str(value))}")


def _headline(evaluation: Evaluation) -> None:
    shown = shown_values(evaluation)[:4]
    for column, one in zip(st.columns(len(shown)), shown, strict=True):
        column.metric(one.label, f"{percent(one.value, 1)} %")
        if one.interval:
            column.caption(f"95 % interval {interval(one.interval, 1)} %")
    st.caption(plain(f"Measured on {evaluation.protocol.summary}."))
    if evaluation.protocol.no_interval:
        st.caption(plain(f"No 95 % interval: {evaluation.protocol.no_interval}."))


def _class_table(evaluation: Evaluation) -> None:
    columns = set_labels(ClassScores, evaluation.classes.values())
    rows = sorted(class_rows(evaluation), key=lambda row: (row.iou is None, row.iou or 0.0))
    table = [
        {"class": row.class_name}
        | {label: _hundredfold(getattr(row, name)) for name, label in columns.items()}
        | {"share of pixels": 100 * row.share}
        for row in rows
    ]
    named = dict.fromkeys((*columns.values(), "share of pixels"), _NUMBERS)
    st.dataframe(table, hide_index=True, column_config=named)


def _worst_images(run: str, split: str, open_image: Callable[[], None]) -> None:
    st.subheader("Worst images")

    def clicked(name: str) -> None:
        st.session_state[PLACE], st.session_state[IMAGE] = split_place(split), name
        open_image()

    rows = [row for row in read_run_table(run, ImageRow) if row.miou is not None][:_WORST]
    if not rows:
        st.info("This run has no list of images.")
    for row in rows:
        label = f"{percent(row.miou, 1)} %  {row.name}"
        st.button(
            plain(label),
            key=f"worst {row.name}",
            on_click=clicked,
            args=(row.name,),
            width="stretch",
        )


def show_data_page() -> None:
    """Show what the prepare stage, or `segpipe check`, found in the data."""
    with errors_in_words():
        path = DATA_REPORT / DataReport.file
        if not path.is_file():
            st.info(
                "The data has not been looked at yet; `segpipe check` or `dvc repro prepare` does."
            )
            return
        report = read_record(DataReport, path)
        _findings(report)
        st.subheader("Splits")
        splits = [
            {
                "split": name,
                "images": split.samples,
                "with masks": split.masks,
                "groups": split.groups,
                "pixels": split.pixels,
                "void, %": _hundredfold(split.void_share),
                "mean brightness, %": _hundredfold(split.mean_brightness),
            }
            for name, split in report.splits.items()
        ]
        numbers = dict.fromkeys(("void, %", "mean brightness, %"), _NUMBERS)
        st.dataframe(splits, hide_index=True, column_config=numbers)
        st.subheader("Classes")
        classes = [_class_in_splits(one) for one in report.classes]
        shares = dict.fromkeys((f"{name}, % of pixels" for name in report.splits), _NUMBERS)
        st.dataframe(classes, hide_index=True, column_config=shares)
        kinds = {
            "image sizes": report.image_sizes,
            "images": report.image_modes,
            "masks": report.mask_modes,
        }
        for words, counts in kinds.items():
            found = ", ".join(f"{name}: {count}" for name, count in counts.items())
            st.markdown(f"**{words}**: {plain(found or 'none')}")
        columns = cycle(st.columns(2))
        for picture, column in zip(sorted(_STATISTICS.glob("*.png")), columns, strict=False):
            column.image(picture.read_bytes(), caption=picture.stem)


def _class_in_splits(found: ClassSummary) -> dict[str, str | float | None]:
    row: dict[str, str | float | None] = {"class": found.name}
    for split, one in found.splits.items():
        row |= {f"{split}, % of pixels": _hundredfold(one.share), f"images of {split}": one.images}
    return row


def _findings(report: DataReport) -> None:
    st.markdown(
        f"{report.errors} errors, {report.warnings} warnings; label scheme {plain(report.scheme)}"
    )
    for finding in report.findings:
        say = st.error if finding.severity == "error" else st.warning
        items = "".join(f"\n{item}" for item in finding.items[:10])
        say(plain(f"{finding.text}: {finding.repair}{items}"))


def _hundredfold(value: float | None) -> float | None:
    return None if value is None else 100 * value
