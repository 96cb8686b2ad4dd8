"""The Kubernetes manifests: valid without a cluster, in agreement with the bot, and giving it no more than it needs."""

import contextlib
import copy
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from bot import __version__
from bot.errors import ConfigurationError, DatabaseUnavailable
from bot.health import CHECK_SECONDS
from bot.http_server import create_web
from bot.metrics import Metrics
from bot.settings import Settings, load
from bot.store import migrator
from sandbox.bot_process import Mode
from sandbox.realtimekit import seeds
from tests.conftest import World
from tests.deployment import (
    REQUIRED,
    ROOT,
    SETTINGS,
    code_block,
    dockerfile,
    documents,
    max_memory_megabytes,
    max_stop_seconds,
)

FOLDER = "manifests/kubernetes"
VERSIONS = ["1.30", "1.33", "1.37"]
FILES = documents(f"{FOLDER}/kustomization.yaml")[0]["resources"]
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
SECRETS = {
    "DATABASE_URL": "postgresql+asyncpg://livestream:word@postgres.example.com/livestream",
    "CLOUDFLARE_API_TOKEN": "token",
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "secret",
}


def one(kind: str) -> dict[str, Any]:
    """Return the one object of this kind."""
    (found,) = [entry for file in FILES for entry in documents(f"{FOLDER}/{file}") if entry["kind"] == kind]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def deployment() -> dict[str, Any]:
    spec = one("Deployment")["spec"]
    assert isinstance(spec, dict)
    return spec


