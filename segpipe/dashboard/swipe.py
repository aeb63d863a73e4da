"""Two pictures on top of each other with a slider between them, as a component of the page."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from segpipe.rendering.layout import Picture

_QUALITY = 95  # of JPEG; colours are not subsampled
_HTML = """
<div class="names"><span class="left"></span><span class="right"></span></div>
<div class="stack"><img class="below" alt=""><img class="above" alt=""><div class="line"></div></div>
<input type="range" min="0" max="100" value="50" aria-label="Where the left picture ends">
"""
_CSS = """
:host { display: block; color: var(--st-text-color); font-family: var(--st-font); }
.names { display: flex; justify-content: space-between; gap: 1em; font-size: .875rem; }
.names span { overflow-wrap: anywhere; }
.right { text-align: right; }
.stack { position: relative; line-height: 0; margin: .3rem 0; }
img { width: 100%; border-radius: 4px; }
.above { position: absolute; inset: 0; height: 100%; clip-path: inset(0 50% 0 0); }
.line { position: absolute; top: 0; bottom: 0; left: 50%; width: 2px; margin-left: -1px;
        background: #fff; box-shadow: 0 0 3px #000; pointer-events: none; }
input { width: 100%; margin: .2rem 0; accent-color: var(--st-primary-color); }
"""
# The names are set as text, so that what a file is called is never read as HTML.
_SCRIPT = """
export default function ({ parentElement, data }) {
  const find = (name) => parentElement.querySelector(name);
  const above = find(".above"), line = find(".line"), slider = find("input");
  find(".left").textContent = data.left_name;
  find(".right").textContent = data.right_name;
  above.src = data.left;
  find(".below").src = data.right;
  const move = () => {
    above.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    line.style.left = `${slider.value}%`;
  };
  slider.oninput = move;
  move();
}
"""


def swipe(left: tuple[str, Picture], right: tuple[str, Picture]) -> None:
    """Show two pictures of one size, each with its caption; the slider moves the border between them."""
    _component()(
        key="swipe",
        data={
            "left_name": left[0],
            "left": _address(left[1]),
            "right_name": right[0],
            "right": _address(right[1]),
        },
    )


@st.cache_resource(show_spinner=False)
def _component() -> Callable[..., Any]:
    return st.components.v2.component("segpipe_swipe", html=_HTML, css=_CSS, js=_SCRIPT)


def _address(picture_HW3: Picture) -> str:
    """Return a picture as the address of a JPEG; as a PNG it would take 50 times as long to write."""
    content = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(picture_HW3))
    picture.save(content, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
