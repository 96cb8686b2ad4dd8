"""The bodies of the page's requests, with a size limit."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.requests import Request

from sandbox.page.refused import Refused

MOST_BYTES = 64 * 1024

Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Value = Annotated[str, StringConstraints(max_length=2_000)]


class Body(BaseModel):
    """The base of all bodies: no other fields, and no type conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Nothing(Body):
    """The body for a button that needs no data; may be missing."""


class Typed(Body):
    """A text that a person typed into a channel or a thread."""

    user: Id
    channel: Id
    text: str
    thread_ts: Id | None = None


class Click(Body):
    """A click in a message; `value` is the button's value, or the chosen option's."""

    user: Id
    channel: Id
    ts: Id
    action_id: Id
    block_id: Id | None = None
    value: Value | None = None


class Deletion(Body):
    """A request by a person to delete a message."""

    user: Id
    channel: Id
    ts: Id


class By(Body):
    """The person who pressed a button."""

    user: Id


class Held(Body):
    """Whether to hold webhooks back."""

    held: bool


class Turned(Body):
    """The dials to turn; None leaves a dial unchanged."""

    cloudflare_fault: str | None = None
    slack_fault: str | None = None
    speed: float | None = None


AnyBody = TypeVar("AnyBody", bound=Body)


async def read_body(request: Request, model: type[AnyBody]) -> AnyBody:
    """Read a body. Raises Refused: 413 if it is too large, 400 if it does not fit the model."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(413, f"That is more than {MOST_BYTES // 1024} KiB.")
    try:
        return model.model_validate_json(bytes(body) or b"{}")
    except ValidationError as error:
        raise Refused(400, _sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    mistake = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, mistake["loc"])) or "The body"
    return f"{where}: {mistake['msg']}."
