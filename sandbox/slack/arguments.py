"""Parser of a Web API call's arguments: JSON or form, in body or query, with the token kept apart."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from sandbox.slack.refusal import Refusal

_TRUE = frozenset({"1", "true", "True"})


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, without its token."""

    token: str | None = field(repr=False)
    values: Mapping[str, Any]
    flaw: str | None = None

    def text(self, name: str) -> str:
        """Return a string argument, or "" if it is missing."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        """Return a boolean argument, which forms send as `1`, `0`, `true` or `false`."""
        value = self.values.get(name)
        return value is True or (isinstance(value, str | int) and str(value) in _TRUE)

    def as_json(self) -> str:
        """Return the values as JSON text for the log; "" if there are none."""
        return json.dumps(dict(self.values), ensure_ascii=False) if self.values else ""


async def read_arguments(request: Request) -> Arguments:
    """Read a request. The header's token takes precedence over a form's; a JSON body cannot contain one.

    If the body cannot be parsed, only the query's values remain, and `flaw` says why: `invalid_json`,
    `json_not_object` or `invalid_form_data`.
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
