"""Who may use the page: only a browser on this machine that shows the page itself."""

import itertools
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.sandbox.page.conftest import Browser

JSON = {"Content-Type": "application/json"}


THIS_MACHINE = ("127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:9", "[::1]:{port}", "localhost")
OTHERS = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:80",
    "127.0.0.1:80:80",
    "127.0.0.1@evil.example",
    "10.0.0.1",
    "localhost.",
    "a b",
    "",
)


async def test_every_name_of_this_machine_is_accepted(browser: Browser) -> None:
    """Through a forwarded port as well."""
    for name in THIS_MACHINE:
        host = name.format(port=urlsplit(browser.url).port)
        status, _ = await browser.ask("GET", "/api/state", headers={"Host": host, "Origin": f"http://{host}"})

        assert (host, status) == (host, 200)


async def test_other_host_names_are_rejected(browser: Browser) -> None:
    """A foreign page may have pointed its own name at this machine."""
    for host, path in itertools.product(OTHERS, ("/", "/api/state", "/api/stream", "/static/app.js")):
        status, answer = await browser.ask("GET", path, headers={"Host": host})

        assert (host, path, status) == (host, path, 403)
        assert answer["error"].startswith("This page is for this machine only")


async def test_requests_from_other_web_pages_are_rejected(browser: Browser) -> None:
    origins = ("https://evil.example", "http://localhost:1", "null", f"https://{urlsplit(browser.url).netloc}", "")
    foreign = [*({"Origin": origin} for origin in origins), {"Sec-Fetch-Site": "cross-site"}]
    for headers in (*foreign, {"Sec-Fetch-Site": "same-site"}):
        for method, path in (("GET", "/api/state"), ("PUT", "/api/conditions")):
            answer = await browser.ask(method, path, headers=JSON | headers, data="{}")

            assert (headers, answer) == (headers, (403, {"error": "Another web page may not use this one."}))


async def test_link_from_another_page_is_followed(browser: Browser) -> None:
    status, _ = await browser.ask("GET", "/static/none.js", headers={"Sec-Fetch-Site": "cross-site"})

    assert status == 404


async def test_body_without_the_json_type_is_rejected(browser: Browser) -> None:
    """A foreign form could send it. The JSON type may have a charset."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"):
        for method, path in (("POST", "/api/messages"), ("POST", "/api/meetings/1/end"), ("PUT", "/api/conditions")):
            answer = await browser.ask(method, path, data=b"{}", headers={"Content-Type": content_type})
            assert answer == (415, {"error": "The body must be JSON, declared as application/json."})

    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await browser.ask("PUT", "/api/conditions", data=b"{}", headers=headers))[0] == 200


async def test_every_response_has_the_security_headers(browser: Browser) -> None:
    own = ("script-src", "style-src", "connect-src")
    none = ("default-src", "base-uri", "form-action", "frame-ancestors")
    policy = dict.fromkeys(own, "'self'") | dict.fromkeys(none, "'none'") | {"img-src": "'self' data:"}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/api/state", {}),
        ("GET", "/nothing", {}),
        ("GET", "/api/state", {"headers": {"Host": "evil.example"}}),
        ("POST", "/api/messages", {"data": b"{}"}),
    ]
    for method, path, options in requests:
        async with browser.session.request(method, browser.url + path, **options) as response:
            headers = response.headers

        assert dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")) == policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers


async def test_unknown_route_is_rejected_with_a_sentence(browser: Browser) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/api/messages", 405), ("POST", "/", 405)):
        sentence = "Not Found." if status == 404 else "Method Not Allowed."
        assert await browser.ask(method, path, headers=JSON) == (status, {"error": sentence})

    with pytest.raises(aiohttp.WSServerHandshakeError):
        await browser.session.ws_connect(f"{browser.url}/api/stream")
