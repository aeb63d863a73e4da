"""Bounds of the requests that `mlflow models serve` reads, and plain refusals in its answers.

MLflow's scoring server reads a body of any length, parses Parquet and CSV as well (with a traceback in
the answer), fails with 500 without a Content-Type, and repeats the request in its refusals; nothing of
this can be configured. The model is loaded in that process before its FastAPI application is made, so
the application's class is given a middleware there.
"""

import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

VARIABLE = "SEGPIPE_MAX_REQUEST_MB"
MOST_MB = 64  # an image of 48 MB as base64
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_REQUEST = re.compile(r".*(?:\n|\. )Error: ", re.DOTALL)  # what MLflow puts before a reason
_LONGEST = 1000  # characters of a reason
_DRAINED = 4  # times the bound of a body
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
                await self._app(scope, receive, _plainly(send))
                return
            except Exception as error:  # of parsing: MLflow words all that the model raises
                refusal = 400, f"the request cannot be read ({type(error).__name__})"
        else:
            await self._let_go(receive)
        status, text = refusal
        await _refuse(send, status, text)

    async def _let_go(self, receive: _Receive) -> None:
        """Read what is still sent of a refused body, up to a few times the bound, and keep none of it.

        A client that is still sending when the connection is closed does not get to read the answer.
        """
        left = _DRAINED * self._most
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if not message.get("more_body"):
                return

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


async def _refuse(send: _Send, status: int, text: str) -> None:
    body = json.dumps({"message": text}).encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _plainly(send: _Send) -> _Send:
    """Return a `send` that brings refusals down to their reason."""
    refused: list[int] = []
    body = bytearray()

    async def plain(message: _Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            refused.append(message["status"])
        elif not refused:
            await send(message)
        else:
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                await _refuse(send, refused[0], _reason(bytes(body)))

    return plain


def _reason(body: bytes) -> str:
    """Return why MLflow refuses: of its message what follows the request, or stands before it."""
    try:
        text = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        text = body.decode("utf-8", "replace")
    return _REQUEST.sub("", text).partition("\nInput:")[0][:_LONGEST]


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
