"""Faults between a client and Cloudflare, as they appear on the wire."""

import contextlib
from enum import Enum

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.realtimekit.envelopes import Answer, refused, turned_away


class Fault(Enum):
    """A fault that a request gets instead of a prompt answer."""

    NONE = "none"
    SLOW = "slow"
    UNAUTHORIZED = "401"
    RATE_LIMITED = "429"
    SERVER_ERROR = "500"
    HTML = "502 with an HTML page"
    HANG = "never answers"
    DROP = "closes the connection without an answer"
    HALF = "half an answer, then closes the connection"


_BAD_GATEWAY = """<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>
"""
_HALF_A_BODY = b'{"success": true, "data": {"id": "'


async def inflict(fault: Fault, retry_after: int | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with a fault other than NONE and SLOW, which still get a normal answer."""
    match fault:
        case Fault.HANG:
            await _wait_for_disconnect(receive)
        case Fault.DROP:
            await _drop(send)
        case Fault.HALF:
            await _answer_half(send)
        case _:
            await _response(fault, retry_after)(scope, receive, send)


def rate_limited(headers: dict[str, str]) -> Response:
    """Build the gateway's answer to a client that has exceeded the rate limit."""
    return json_response(turned_away(429, 971, "Please wait and consider throttling your request speed"), headers)


def unauthorized() -> Response:
    """Build the gateway's answer to an unknown token."""
    return json_response(turned_away(401, 10000, "Authentication error"))


def json_response(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    """Convert an answer to a Starlette response."""
    return JSONResponse(answer.body, answer.status, headers)


def _response(fault: Fault, retry_after: int | None) -> Response:
    match fault:
        case Fault.UNAUTHORIZED:
            return unauthorized()
        case Fault.RATE_LIMITED:
            return rate_limited({} if retry_after is None else {"retry-after": str(retry_after)})
        case Fault.HTML:
            return HTMLResponse(_BAD_GATEWAY, 502)
        case _:
            return json_response(refused(500, "Internal server error"))


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drop(send: Send) -> None:
    """Start a response that uvicorn refuses to write, so that it assumes a started response and closes the connection.

    ASGI has no way to request this. Without a start uvicorn would answer with a 500.
    """
    unwritable = {"type": "http.response.start", "status": 200, "headers": [(b"x-dropped", b"\n")]}
    with contextlib.suppress(RuntimeError):
        await send(unwritable)


async def _answer_half(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % (2 * len(_HALF_A_BODY)))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _HALF_A_BODY, "more_body": True})
