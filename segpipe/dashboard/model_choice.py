"""The choice of the model, and of another one that it is compared with, in the sidebar."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from segpipe.dashboard.model_list import (
    EXPERIMENTS,
    FOLDERS,
    RUNS,
    Models,
    files_state,
    models_of,
)
from segpipe.inference.predictor import Predictor, load_model
from segpipe.runtime.errors import DataError

# Keys of choices.
ORIGIN, MODEL, OTHER_ORIGIN, OTHER = "origin", "model", "other_origin", "other_model"
_ORIGINS = (FOLDERS, EXPERIMENTS, RUNS)
_NO_OTHER = "no other model"
_MODELS = 4  # that are kept in memory, of all visitors


@dataclass(frozen=True)
class Model:
    """A model that is ready, and what it is called. state: changes when its files do."""

    name: str
    predictor: Predictor
    state: str


def chosen_models(folders: Sequence[Path]) -> list[Model]:
    """Return the model that is chosen, and perhaps the one that it is compared with, of any origin.

    folders: those of the models of origin FOLDERS.
    """
    origin = str(st.radio("Models from", _ORIGINS, horizontal=True, key=ORIGIN))
    known = models_of(origin, folders)
    if not known:
        st.info(f"There are no models of this kind here: {origin.lower()}.")
        return []
    name = of_list("model", st.selectbox("Model", list(known), key=MODEL), known)
    st.session_state.setdefault(OTHER_ORIGIN, FOLDERS)
    other_origin = str(
        st.radio("Compare with models from", _ORIGINS, horizontal=True, key=OTHER_ORIGIN)
    )
    others = known if other_origin == origin else models_of(other_origin, folders)
    left = [one for one in others if (other_origin, one) != (origin, name)]
    other = st.selectbox("Compare with", [_NO_OTHER, *left], key=OTHER)
    if other == _NO_OTHER:
        return [_model(name, known)]
    other = of_list("model", other, others)
    if other_origin == origin:
        return [_model(name, known), _model(other, known)]
    # Models of several origins may have the same name.
    return [
        replace(_model(one, models), name=f"{one} ({where})")
        for one, models, where in ((name, known, origin), (other, others, other_origin))
    ]


def _model(name: str, known: Models) -> Model:
    folder = known[name]()
    state = f"{folder.resolve()} {files_state(folder)}"
    return Model(name, _predictor(state, folder), state)


def of_list(kind: str, name: object, known: Container[str]) -> str:
    """Return a name that is in the list; DataError for what a browser has sent by itself."""
    if name not in known:
        raise DataError(f"there is no {kind} {name!r} here; choose one of the list")
    return str(name)


@st.cache_resource(max_entries=_MODELS, show_spinner="Loading the model")
def _predictor(state: str, _folder: Path) -> Predictor:
    """Load a bundle once; `state` tells it from others and from what it was before."""
    return load_model(_folder)
