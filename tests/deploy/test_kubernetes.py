"""Tests the manifests, rendered by kustomize as an operator would: each document against the schema of its kind."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dramatiq import Worker, actor

from shared.mail.answers.bounds import LARGEST_BYTES
from shared.model.jobs import QUEUES
from shared.runtime.broker import make_broker
from shared.runtime.config import SETTINGS
from shared.sign_in.reach import reach_of
from tests.servers.process import await_ready
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ("small", "production")
VERSION = "1.32"
#: Script of KEDA's scaler (pkg/scalers/redis_scaler.go); it picks the command by the type of the key.
KEDA_SCRIPT = """
local listName = KEYS[1]
local listType = redis.call('type', listName).ok
local cmd = {zset = 'zcard', set = 'scard', list = 'llen', hash = 'hlen'}
if cmd[listType] then return redis.call(cmd[listType], listName) else return 0 end
"""
#: Required fields of kinds that Kubernetes itself does not know.
CUSTOM = {
    "ScaledObject": ("scaleTargetRef", "triggers"),
    "TriggerAuthentication": ("secretTargetRef",),
    "ServiceMonitor": ("selector", "endpoints"),
}

Rendered = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Rendered]:
    """Returns a function that renders an overlay, with secrets made as its first lines say."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl (tests/install-servers)")
    tree = tmp_path_factory.mktemp("deploy") / "deploy"
    shutil.copytree(ROOT / "deploy", tree, ignore=shutil.ignore_patterns("secrets"))
    cache: dict[str, Rendered] = {}

    def rendered(overlay: str) -> Rendered:
        if overlay not in cache:
            folder = tree / "kubernetes" / "overlays" / overlay
            subprocess.run(
                [sys.executable, tree / "make_secrets.py", folder / "secrets", "--keda"],
                check=True,
                capture_output=True,
            )
            done = subprocess.run([kubectl, "kustomize", str(folder)], text=True, capture_output=True)
            assert done.returncode == 0, done.stderr
            documents = [document for document in yaml.safe_load_all(done.stdout) if document]
            cache[overlay] = {(d["kind"], re.sub(r"-[a-z0-9]{10}$", "", d["metadata"]["name"])): d for d in documents}
            assert len(cache[overlay]) == len(documents)
        return cache[overlay]

    return rendered


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_document_fits_the_schema_of_its_kind(render: Callable[[str], Rendered], overlay: str) -> None:
    for (kind, name), document in render(overlay).items():
        if kind in CUSTOM:
            assert set(CUSTOM[kind]) <= set(document["spec"]), name
        else:
            kubernetes_validate.validate(document, VERSION, strict=True)


def test_a_field_that_does_not_exist_is_found_out(render: Callable[[str], Rendered]) -> None:
    """The negative control: a field that does not exist is an error."""
    document = yaml.safe_load(yaml.safe_dump(render("small")["Deployment", "worker"]))
    document["spec"]["template"]["spec"]["containers"][0]["redinessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_hardened_probed_and_limited(render: Callable[[str], Rendered], overlay: str) -> None:
    pods = [document for (kind, _), document in render(overlay).items() if kind in ("Deployment", "StatefulSet")]
    assert pods
    for document in pods:
        pod = document["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_worker_has_room_on_disk_for_a_large_message_a_thread(
    render: Callable[[str], Rendered], overlay: str
) -> None:
    # In memory, an ordinary message of 200 MB would exceed the limit.
    pod = render(overlay)["Deployment", "worker"]["spec"]["template"]["spec"]
    (room,) = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "tmp"]
    threads = next(int(one["value"]) for one in pod["containers"][0]["env"] if one["name"] == "MAILHAUL_WORKER_THREADS")
    assert "medium" not in room
    assert int(room["sizeLimit"].removesuffix("Gi")) << 30 >= threads * LARGEST_BYTES


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_page_has_room_on_disk_for_large_messages(render: Callable[[str], Rendered], overlay: str) -> None:
    pod = render(overlay)["Deployment", "web"]["spec"]["template"]["spec"]
    (room,) = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "tmp"]
    assert "medium" not in room
    assert int(room["sizeLimit"].removesuffix("Gi")) << 30 >= 2 * LARGEST_BYTES


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_come_as_files_and_each_role_gets_its_own(render: Callable[[str], Rendered], overlay: str) -> None:
    rendered = render(overlay)
    roles = {
        "worker": ("worker", {"redis-url", "secret-key"}),
        "coordinator": ("coordinator", {"redis-url", "secret-key"}),
        "web": ("producer", {"redis-url", "secret-key", "web-token"}),
    }
    for role, (whose, files) in roles.items():
        secret = rendered["Secret", f"mailhaul-{whose}"]
        assert set(secret["data"]) == files
        pod = rendered["Deployment", role]["spec"]["template"]["spec"]
        mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        assert mounted == {secret["metadata"]["name"]}
        for variable in pod["containers"][0]["env"]:
            assert "value" in variable, "nothing secret in the environment"
            if variable["name"].endswith("_FILE"):
                assert variable["value"].removeprefix("/secrets/") in files


