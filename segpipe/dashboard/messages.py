"""What the page says when something fails: sentences, never a traceback."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from segpipe.runtime.errors import SegpipeError

_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|<>~$:-])")
_log = logging.getLogger(__name__)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Show an error of the block as a sentence; one that is not expected goes to the console as well."""
    try:
        yield
    except SegpipeError as error:
        st.error(plain(str(error)))
    except MemoryError:
        st.error("There is not enough memory for this image; choose a smaller one.")
    except Exception:  # its text may hold anything, so it stays in the console
        _log.exception("the dashboard could not show this")
        st.error(
            "This could not be shown because of an unexpected error; the console in which "
            "`segpipe dashboard` runs has the details."
        )


def plain(text: str) -> str:
    """Return text, such as the name of a file, so that Streamlit's Markdown shows it as it is."""
    return _MARKS.sub(r"\\\1", text).replace("\n", "  \n")
