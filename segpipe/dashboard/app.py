"""The page that `segpipe dashboard` serves; Streamlit runs this file anew for each click.

Arguments: --models and --images with the folders that are looked into, as `segpipe dashboard` gives them.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from segpipe.dashboard.image_page import IMAGE as IMAGE_NAME
from segpipe.dashboard.image_page import OPACITY, PLACE, show_image_page
from segpipe.dashboard.model_choice import MODEL, ORIGIN, OTHER, OTHER_ORIGIN
from segpipe.dashboard.run_pages import (
    RUN,
    RUNS,
    show_curves_page,
    show_data_page,
    show_scores_page,
)

_PAGE = "page"
# Choices that stay while another page is shown; Streamlit forgets those of widgets that are not shown.
_KEPT = (ORIGIN, MODEL, OTHER_ORIGIN, OTHER, PLACE, IMAGE_NAME, OPACITY, RUNS, RUN)
IMAGE, CURVES, SCORES, DATA = "Image", "Curves", "Scores", "Data"


def show(models: Sequence[Path], images: Sequence[Path]) -> None:
    """Show the dashboard. models, images: the folders that are looked into."""
    st.set_page_config(page_title="segpipe", layout="wide")
    for key in _KEPT:
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]
    st.session_state.setdefault(_PAGE, IMAGE)
    page = st.segmented_control(
        "Page",
        [IMAGE, CURVES, SCORES, DATA],
        key=_PAGE,
        label_visibility="collapsed",
    )
    if page == CURVES:
        show_curves_page()
    elif page == SCORES:
        show_scores_page(_open_image)
    elif page == DATA:
        show_data_page()
    else:
        show_image_page(models, images)


def _open_image() -> None:
    st.session_state[_PAGE] = IMAGE


def main(arguments: Sequence[str]) -> None:
    """Show the dashboard with the folders that the command line names."""
    parser = argparse.ArgumentParser()
    for name in ("--models", "--images"):
        parser.add_argument(name, nargs="*", type=Path, default=[])
    options = parser.parse_args(arguments)
    show(options.models, options.images)


if __name__ == "__main__":
    main(sys.argv[1:])
