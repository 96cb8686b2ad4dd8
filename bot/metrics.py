"""The bot's metrics for Prometheus. Labels never contain values from outside."""

import asyncio

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LONG_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10)


class Metrics:
    """All metrics, in a registry of their own, so that two bots in one process do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "livestream_bot_requests",
            "Commands, clicks and events, by action and outcome.",
            ["action", "outcome"],
            registry=self.registry,
        )
        self.reply_seconds = Histogram(
            "livestream_bot_reply_duration_seconds",
            "Time from the acknowledgement to the end of the reply.",
            ["action"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "livestream_bot_requests_in_flight", "Requests without a reply yet.", registry=self.registry
        )
        self.rejected = Counter(
            "livestream_bot_rejected_requests",
            "Requests to /slack/events that failed verification.",
            ["reason"],
            registry=self.registry,
        )
        self.lookups = Counter("livestream_bot_lookups", "Lookups by outcome.", ["outcome"], registry=self.registry)
        self.cloudflare_seconds = Histogram(
            "livestream_bot_cloudflare_request_duration_seconds",
            "Requests to Cloudflare.",
            ["endpoint", "outcome"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.slack_calls = Counter(
            "livestream_bot_slack_api_requests", "Requests to Slack.", ["method", "outcome"], registry=self.registry
        )

        self._following()
        self._of_the_process()

    def _of_the_process(self) -> None:
        """Add the process's metrics, which show its health and leaks. `process_*` exist only where there is /proc."""
        self.ready = Gauge(
            "livestream_bot_ready",
            "1 or 0 for each check of /readyz, evaluated at each scrape.",
            ["check"],
            registry=self.registry,
        )
        self.tasks = Gauge("livestream_bot_asyncio_tasks", "Asyncio tasks that are not done.", registry=self.registry)
        self.tasks.set_function(_tasks)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def _following(self) -> None:
        self.follows = Gauge("livestream_bot_follows", "Follows by state.", ["state"], registry=self.registry)
        self.observations = Counter(
            "livestream_bot_meeting_checks",
            "Checks of followed meetings, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.changes = Counter(
            "livestream_bot_episode_changes", "Changes recorded, by kind.", ["kind"], registry=self.registry
        )
        self.detection_seconds = Histogram(
            "livestream_bot_detection_delay_seconds",
            "Time from a change at Cloudflare, if Cloudflare reports it, until the bot noticed it.",
            buckets=_LONG_SECONDS,
            registry=self.registry,
        )
        self.webhooks = Counter(
            "livestream_bot_webhook_requests", "Requests to /realtimekit/webhooks.", ["outcome"], registry=self.registry
        )
        self.announcements = Counter(
            "livestream_bot_slack_messages",
            "Posts, edits and replies in Slack: sent, waiting, refused or unconfirmed.",
            ["operation", "outcome"],
            registry=self.registry,
        )
        self.announcement_seconds = Histogram(
            "livestream_bot_announcement_delay_seconds",
            "Time from recording a change to its reply in a thread.",
            buckets=_LONG_SECONDS,
            registry=self.registry,
        )
        self.unsent = Gauge(
            "livestream_bot_announcements_pending", "Replies waiting to be sent.", registry=self.registry
        )
        self.oldest_unsent_seconds = Gauge(
            "livestream_bot_oldest_pending_announcement_age_seconds",
            "How long the oldest unsent reply has waited.",
            registry=self.registry,
        )
        self.meetings_due = Gauge("livestream_bot_meetings_due", "Meetings due for a check.", registry=self.registry)
        self.cards_due = Gauge("livestream_bot_cards_due", "Cards due for a post or an edit.", registry=self.registry)
        self.requests_remaining = Gauge(
            "livestream_bot_cloudflare_rate_limit_remaining",
            "Requests left of Cloudflare's 1,200 in five minutes.",
            registry=self.registry,
        )

    def cloudflare_call(self, endpoint: str, outcome: str, seconds: float) -> None:
        """Count one request to Cloudflare."""
        self.cloudflare_seconds.labels(endpoint, outcome).observe(seconds)

    def slack_call(self, method: str, outcome: str) -> None:
        """Count one request to Slack."""
        self.slack_calls.labels(method, outcome).inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def _tasks() -> float:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # no event loop is running
        return 0
