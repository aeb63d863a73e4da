"""Libraries that print much and raise anything: silent, and their errors as ours.

A file of its own, because exporter, quantiser and converter all need it.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

from segpipe.runtime.errors import ExportError, SegpipeError


@contextlib.contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Keep progress, warnings and logs off the console; raise what is raised as an ExportError.

    what: such as "the model unet cannot be exported to ONNX"; the reason follows it.
    """
    before, printed = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    except SegpipeError:
        raise
    except Exception as error:  # what the libraries raise derives from nothing narrower
        raise ExportError(f"{what}: {_reason(error)}") from error
    finally:
        logging.disable(before)


def _reason(error: BaseException) -> str:
    """Return the innermost cause of an error in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'without a text'}"
