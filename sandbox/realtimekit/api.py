"""RealtimeKit's own part of the API: the routes behind the gateway, as thin wrappers around the pure modules."""

import itertools
import re
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.realtimekit import envelopes, listing
from sandbox.realtimekit.conditions import Conditions
from sandbox.realtimekit.envelopes import NO_ROUTE, ok, refused, turned_away
from sandbox.realtimekit.faults import json_response
from sandbox.realtimekit.gateway import PREFIX
from sandbox.realtimekit.listing import LivestreamsQuery, MeetingsQuery
from sandbox.realtimekit.state import ImpossibleError, Livestream, Meeting, livestream_of
from sandbox.realtimekit.studio import Studio

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class VideoConfig(BaseModel):
    """The size of a livestream's picture, in pixels."""

    width: int = Field(1280, ge=1, le=1920)
    height: int = Field(720, ge=1, le=1920)


class StartLivestream(BaseModel):
    """The body of a request to start a livestream."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9-_]*$")] | None = None
    video_config: VideoConfig | None = None


class RefusedError(Exception):
    """RealtimeKit refuses a request; carries the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = refused(status, message)


class Api:
    """The endpoints for a studio's meetings."""

    def __init__(self, studio: Studio, conditions: Conditions) -> None:
        self._studio = studio
        self._conditions = conditions
        self._turns = itertools.count()

    def routes(self) -> list[Route]:
        """Return the routes of the endpoints."""
        return [
            Route(f"{PREFIX}/meetings", self.meetings, methods=["GET"]),
            Route(f"{PREFIX}/meetings/{{meeting_id}}", self.meeting, methods=["GET"]),
            Route(f"{PREFIX}/meetings/{{meeting_id}}/active-livestream", self.active_livestream, methods=["GET"]),
            Route(f"{PREFIX}/meetings/{{meeting_id}}/active-livestream/stop", self.stop, methods=["POST"]),
            Route(f"{PREFIX}/meetings/{{meeting_id}}/livestreams", self.start, methods=["POST"]),
            Route(f"{PREFIX}/livestreams", self.livestreams, methods=["GET"]),
            Route(f"{PREFIX}/livestreams/{{livestream_id}}/active-livestream-session", self.session, methods=["GET"]),
        ]

    async def active_livestream(self, request: Request) -> Response:
        """Answer with a meeting's active livestream, if it has one."""
        return json_response(envelopes.active_livestream(self._meeting(request), next(self._turns)))

    async def meeting(self, request: Request) -> Response:
        """Answer with one meeting."""
        return json_response(ok(envelopes.meeting_view(self._meeting(request))))

    async def meetings(self, request: Request) -> Response:
        """Answer with a page of meetings."""
        query = MeetingsQuery.model_validate(dict(request.query_params))
        found = listing.meetings_of(self._studio.meetings.values(), query)
        return json_response(envelopes.meetings_page(*listing.page_of(found, query)))

    async def livestreams(self, request: Request) -> Response:
        """Answer with a page of all meetings' livestreams."""
        query = LivestreamsQuery.model_validate(dict(request.query_params))
        found = listing.livestreams_of(self._studio.listed, query, next(self._turns))
        return json_response(
            envelopes.livestreams_page(*listing.page_of(found, query), shape=self._conditions.list_shape)
        )

    async def session(self, request: Request) -> Response:
        """Answer with a livestream and its latest session, open or not."""
        livestream = self._livestream(request)
        if livestream.session is None:
            raise RefusedError(404, "No session found for this livestream")
        session = envelopes.session_view(livestream, livestream.session, self._studio.clock.now())
        return json_response(ok({"livestream": envelopes.livestream_view(livestream), "session": session}))

    async def start(self, request: Request) -> Response:
        """Start a session. It goes live when a person or test makes it do so in the sandbox, not by itself."""
        meeting = self._meeting(request)
        body = StartLivestream.model_validate_json(await request.body() or b"{}")
        started = self._studio.start(meeting.id, body.name)
        return json_response(envelopes.started(livestream_of(started)))

    async def stop(self, request: Request) -> Response:
        """End the active session."""
        meeting = self._meeting(request)
        if meeting.livestream is None or not meeting.livestream.active:
            raise RefusedError(404, "No active livestream found for this meeting")
        self._studio.end(meeting.id)
        return json_response(ok({"message": "Livestream stopped successfully"}))

    def _meeting(self, request: Request) -> Meeting:
        meeting = self._studio.meetings.get(uuid_in(request, "meeting_id"))
        if meeting is None:
            raise RefusedError(404, "Meeting not found")
        return meeting

    def _livestream(self, request: Request) -> Livestream:
        livestream = self._studio.livestream(uuid_in(request, "livestream_id"))
        if livestream is None:
            raise RefusedError(404, "Livestream not found")
        return livestream


async def refuse(_: Request, error: Exception) -> Response:
    """Answer an endpoint's error: a refusal, an impossible step, or an invalid request."""
    if isinstance(error, RefusedError):
        return json_response(error.answer)
    message = _what_is_wrong(error) if isinstance(error, ValidationError) else str(error)
    return json_response(refused(400, message))


async def not_routed(_: Request, error: Exception) -> Response:
    """Answer a path or method without an endpoint, as the gateway does."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        return json_response(turned_away(405, 7001, "Method not available for that URI"))
    return json_response(NO_ROUTE)


ERRORS = {RefusedError: refuse, ImpossibleError: refuse, ValidationError: refuse, 404: not_routed, 405: not_routed}


def uuid_in(request: Request, name: str) -> str:
    """Return the UUID in a path parameter, in lower case. Raises RefusedError."""
    text = str(request.path_params[name])
    if not _UUID.fullmatch(text):
        raise RefusedError(400, f"{name} must be a valid UUID")
    return text.lower()


def _what_is_wrong(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors())
