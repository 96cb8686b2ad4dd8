"""What the bot counts of itself, for Prometheus. No label ever holds what came from outside."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10)


class Metrics:
    """One registry of its own, so that two bots in one process do not share their counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "livestream_bot_requests",
            "What people asked for: command, refresh, post_here.",
            ["action", "outcome"],
            registry=self.registry,
        )
        self.reply_seconds = Histogram(
            "livestream_bot_reply_seconds",
            "From the acknowledgement to the end of the reply.",
            ["action"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "livestream_bot_in_flight", "What people asked for and have no reply to yet.", registry=self.registry
        )
        self.rejected = Counter(
            "livestream_bot_rejected_requests",
            "Requests to /slack/events that were not believed.",
            ["reason"],
            registry=self.registry,
        )
        self.lookups = Counter("livestream_bot_lookups", "Lookups by outcome.", ["outcome"], registry=self.registry)
        self.cloudflare_seconds = Histogram(
            "livestream_bot_cloudflare_call_seconds",
            "Requests to Cloudflare.",
            ["endpoint", "outcome"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.slack_calls = Counter(
            "livestream_bot_slack_calls", "Requests to Slack.", ["method", "outcome"], registry=self.registry
        )

    def cloudflare_call(self, endpoint: str, outcome: str, seconds: float) -> None:
        """Count one request to Cloudflare."""
        self.cloudflare_seconds.labels(endpoint, outcome).observe(seconds)

    def slack_call(self, method: str, outcome: str) -> None:
        """Count one request to Slack."""
        self.slack_calls.labels(method, outcome).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)
