"""Protection from other web pages: only the page itself, opened on this machine, may drive the sandbox."""

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.page.refused import Refused

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_READS = ("GET", "HEAD")

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def check(method: str, path: str, headers: Headers) -> None:
    """Raise Refused unless the request comes from the page itself.

    The Host must be this machine's, because a foreign page can give 127.0.0.1 any name (DNS rebinding). A foreign
    Origin, or Sec-Fetch-Site naming another site, means another web page. A body that is not declared as JSON could
    come from another page's form, for which browsers send no preflight.
    """
    host = headers.get("host", "")
    if not _LOOPBACK.fullmatch(host):
        raise Refused(403, "This page is for this machine only; open it as http://127.0.0.1 or http://localhost.")
    origin = headers.get("origin")
    if origin is not None and not _same(origin, host):
        raise Refused(403, "Another web page may not use this one.")
    if path.startswith("/api/") and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Refused(403, "Another web page may not use this one.")
    if method not in _READS and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "The body must be JSON, declared as application/json.")


def _same(origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme == "http" and parts.netloc.lower() == host.lower()


class Guard:
    """ASGI middleware that checks each request and adds the security headers to each response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            check(scope["method"], scope["path"], Headers(scope=scope))
        except Refused as refused:
            await JSONResponse({"error": refused.sentence}, refused.status)(scope, receive, secured)
            return
        await self._app(scope, receive, secured)
