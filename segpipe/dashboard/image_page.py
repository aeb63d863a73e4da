"""The page of one image: truth, prediction and errors, or two models on it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from segpipe.dashboard.image_list import (
    UPLOAD,
    ImageChoice,
    digest,
    image_places,
    images_at,
    uploaded,
)
from segpipe.dashboard.looking import Look, legend_html, look_at, panels
from segpipe.dashboard.messages import errors_in_words, plain
from segpipe.dashboard.model_choice import Model, chosen_models, of_list
from segpipe.dashboard.swipe import swipe
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import LabelScheme
from segpipe.rendering import layout
from segpipe.runtime.errors import DataError

_LOOKS = 16  # that are kept in memory, of all visitors
# Keys of choices; the page of scores sets place and image to open an image here.
PLACE, IMAGE, OPACITY = "image_place", "image_name", "opacity"


def show_image_page(models: Sequence[Path], images: Sequence[Path]) -> None:
    """Show the choice of model and image in the sidebar, and what the model makes of the image."""
    choice: ImageChoice | None = None
    contents: list[tuple[str, bytes]] = []
    chosen: list[Model] = []
    # In this order an error stands on the page: in a narrow window the sidebar is closed.
    with errors_in_words(), st.sidebar:
        chosen = chosen_models(models)
        if chosen:
            contents, choice = _chosen_image(images, chosen[0].predictor)
            opacity, classes = _chosen_view(chosen[0].predictor.scheme)
            frames = st.container()
            if choice is None and not contents:
                st.info("Upload an image here, or choose another place.")
    if choice is None and not contents:
        return
    with errors_in_words():
        looks = [_look(model, choice, contents) for model in chosen]
        with frames:
            _show_frames(looks[0])
        _show_scores(chosen, looks)
        if len(looks) == 2:
            _show_two(chosen, looks, opacity, classes)
        else:
            _show_one(looks[0], chosen[0].predictor, opacity, classes)
        _show_class_table(chosen, looks, classes)


def _chosen_image(
    folders: Sequence[Path], predictor: Predictor
) -> tuple[list[tuple[str, bytes]], ImageChoice | None]:
    """Return the files that are uploaded, or the image that is chosen."""
    place = str(st.selectbox("Images from", image_places(folders), key=PLACE))
    reader = predictor.reader
    if place == UPLOAD:
        if reader.folders:
            raise DataError(
                f"a {reader.unit} is a folder and cannot be uploaded; put it in a folder"
            )
        several = predictor.frames > 1
        label = f"{predictor.frames} frames, in the order of their names" if several else "Image"
        given = st.file_uploader(
            label, sorted(reader.suffixes), accept_multiple_files=several, key="upload"
        )
        files = given if isinstance(given, list) else [given] if given else []
        files.sort(key=lambda file: str(file.name))
        return [(file.name, file.getvalue()) for file in files], None
    found = images_at(place, folders, reader)
    name = st.selectbox("Image", list(found), key=IMAGE)
    return [], found[of_list("image", name, found)]


def _chosen_view(scheme: LabelScheme) -> tuple[float, list[str]]:
    st.session_state.setdefault(OPACITY, 55)
    opacity = st.slider("Opacity of the classes, %", 0, 100, step=5, key=OPACITY)
    classes = list(scheme.classes)
    with st.expander("Classes that are coloured"):
        shown = st.pills(
            "Classes",
            classes,
            default=classes,
            format_func=plain,
            selection_mode="multi",
            label_visibility="collapsed",
            key=f"classes of {scheme.name}",
        )
    return opacity / 100, list(shown)


def _look(model: Model, choice: ImageChoice | None, files: list[tuple[str, bytes]]) -> Look:
    if choice is not None:
        return _look_at_choice(model.state, choice.state, model.predictor, choice)
    contents = [content for _, content in files]
    suffix = Path(files[0][0]).suffix.lower()
    return _look_at_upload(
        model.state, f"{digest(contents)} {suffix}", model.predictor, contents, suffix
    )


@st.cache_resource(max_entries=_LOOKS, show_spinner="Predicting")
def _look_at_choice(model: str, image: str, _predictor: Predictor, _choice: ImageChoice) -> Look:
    """Predict an image once; `model` and `image` tell it from others and from what they were before."""
    return look_at(_choice, _predictor)


@st.cache_resource(max_entries=_LOOKS, show_spinner="Predicting")
def _look_at_upload(
    model: str, content: str, _predictor: Predictor, _contents: list[bytes], _suffix: str
) -> Look:
    """As `_look_at_choice`, of files that were uploaded."""
    if _suffix not in _predictor.reader.suffixes:
        raise DataError(f"files of the form {_suffix} are not read")
    with uploaded(_contents, _suffix) as choice:
        return look_at(choice, _predictor)


def _show_frames(look: Look) -> None:
    for place, frame_HW3 in enumerate(look.frames, -len(look.frames)):
        st.image(frame_HW3, caption=f"input frame {place}", width="stretch")
    if look.frames:
        st.image(look.image_HW3, caption="input frame 0, the one that is labelled", width="stretch")


def _show_scores(models: Sequence[Model], looks: Sequence[Look]) -> None:
    for model, look in zip(models, looks, strict=True):
        found = look.scores
        if found is None:
            scored = "no truth, so no scores"
        else:
            scored = f"mIoU {_percent(found.miou)}, pixel accuracy {_percent(found.pixel_accuracy)}"
        st.markdown(f"**{plain(model.name)}**: {scored}")
        if look.unknown:
            values = ", ".join(map(str, sorted(look.unknown)))
            st.warning(
                f"The truth holds the values {values}, which the model's label scheme does not know; "
                "they are not counted."
            )
    st.caption(f"{looks[0].height} x {looks[0].width} pixels")


def _show_one(look: Look, predictor: Predictor, opacity: float, classes: list[str]) -> None:
    shown = panels(look, predictor.scheme, opacity, classes)
    if (
        predictor.reader.on_earth and look.truth_HW is not None
    ):  # few recognise a place below the colours of its classes
        shown = {"RGB": look.image_HW3, **shown}
    for column, (caption, picture_HW3) in zip(st.columns(len(shown)), shown.items(), strict=True):
        column.image(picture_HW3, caption=caption, width="stretch")
    st.html(legend_html(look, predictor.scheme, classes))


def _show_two(
    models: Sequence[Model], looks: Sequence[Look], opacity: float, classes: list[str]
) -> None:
    kind = st.radio("Shown", ["Prediction", "Errors"], horizontal=True)
    pictures = []
    for model, look in zip(models, looks, strict=True):
        known = [name for name in model.predictor.scheme.classes if name in classes]
        others = set(model.predictor.scheme.classes) - set(models[0].predictor.scheme.classes)
        shown = panels(look, model.predictor.scheme, opacity, [*known, *others])
        pictures.append(shown.get(str(kind), shown["Prediction"]))
    height, width = pictures[0].shape[:2]
    if pictures[1].shape[:2] != (height, width):
        pictures[1] = layout.scaled(pictures[1], height, width, Image.Resampling.NEAREST)
    swipe((models[0].name, pictures[0]), (models[1].name, pictures[1]))
    st.html(legend_html(looks[0], models[0].predictor.scheme, classes))


def _show_class_table(models: Sequence[Model], looks: Sequence[Look], classes: list[str]) -> None:
    rows = []
    for name in models[0].predictor.scheme.classes:
        row: dict[str, object] = {"class": name}
        for model, look in zip(models, looks, strict=True):
            if look.scores is None or name not in model.predictor.scheme.classes:
                continue
            place = model.predictor.scheme.classes.index(name)
            row |= {f"IoU, {model.name}" if len(models) > 1 else "IoU": look.scores.iou_K[place]}
            row |= {"pixels": int(look.scores.pixels_K[place])}
        if len(row) > 1 and name in classes and not _is_absent(row):
            rows.append(row)
    if rows:
        columns = {
            key: st.column_config.ProgressColumn(key, min_value=0, max_value=1, format="percent")
            for key in rows[0]
            if key.startswith("IoU")
        }
        st.dataframe(rows, hide_index=True, column_config=columns)


def _is_absent(row: dict[str, object]) -> bool:
    """Return whether a class is neither in the truth nor in a prediction."""
    return all(
        isinstance(value, float) and np.isnan(value)
        for key, value in row.items()
        if key.startswith("IoU")
    )


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f} %"
