"""The page's log of recent calls between the bot, Slack and Cloudflare, numbered."""

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

KEPT_CALLS = 200


class Drawer:
    """The last calls in the order in which they ended; `on_call` is called with each."""

    def __init__(self, on_call: Callable[[dict[str, Any]], None]) -> None:
        self.calls: deque[dict[str, Any]] = deque(maxlen=KEPT_CALLS)
        self._numbers = itertools.count(1)
        self._on_call = on_call

    def put(self, call: dict[str, Any]) -> None:
        """Add a call."""
        call = call | {"id": next(self._numbers)}
        self.calls.append(call)
        self._on_call(call)
