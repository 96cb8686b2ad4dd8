"""Notification of changes to the studio's meetings."""

from collections.abc import Callable

from sandbox.realtimekit.state import Meeting

Callback = Callable[[Meeting], None]


class Changes:
    """The subscribers to changes of meetings, called synchronously in the order in which they subscribed."""

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback` with each meeting that changes from now on; return a function that unsubscribes it."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def publish(self, meeting: Meeting) -> None:
        """Notify all subscribers of a meeting's new state."""
        for callback in tuple(self._callbacks):
            callback(meeting)