@pytest.fixture
def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    spec = deployment["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod["containers"]
    assert isinstance(found, dict)
    return found


def secret_references(container: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in container["env"]:
        if "valueFrom" in entry:
            yield entry["name"], entry["valueFrom"]["secretKeyRef"]


def served_paths() -> set[str]:
    """Return every path of the bot, with Slack over HTTP and with webhooks."""
    anything: Any = (None, None)
    return {getattr(route, "path", "") for route in create_web(Metrics(), {}, anything, anything).routes}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES)
def test_manifest_is_valid_by_the_kubernetes_schema(file: str, version: str) -> None:
    for entry in documents(f"{FOLDER}/{file}"):
        assert kubernetes_validate.validate(entry, version, strict=True) == version


def test_schema_rejects_a_misspelled_key() -> None:
    wrong = copy.deepcopy(one("Deployment"))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_every_file_in_the_folder_is_applied() -> None:
    present = {path.name for path in (ROOT / FOLDER).iterdir()}

    assert present == {*FILES, "kustomization.yaml"}


def rendered(folder: Path) -> dict[str, Any]:
    """Return what `kubectl apply --kustomize` would send, by kind."""
    command = ["kubectl", "kustomize", str(folder)]
    sent = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return {entry["kind"]: entry for entry in yaml.safe_load_all(sent)}


@needs_kubectl
def test_kubectl_renders_the_files_unchanged() -> None:
    written = [entry for file in FILES for entry in documents(f"{FOLDER}/{file}")]

    assert rendered(ROOT / FOLDER) == {entry["kind"]: entry for entry in written}


@needs_kubectl
def test_documented_overlay_fills_in_every_value(tmp_path: Path) -> None:
    (tmp_path / "livestream-bot").symlink_to(ROOT)
    overlay = tmp_path / "ours"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(code_block("docs/production.md", "apiVersion: kustomize"))
    found = rendered(overlay)

    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"images.example.com/livestream-bot:{__version__}"
    assert "" not in found["ConfigMap"]["data"].values()
    assert "bot.example.com" not in str(found["Ingress"])
    assert kubernetes_validate.validate(found["Ingress"], VERSIONS[-1], strict=True)


def test_all_objects_share_namespace_name_and_labels() -> None:
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    for file in FILES:
        for entry in documents(f"{FOLDER}/{file}"):
            assert entry["metadata"]["name"] == "livestream-bot"
            assert entry["kind"] == "Namespace" or entry["metadata"]["namespace"] == "livestream-bot"

    assert one("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert one("Service")["spec"]["selector"] == labels
    assert one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    spread = one("Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [entry["labelSelector"]["matchLabels"] for entry in spread] == [labels, labels]


def test_image_tag_is_the_current_version(container: dict[str, Any]) -> None:
    assert container["image"] == f"livestream-bot:{__version__}"


def test_every_variable_is_a_setting_and_none_is_missing(container: dict[str, Any]) -> None:
    listed = [*one("ConfigMap")["data"], *(entry["name"] for entry in container["env"])]

    assert len(listed) == len(set(listed))
    assert REQUIRED <= set(listed) <= SETTINGS


def test_only_the_ids_to_fill_in_are_missing(container: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    for name, value in (one("ConfigMap")["data"] | plain | SECRETS).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        load(Settings)
    assert [mistake.split()[0] for mistake in caught.value.mistakes] == ["CLOUDFLARE_ACCOUNT_ID", "REALTIMEKIT_APP_ID"]
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "account")
    monkeypatch.setenv("REALTIMEKIT_APP_ID", "app")
    assert load(Settings).host == "0.0.0.0"


def test_every_secret_setting_is_a_secret_reference(container: dict[str, Any]) -> None:
    secret = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    references = dict(secret_references(container))

    assert set(references) == secret
    assert all(ref["name"] == "livestream-bot" and ref["key"] == name for name, ref in references.items())
    assert not secret & set(one("ConfigMap")["data"])


def test_documented_secret_file_is_complete(container: dict[str, Any]) -> None:
    lines = [line.partition("=") for line in code_block("docs/production.md", "DATABASE_URL=").splitlines()]
    documented = {name: value for name, _, value in lines}
    references = dict(secret_references(container))

    assert {name for name, ref in references.items() if not ref.get("optional")} <= set(documented) <= set(references)
    assert not any(re.search(r"xox[bp]-\d", value) for value in documented.values())


def test_probes_use_served_paths_and_the_container_port(container: dict[str, Any]) -> None:
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    annotations = one("Deployment")["spec"]["template"]["metadata"]["annotations"]

    paths = {kind: urlsplit(probe["path"]).path for kind, probe in probes.items()}

    assert {*paths.values(), annotations["prometheus.io/path"]} <= served_paths()
    assert paths == {
        "startup": "/healthz",
        # An unreachable Slack is no reason to kill a bot.
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {container["ports"][0]["name"]}


async def answer_of(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_locked_database_keeps_the_pod_ready(
    world: World, container: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pod still gets Slack's requests, and answers what needs no database."""
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.1)
    probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}

    async with world.bot(database_url=f"sqlite:///{tmp_path}/bot.db"):
        with contextlib.closing(sqlite3.connect(tmp_path / "bot.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = await world.ask(f"follow {seeds.LIVE}")
            statuses = {kind: (await answer_of(world.bot_url + path))[0] for kind, path in probes.items()}
            everything, _ = await answer_of(f"{world.bot_url}/readyz")
            answer = await world.ask(seeds.LIVE)
            other.execute("ROLLBACK")

    assert refused.text == DatabaseUnavailable().sentence
    assert everything == 503
    assert statuses == {"startup": 200, "liveness": 200, "readiness": 200}
    assert "live" in answer.text.lower()


@pytest.mark.parametrize(("mode", "needed"), [("http", set()), ("socket", {"socket_mode"})], ids=["http", "socket"])
async def test_readiness_probe_excludes_all_but_the_needed_checks(
    world: World, container: dict[str, Any], mode: Mode, needed: set[str]
) -> None:
    left_out = parse_qs(urlsplit(container["readinessProbe"]["httpGet"]["path"]).query)

    async with world.bot(mode):
        _, metrics = await answer_of(f"{world.bot_url}/metrics")
    checks = set(re.findall(r'^livestream_bot_ready{check="(\w+)"}', metrics, re.MULTILINE))

    assert set(left_out) == {"exclude"}
    assert set(left_out["exclude"]) == checks - needed
    assert needed < checks


def test_startup_probe_allows_five_minutes(container: dict[str, Any]) -> None:
    """Whether the port is closed, or open and silent; a locked database fails the start earlier."""
    probe = container["startupProbe"]
    # The kubelet makes one try after the other: one that takes longer than the period puts off the next.
    silent = max(probe["periodSeconds"], probe["timeoutSeconds"]) * probe["failureThreshold"]

    assert probe["periodSeconds"] * probe["failureThreshold"] == silent == 5 * 60
    assert silent - 60 > migrator.LOCK_TRIES * (migrator.LOCK_SECONDS + migrator.PAUSE_SECONDS)


def test_readiness_timeout_is_longer_than_a_check(container: dict[str, Any]) -> None:
    assert container["readinessProbe"]["timeoutSeconds"] > CHECK_SECONDS


def test_ingress_forwards_only_public_paths() -> None:
    (rule,) = one("Ingress")["spec"]["rules"]
    paths = rule["http"]["paths"]

    assert {path["path"] for path in paths} == served_paths() - {"/healthz", "/readyz", "/metrics"}
    assert {path["pathType"] for path in paths} == {"Exact"}
    assert {path["backend"]["service"]["name"] for path in paths} == {one("Service")["metadata"]["name"]}
    assert one("Ingress")["spec"]["tls"][0]["hosts"] == [rule["host"]]


def test_all_objects_use_the_same_port(container: dict[str, Any]) -> None:
    (port,) = container["ports"]
    number = port["containerPort"]
    (service_port,) = one("Service")["spec"]["ports"]
    (ingress,) = one("NetworkPolicy")["spec"]["ingress"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    annotations = one("Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert str(number) == dockerfile("EXPOSE") == environment["PORT"] == annotations["prometheus.io/port"]
    assert ingress["ports"] == [{"port": number, "protocol": "TCP"}]
    assert service_port["targetPort"] == port["name"]


def test_pod_runs_without_privileges(pod: dict[str, Any], container: dict[str, Any]) -> None:
    uid, gid = map(int, dockerfile("USER").split(":"))

    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": gid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is one("ServiceAccount")["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == one("ServiceAccount")["metadata"]["name"]
    assert not {"volumes", "hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    assert one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_network_policy_allows_only_dns_https_and_postgresql() -> None:
    policy = one("NetworkPolicy")["spec"]
    dns, https, database = policy["egress"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [(entry["port"], entry["protocol"]) for entry in dns["ports"]] == [(53, "UDP"), (53, "TCP")]
    assert [entry["port"] for entry in https["ports"]] == [443]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(https["to"][0]["ipBlock"]["except"])
    assert [entry["port"] for entry in database["ports"]] == [5432]


def test_rolling_update_keeps_every_replica_available(deployment: dict[str, Any]) -> None:
    assert deployment["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }
    assert deployment["replicas"] - one("PodDisruptionBudget")["spec"]["maxUnavailable"] >= 1


def test_termination_grace_period_covers_the_drain(pod: dict[str, Any], container: dict[str, Any]) -> None:
    announced = container["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pod["terminationGracePeriodSeconds"] >= announced + max_stop_seconds()


def test_memory_is_limited_and_cpu_is_not(container: dict[str, Any]) -> None:
    """Slack waits only three seconds for an acknowledgement."""
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert set(container["resources"]["limits"]) == {"memory"}
    assert int(container["resources"]["limits"]["memory"].removesuffix("Mi")) >= max_memory_megabytes()