def test_what_may_be_reached(render: Callable[[str], Rendered]) -> None:
    policies = {name: doc["spec"] for (kind, name), doc in render("small").items() if kind == "NetworkPolicy"}
    assert "egress" not in policies["mailhaul-nothing"]
    assert "ingress" not in policies["mailhaul-nothing"]
    worker = {"app.kubernetes.io/component": "worker", "app.kubernetes.io/part-of": "mailhaul"}
    (anywhere,) = policies["worker-mail"]["egress"]
    assert {port["port"] for port in anywhere["ports"]} == {143, 993, 110, 995}
    assert policies["worker-mail"]["podSelector"]["matchLabels"].items() <= worker.items()
    everywhere = [name for name, spec in policies.items() for rule in spec.get("egress", ()) if "ipBlock" in str(rule)]
    assert sorted(everywhere) == ["coordinator-cutovers", "web", "worker-mail"]
    reached = {port["port"] for port in policies["coordinator-cutovers"]["egress"][0]["ports"]}
    assert reached == {143, 993, 110, 995, 443, 53}
    # The page looks at mail servers, and sends notices.
    sent_at = reach_of("", SETTINGS["notify_ports"].default).ports
    assert {465, 587, 443} <= sent_at
    assert {port["port"] for port in policies["web"]["egress"][0]["ports"]} == {143, 993, 110, 995, 443} | sent_at
    for name in everywhere:
        blocks = [one["ipBlock"] for one in policies[name]["egress"][0]["to"]]
        refused = [ipaddress.ip_network(one) for block in blocks for one in block["except"]]
        for metadata in ("169.254.169.254", "fe80::a9fe:a9fe", "fd00:ec2::254"):
            assert any(ipaddress.ip_address(metadata) in network for network in refused), (name, metadata)
    (entrance,) = policies["web"]["ingress"]
    assert entrance["ports"] == [{"protocol": "TCP", "port": 9480}]
    assert entrance["from"] == [{"namespaceSelector": {"matchLabels": {"mailhaul.dev/enters": "true"}}}]


def test_selectors_find_their_pods(render: Callable[[str], Rendered]) -> None:
    for overlay in OVERLAYS:
        rendered = render(overlay)
        pods = [
            d["spec"]["template"]["metadata"]["labels"]
            for (kind, _), d in rendered.items()
            if kind in ("Deployment", "StatefulSet")
        ]
        services = [d["metadata"]["labels"] for (kind, _), d in rendered.items() if kind == "Service"]
        for (kind, name), document in rendered.items():
            spec = document.get("spec", {})
            if kind in ("PodDisruptionBudget", "NetworkPolicy"):
                wanted = (spec.get("selector") or spec["podSelector"])["matchLabels"]
                assert any(wanted.items() <= labels.items() for labels in pods), name
            elif kind == "Service":
                assert any(spec["selector"].items() <= labels.items() for labels in pods), name
            elif kind == "ServiceMonitor":
                assert any(spec["selector"]["matchLabels"].items() <= labels.items() for labels in services), name


def test_the_configuration_of_redis_is_the_one_of_compose() -> None:
    """Compares the two copies of the file: kustomize reads nothing outside its folder."""
    small = ROOT / "deploy" / "kubernetes" / "overlays" / "small" / "redis.conf"
    assert small.read_text() == (ROOT / "deploy" / "redis" / "redis.conf").read_text()


def test_the_drain_is_given_its_time(render: Callable[[str], Rendered]) -> None:
    from worker.__main__ import DRAIN_SECONDS

    pod = render("small")["Deployment", "worker"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 4 * DRAIN_SECONDS


def test_keda_counts_what_is_waiting_and_what_is_being_done(
    render: Callable[[str], Rendered], redis_server: RedisServer
) -> None:
    """Counts jobs that workers hold too.

    The negative control is the key that looks right: it reads 0 meanwhile.
    """
    import threading

    triggers = render("production")["ScaledObject", "worker"]["spec"]["triggers"]
    names = {trigger["metadata"]["listName"] for trigger in triggers}
    assert names == {f"mailhaul:{queue}.msgs" for queue in QUEUES}
    assert {trigger["metadata"]["databaseIndex"] for trigger in triggers} == {"0"}

    broker = make_broker(redis_server.url(0))
    begun, go_on = threading.Semaphore(0), threading.Event()

    @actor(queue_name="copy", actor_name="copy", broker=broker)
    def hold() -> None:
        begun.release()
        go_on.wait(180)

    with redis_server.client(0) as client:
        ask = client.register_script(KEDA_SCRIPT)
        for _ in range(5):
            hold.send()
        assert ask(keys=["mailhaul:copy.msgs"]) == 5
        worker = Worker(broker, worker_threads=5, worker_timeout=50)
        worker.start()
        try:
            for _ in range(5):
                assert begun.acquire(timeout=180)
            assert ask(keys=["mailhaul:copy.msgs"]) == 5, "all are in flight, and all count"
            assert ask(keys=["mailhaul:copy"]) == 0, "by this key the workers would be removed"
        finally:
            go_on.set()
            await_ready(lambda: ask(keys=["mailhaul:copy.msgs"]) == 0, 180, "the end of all jobs")
            worker.stop()
