"""Cloudflare's API gateway, which every request passes before it reaches RealtimeKit."""

import asyncio
import re
import secrets
import time
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.clock import Clock
from sandbox.realtimekit import budget, faults
from sandbox.realtimekit.conditions import Call, Conditions
from sandbox.realtimekit.envelopes import NO_ROUTE, turned_away
from sandbox.realtimekit.faults import Fault

PREFIX = "/client/v4/accounts/{account_id}/realtime/kit/{app_id}"
KEY_PATH = "/.well-known/webhooks.json"
"""The path of the public key for webhooks; Cloudflare has it on a separate host, without authentication."""
_PREFIX = re.compile(r"/client/v4/accounts/(?P<account_id>[^/]*)/realtime/kit/(?P<app_id>[^/]*)/")


@dataclass(frozen=True)
class Tenant:
    """The one account, RealtimeKit app and API token that the sandbox knows."""

    account_id: str
    app_id: str
    api_token: str = field(repr=False)


class Gateway:
    """ASGI middleware: latency, faults, token, rate limit, account and app, in this order, and the call log.

    For the public key of webhooks only latency and faults apply.
    """

    def __init__(self, app: ASGIApp, *, tenant: Tenant, conditions: Conditions, clock: Clock) -> None:
        self._app = app
        self._tenant = tenant
        self._conditions = conditions
        self._clock = clock
        self._spent = budget.Spent()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            await send(message)
            if message["type"] == "http.response.start":
                status = message["status"]

        try:
            await self._answer(scope, receive, noting)
        finally:
            ms = (time.perf_counter() - began) * 1000
            self._conditions.record(Call(scope["method"], _path_with_query(scope), status, ms, self._clock.now()))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        conditions = self._conditions
        fault = conditions.take_fault()
        if delay := conditions.latency + (conditions.slow_seconds if fault is Fault.SLOW else 0):
            await asyncio.sleep(delay)
        if fault not in (Fault.NONE, Fault.SLOW):
            await faults.inflict(fault, conditions.retry_after, scope, receive, send)
        else:
            await self._pass(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[str, str] = {}
        answer: Response | None
        if scope["path"] == KEY_PATH:
            answer = None
        elif not self._token_is_good(Headers(scope=scope).get("authorization", "")):
            answer = faults.unauthorized()
        elif "retry-after" in (headers := self._spend()):
            answer = faults.rate_limited(headers)
        else:
            answer = self._turn_away(scope["path"])
        await (answer or self._app)(scope, receive, _adding(headers, send))

    def _token_is_good(self, authorization: str) -> bool:
        return secrets.compare_digest(authorization.encode(), f"Bearer {self._tenant.api_token}".encode())

    def _spend(self) -> dict[str, str]:
        limit = self._conditions.budget
        if limit is None:
            return {}
        now = self._clock.now()
        self._spent = budget.spend(self._spent, limit, now)
        return budget.headers(self._spent, limit, now)

    def _turn_away(self, path: str) -> Response | None:
        place = _PREFIX.match(path)
        if place is None:
            return faults.json_response(NO_ROUTE)
        if place["account_id"] != self._tenant.account_id or place["app_id"] != self._tenant.app_id:
            message = f"Could not route to {path}, perhaps your object identifier is invalid?"
            return faults.json_response(turned_away(404, 7003, message))
        return None


def _adding(headers: dict[str, str], send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            raw = message.get("headers", [])
            told = {name for name, _ in raw}
            extra = [(name.encode(), value.encode()) for name, value in headers.items() if name.encode() not in told]
            message = {**message, "headers": [*raw, *extra]}
        await send(message)

    return adding


def _path_with_query(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])
