"""Reads the arguments of a Web API call: JSON or form, in the body or the query, the token apart from the rest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from bot.sandbox.slack.refusal import Refusal

_TRUE = frozenset({"1", "true", "True"})


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, without its token."""

    token: str | None = field(repr=False)
    values: Mapping[str, Any]
    flaw: str | None = None

    def text(self, name: str) -> str:
        """A string argument; empty when it was left out."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        """A boolean argument; forms carry them as `1`, `0`, `true` or `false`."""
        value = self.values.get(name)
        return value is True or (isinstance(value, str | int) and str(value) in _TRUE)

    def as_json(self) -> str:
        """The values as text, for the record of what the bot sent."""
        return json.dumps(dict(self.values), ensure_ascii=False) if self.values else ""


async def read_arguments(request: Request) -> Arguments:
    """Read a request; the token of the header wins over that of a form, and a JSON body cannot carry one.

    What cannot be read leaves no values and a `flaw`: `invalid_json`, `json_not_object`, `invalid_form_data`.
    """
    body = await request.body()
    query = dict(request.query_params)
    is_json = request.headers.get("content-type", "").startswith("application/json")
    try:
        values = _json_values(body) if is_json else _form_values(body)
    except Refusal as refusal:
        return Arguments(_bearer(request), query, refusal.error)
    token = values.pop("token", None)
    return Arguments(_bearer(request) or (None if is_json else token), query | values)


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _json_values(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body) if body else {}
    except ValueError:
        raise Refusal("invalid_json") from None
    if not isinstance(values, dict):
        raise Refusal("json_not_object")
    return values


def _form_values(body: bytes) -> dict[str, Any]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except ValueError:
        raise Refusal("invalid_form_data") from None
