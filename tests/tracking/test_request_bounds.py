"""The middleware by itself; that MLflow's server has it is in tests/registry/test_served_model.py."""

import asyncio
import json
import sys
import types
from typing import Any

import pytest

from segpipe.tracking.request_bounds import RequestBounds, bound_requests

JSON = {"content-type": "application/json; charset=utf-8", "content-length": "2"}


def ask(
    app: Any, headers: dict[str, str], method: str = "POST", chunks: int = 0
) -> tuple[int, Any]:
    """Return the status and the body that a request is answered with.

    chunks: of 300 bytes that the client still sends, all of which have to be read before the answer.
    """
    sent: list[Any] = []
    left = [{"type": "http.request", "body": b"x" * 300, "more_body": True}] * chunks
    left.append({"type": "http.request", "body": b""})

    async def receive() -> Any:
        return left.pop(0)

    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def send(message: Any) -> None:
        assert method != "POST" or sent or not left[1:], "the client is still sending"
        sent.append(message)

    scope = {"type": "http", "method": method, "headers": encoded}
    asyncio.run(RequestBounds(app, most_bytes=1000)(scope, receive, send))
    body = b"".join(one.get("body", b"") for one in sent)
    assert [one["type"] for one in sent][:1] == ["http.response.start"]
    return sent[0]["status"], json.loads(body)


def answering(status: int, *parts: bytes) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        for place, part in enumerate(parts, 1):
            more = place < len(parts)
            await send({"type": "http.response.body", "body": part, "more_body": more})

    return app


def refusing(message: str) -> Any:
    text = json.dumps({"error_code": "X", "message": message, "stack_trace": "Traceback"}).encode()
    return answering(400, text[:9], text[9:])


@pytest.mark.parametrize(
    ("headers", "status", "why"),
    [
        ({}, 415, "must be JSON"),
        (JSON | {"content-type": "text/csv"}, 415, "must be JSON"),
        ({"content-type": "application/json"}, 411, "Content-Length"),
        (JSON | {"content-length": "-1"}, 411, "Content-Length"),
        (JSON | {"content-length": "1001"}, 413, "1001 bytes"),
    ],
)
def test_what_is_not_read_at_all(headers: dict[str, str], status: int, why: str) -> None:
    found, body = ask(answering(200, b"{}"), headers)
    assert found == status and why in body["message"]


def test_a_body_is_read_before_it_is_refused_and_no_more_than_a_few_times_the_bound() -> None:
    assert ask(answering(200, b"{}"), JSON | {"content-length": "3000"}, chunks=10)[0] == 413
    with pytest.raises(AssertionError, match="still sending"):
        ask(answering(200, b"{}"), JSON | {"content-length": "30000"}, chunks=100)


def test_the_rest_passes() -> None:
    assert ask(answering(200, b'{"a"', b": 1}"), JSON | {"content-length": "1000"}) == (
        200,
        {"a": 1},
    )
    assert ask(answering(200, b"{}"), {}, "GET") == (200, {})


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (
            "Failed to predict data '[{'image': 'Error'}]'. \nError: image 0: is bad",
            "image 0: is bad",
        ),
        (
            "Failed to predict data 'x'. \nError: Failed to enforce schema of data 'x' with schema 'y'. "
            "Error: Model is missing inputs ['image'].",
            "Model is missing inputs ['image'].",
        ),
        (
            "Invalid input. Ensure that it is JSON. Error: 'JSONDecodeError(1)'\nInput: \nb'hello'",
            "'JSONDecodeError(1)'",
        ),
        ("x" * 5000, "x" * 1000),
    ],
)
def test_of_mlflows_refusals_the_reason_is_left(message: str, why: str) -> None:
    assert ask(refusing(message), JSON) == (400, {"message": why})


def test_a_refusal_in_plain_text_and_an_exception_are_answered() -> None:
    assert ask(answering(500, b"Internal Server Error"), JSON)[1] == {
        "message": "Internal Server Error"
    }

    async def failing(*_: Any) -> None:
        raise RecursionError

    assert ask(failing, JSON) == (400, {"message": "the request cannot be read (RecursionError)"})


def test_only_the_serving_process_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    import fastapi

    monkeypatch.setattr(fastapi, "FastAPI", fastapi.FastAPI)
    bound_requests()
    assert not fastapi.FastAPI().user_middleware
    name = "mlflow.pyfunc.scoring_server.app"
    monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setenv("SEGPIPE_MAX_REQUEST_MB", "0.5")
    bound_requests()
    [middleware] = fastapi.FastAPI().user_middleware
    assert middleware.kwargs == {"most_bytes": 2**19}
