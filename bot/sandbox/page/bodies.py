"""What the page sends: the bodies of its requests, of a bounded size."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.requests import Request

from bot.sandbox.page.refused import Refused

MOST_BYTES = 64 * 1024

Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Value = Annotated[str, StringConstraints(max_length=2_000)]


class Body(BaseModel):
    """Every body: exactly its fields, of exactly their types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Nothing(Body):
    """A press of a button that needs no more to be said; may be left out altogether."""


class Typed(Body):
    """What a person typed into a channel, or into a thread of it."""

    user: Id
    channel: Id
    text: str
    thread_ts: Id | None = None


class Click(Body):
    """A click in a message; `value` is that of the button, or the option that was chosen from a menu."""

    user: Id
    channel: Id
    ts: Id
    action_id: Id
    block_id: Id | None = None
    value: Value | None = None


class Deletion(Body):
    """A message that is to be deleted, and by whom."""

    user: Id
    channel: Id
    ts: Id


class By(Body):
    """A press of a button by somebody."""

    user: Id


class Held(Body):
    """Whether webhooks are to be held back."""

    held: bool


class Turned(Body):
    """The dials that were turned."""

    cloudflare_fault: str | None = None
    slack_fault: str | None = None
    speed: float | None = None


AnyBody = TypeVar("AnyBody", bound=Body)


async def read_body(request: Request, model: type[AnyBody]) -> AnyBody:
    """Read a body. Raises Refused: 413 for one that is too large, 400 for one that is not what was expected."""
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
