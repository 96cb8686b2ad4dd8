"""Tells whoever watches the studio which meeting has just changed."""

from collections.abc import Callable

from bot.sandbox.realtimekit.state import Meeting

Callback = Callable[[Meeting], None]


class Changes:
    """The subscribers to changes of meetings; they are called at once, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback` with each meeting that changes from now on; the returned function ends that."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def publish(self, meeting: Meeting) -> None:
        """Tell all subscribers of one meeting as it is now."""
        for callback in tuple(self._callbacks):
            callback(meeting)
