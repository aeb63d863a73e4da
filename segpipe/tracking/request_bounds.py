"""Bounds of the requests that `mlflow models serve` reads: their bytes and their kind.

MLflow's scoring server reads a body of any length, parses Parquet and CSV as well (with a traceback in
the answer), and fails with 500 without a Content-Type; nothing of this can be configured. The model is
loaded in that process before its FastAPI application is made, so the application's class is given a
middleware there.
"""

import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

VARIABLE = "SEGPIPE_MAX_REQUEST_MB"
MOST_MB = 64  # an image of 48 MB as base64
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_SERVER = "mlflow.pyfunc.scoring_server.app"  # is imported by the serving process alone


class RequestBounds:
    """An ASGI middleware: 415 for what is not JSON, 411 without a length, 413 for a body too large.

    What JSON's parser does not foresee (numbers of 5000 digits, a thousand brackets) is 400 and not 500.
    """

    def __init__(self, app: Any, most_bytes: int) -> None:
        """most_bytes: of a body."""
        self._app, self._most = app, most_bytes

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Pass a request on, or answer it."""
        refusal = self._refusal(scope) if scope.get("method") == "POST" else None
        if refusal is None:
            try:
                await self._app(scope, receive, send)
                return
            except Exception as error:  # of parsing: MLflow words all that the model raises
                refusal = 400, f"the request cannot be read ({type(error).__name__})"
        status, text = refusal
        headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": f"{text}\n".encode()})

    def _refusal(self, scope: _Message) -> tuple[int, str] | None:
        """Return the status and the reason. uvicorn reads no more of a body than its Content-Length."""
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip()
        length = headers.get(b"content-length", b"").decode("latin-1")
        if kind.lower() != "application/json":
            return 415, "the request must be JSON, with Content-Type: application/json"
        if not length.isdecimal():
            return 411, "the request must have a Content-Length"
        if int(length) > self._most:
            megabytes = self._most / 2**20
            return 413, f"the request has {length} bytes, and may have {megabytes:g} MiB"
        return None


def bound_requests() -> None:
    """Bound the requests of the scoring server that this process is about to start; else do nothing."""
    if _SERVER not in sys.modules:
        return
    import fastapi

    most = int(float(os.environ.get(VARIABLE, MOST_MB)) * 2**20)

    class Bounded(fastapi.FastAPI):
        """FastAPI with the middleware."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.add_middleware(RequestBounds, most_bytes=most)

    fastapi.FastAPI = Bounded  # type: ignore[misc]
