"""What the bot counts of itself."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import CONTENT_TYPE, Metrics

OF_THE_PROCESS = ("process_", "python_info")


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels, as Prometheus reads the text."""
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_every_metric_is_exposed_from_the_start() -> None:
    families = {
        family.name: (family.type, family.documentation)
        for family in text_string_to_metric_families(Metrics().text().decode())
        if not family.name.endswith("_created") and not family.name.startswith(OF_THE_PROCESS)
    }

    assert {name: kind for name, (kind, _) in families.items()} == {
        "livestream_bot_requests": "counter",
        "livestream_bot_reply_duration_seconds": "histogram",
        "livestream_bot_requests_in_flight": "gauge",
        "livestream_bot_rejected_requests": "counter",
        "livestream_bot_lookups": "counter",
        "livestream_bot_cloudflare_request_duration_seconds": "histogram",
        "livestream_bot_slack_api_requests": "counter",
        "livestream_bot_follows": "gauge",
        "livestream_bot_meeting_checks": "counter",
        "livestream_bot_episode_changes": "counter",
        "livestream_bot_detection_delay_seconds": "histogram",
        "livestream_bot_webhook_requests": "counter",
        "livestream_bot_slack_messages": "counter",
        "livestream_bot_announcement_delay_seconds": "histogram",
        "livestream_bot_announcements_pending": "gauge",
        "livestream_bot_oldest_pending_announcement_age_seconds": "gauge",
        "livestream_bot_meetings_due": "gauge",
        "livestream_bot_cards_due": "gauge",
        "livestream_bot_cloudflare_rate_limit_remaining": "gauge",
        "livestream_bot_ready": "gauge",
        "livestream_bot_asyncio_tasks": "gauge",
    }
    assert all(documentation for _, documentation in families.values())


def test_cloudflare_request_is_counted_with_its_duration() -> None:
    metrics = Metrics()

    metrics.cloudflare_call("meeting", "ok", 0.3)
    metrics.cloudflare_call("meeting", "ok", 0.3)
    metrics.cloudflare_call("meeting", "unreachable", 8.0)

    read = samples(metrics)
    calls = "livestream_bot_cloudflare_request_duration_seconds"
    assert read[f"{calls}_count endpoint=meeting outcome=ok"] == 2
    assert read[f"{calls}_sum endpoint=meeting outcome=ok"] == 0.6
    assert read[f"{calls}_bucket endpoint=meeting le=0.25 outcome=ok"] == 0
    assert read[f"{calls}_bucket endpoint=meeting le=0.5 outcome=ok"] == 2
    assert read[f"{calls}_bucket endpoint=meeting le=5.0 outcome=unreachable"] == 0
    assert read[f"{calls}_bucket endpoint=meeting le=10.0 outcome=unreachable"] == 1


def test_slack_request_is_counted_by_method_and_outcome() -> None:
    metrics = Metrics()

    metrics.slack_call("chat.postMessage", "ok")
    metrics.slack_call("chat.postMessage", "not_in_channel")
    metrics.slack_call("chat.postMessage", "ok")

    read = samples(metrics)
    assert read["livestream_bot_slack_api_requests_total method=chat.postMessage outcome=ok"] == 2
    assert read["livestream_bot_slack_api_requests_total method=chat.postMessage outcome=not_in_channel"] == 1


def test_metrics_of_two_bots_are_separate() -> None:
    first, second = Metrics(), Metrics()

    first.lookups.labels("live").inc()
    first.in_flight.inc()

    assert samples(first)["livestream_bot_lookups_total outcome=live"] == 1
    assert "livestream_bot_lookups_total outcome=live" not in samples(second)
    assert samples(second)["livestream_bot_requests_in_flight"] == 0


async def test_unfinished_tasks_are_counted() -> None:
    metrics = Metrics()
    task = asyncio.create_task(asyncio.sleep(0))

    assert samples(metrics)["livestream_bot_asyncio_tasks"] == 2
    await task
    assert samples(metrics)["livestream_bot_asyncio_tasks"] == 1


def test_task_count_is_zero_without_an_event_loop() -> None:
    assert samples(Metrics())["livestream_bot_asyncio_tasks"] == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system has no /proc")
def test_process_metrics_are_those_of_this_process() -> None:
    read = samples(Metrics())

    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert read["process_resident_memory_bytes"] == pytest.approx(resident, rel=0.05)
    assert 0 < read["process_open_fds"] < read["process_max_fds"]
    assert 0 < read["process_start_time_seconds"] <= time.time() + 1
    assert read["process_cpu_seconds_total"] > 0


def test_python_version_is_exposed() -> None:
    [info] = [name for name in samples(Metrics()) if name.startswith("python_info")]

    assert f"version={sys.version.split()[0]}" in info


def test_content_type_matches_the_text_format() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
    assert b"# EOF" not in Metrics().text()
