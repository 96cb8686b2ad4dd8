"""The Web API over HTTP: `POST /api/{method}`."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.slack.answers import rate_limited
from sandbox.slack.arguments import Arguments, read_arguments
from sandbox.slack.credentials import Credentials
from sandbox.slack.front import Front
from sandbox.slack.limits import Limits
from sandbox.slack.methods import Method
from sandbox.slack.refusal import RateLimited, Refusal
from sandbox.slack.workspace import Workspace


@dataclass(frozen=True, slots=True)
class WebApi:
    """Authenticates, rate-limits and runs the bot's calls."""

    methods: Mapping[str, Method]
    credentials: Credentials
    limits: Limits
    front: Front
    workspace: Workspace

    async def endpoint(self, request: Request) -> Response:
        """Answer one call."""
        name = request.path_params["method"]
        arguments = await read_arguments(request)
        self.front.log.body(name, arguments.as_json())
        return self.front.answer(name, lambda: self._run(name, arguments), _refused, self._about(arguments))

    def _about(self, arguments: Arguments) -> set[str]:
        """Return the channel and the people that a call names, and a direct message's person."""
        named = {arguments.text("channel"), *arguments.text("users").split(",")} - {""}
        places = [self.workspace.channels[name] for name in named if name in self.workspace.channels]
        return named.union(*(place.members for place in places if place.is_im))

    def _run(self, name: str, arguments: Arguments) -> Response:
        if arguments.flaw is not None:
            raise Refusal(arguments.flaw)
        method = self.methods.get(name)
        if method is None:
            raise Refusal("unknown_method", req_method=name)
        headers = self._authenticate(method, arguments)
        self._limit(name, arguments)
        return JSONResponse({"ok": True, **method.run(arguments)}, headers=headers)

    def _authenticate(self, method: Method, arguments: Arguments) -> dict[str, str]:
        """Check the token, and return the headers with its scopes and with the scope that the method requires.

        Slack calls the latter "accepted".
        """
        if method.kind is None:
            return {}
        self.credentials.check(arguments.token, method.kind, method.scope)
        held = ",".join(sorted(self.credentials.scopes(method.kind)))
        return {"x-oauth-scopes": held, "x-accepted-oauth-scopes": method.scope or ""}

    def _limit(self, name: str, arguments: Arguments) -> None:
        channel = arguments.text("channel") if name == "chat.postMessage" else ""
        retry_after = self.limits.retry_after(name, channel, self.front.clock.now())
        if retry_after is not None:
            raise RateLimited(retry_after)


def _refused(refusal: Refusal) -> Response:
    if isinstance(refusal, RateLimited):
        return rate_limited(refusal.error, refusal.retry_after)
    return JSONResponse({"ok": False, "error": refusal.error, **refusal.details})
