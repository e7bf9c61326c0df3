"""Builds the image and runs docker-compose.yml for real, on a machine without a Docker engine: `make test-containers`.

Podman runs it, on stand-ins for the base images that are made from Debian's packages (there is no registry of images to
pull from). It needs root and Debian, and installs what is missing. At the end it reports what it did not run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".tools" / "containers"
#: Debian packages of each base image's stand-in, by the image's name in the files.
STAND_INS = {
    "docker.io/library/python:3.11-slim": "python3,python3-venv,python3-pip,ca-certificates",
    "docker.io/library/redis:8.2-bookworm": "redis-server",
    "docker.io/prom/prometheus:v3.5.0": "prometheus",
    "docker.io/dovecot/dovecot:2.3.21": "dovecot-imapd",
}
NOT_RUN = (
    "Grafana: Debian has no package of it, so its service was left out; tests/deploy/test_dashboards.py checks its files",
    "the real base images: nothing can be pulled here; Debian's Python 3.11, Redis 7.0, Prometheus 2.42, Dovecot 2.3 stood in",
    "`restart: unless-stopped`: there is no daemon to do it, so the test starts again what it has killed",
    "cgroup limits: no systemd here",
)
#: podman-compose and its requirements, in tested versions; nothing is resolved.
_PODMAN_COMPOSE = ("podman-compose==1.6.0", "python-dotenv==1.2.4", "pyyaml==6.0.3")
_PACKAGES = ("podman", "debootstrap", "crun", "netavark", "aardvark-dns", "catatonit")
_INSIDE = "MAILHAUL_TEST_INSIDE"
_PORT = "19090"
_PAGE_PORT = "19480"
#: Folder in which Podman keeps the names that its name server answers; it cannot be chosen.
_NAMES = Path("/run/containers/networks/aardvark-dns")


class Engine:
    """A Podman with a store of its own under `.tools`."""

    def __init__(self) -> None:
        (HOME / "run").mkdir(parents=True, exist_ok=True)
        (HOME / "storage.conf").write_text(f'[storage]\ndriver="vfs"\ngraphroot="{HOME}/graph"\nrunroot="{HOME}/run"\n')
        (HOME / "containers.conf").write_text(
            '[containers]\ndefault_ulimits=["nofile=1024:4096","nproc=1024:4096"]\ncgroups="disabled"\n'
            'cgroupns="host"\n[engine]\nruntime="crun"\ncgroup_manager="cgroupfs"\nevents_logger="file"\n'
            '[network]\nnetwork_backend="netavark"\n'
        )
        self.env = os.environ | {
            "CONTAINERS_STORAGE_CONF": str(HOME / "storage.conf"),
            "CONTAINERS_CONF": str(HOME / "containers.conf"),
            "MAILHAUL_PROMETHEUS_PORT": _PORT,
            "MAILHAUL_WEB_PORT": _PAGE_PORT,
            "MAILHAUL_ACCOUNTS": str(HOME / "accounts"),
        }
        (HOME / "accounts").mkdir(exist_ok=True)
        self._compose = HOME / "venv" / "bin" / "podman-compose"
        self._stop = threading.Event()

    def podman(self, *arguments: str, check: bool = True, quiet: bool = True) -> str:
        """Runs podman. Returns its standard output."""
        done = subprocess.run(
            ["podman", *arguments],
            env=self.env,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet else None,
        )
        if check and done.returncode:
            raise SystemExit(
                f"podman {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Runs `docker compose …`. Returns its output."""
        done = subprocess.run(
            [str(self._compose), *arguments],
            env=self.env,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if check and done.returncode:
            raise SystemExit(f"podman-compose {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def names(self, service: str, *, all_of_them: bool = False) -> list[str]:
        """Returns the containers of a service."""
        found = self.podman(
            "ps",
            *(["-a"] if all_of_them else []),
            "--filter",
            f"label=com.docker.compose.service={service}",
            "--format",
            "{{.Names}}",
        )
        return sorted(found.split())

    def logs(self, container: str, lines: int = 20) -> str:
        """Returns the last lines that the container printed on both streams."""
        done = subprocess.run(
            ["podman", "logs", "--tail", str(lines), container],
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.stdout

    def healthy(self, service: str) -> bool:
        """Tells whether the service has containers and each passes the health check of its image or service."""
        names = self.names(service)
        return bool(names) and all(
            subprocess.run(["podman", "healthcheck", "run", name], env=self.env, capture_output=True).returncode == 0
            for name in names
        )

    def crash(self, container: str) -> None:
        """Kills a container from outside and starts it again, as an engine with `restart: unless-stopped` does."""
        pid = self._state(container)["Pid"]
        os.kill(pid, signal.SIGKILL)
        # This does not use `podman wait`: if podman has restarted the container already, that waits for its next end.
        while (state := self._state(container))["Pid"] == pid:
            time.sleep(0.1)
        if not state["Running"]:
            self.podman("start", container)

    def _state(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.podman("inspect", container))[0]["State"]
        return found

    def check_health(self) -> None:
        """Runs the health checks, as an engine would. Without systemd's timers Podman does not run them itself."""

        def loop() -> None:
            while not self._stop.wait(2):
                for name in self.podman("ps", "--format", "{{.Names}}", check=False).split():
                    subprocess.run(["podman", "healthcheck", "run", name], env=self.env, capture_output=True)

        threading.Thread(target=loop, daemon=True).start()

    def end(self) -> None:
        """Stops and removes everything but the cache of stand-ins."""
        self._stop.set()
        self.clear()

    def clear(self) -> None:
        """Removes every container, volume and network. No other program uses this store."""
        for command in (
            ("pod", "rm", "-f", "-a"),
            ("rm", "-f", "-a", "-t", "2"),
            ("volume", "rm", "-a", "-f"),
            ("network", "prune", "-f"),
            ("image", "prune", "-f"),
        ):
            self.podman(*command, check=False)
        # The name server of removed networks would go on answering for new ones.
        pid = _NAMES / "aardvark.pid"
        if pid.exists():
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(pid.read_text()), signal.SIGTERM)
            shutil.rmtree(_NAMES, ignore_errors=True)


def until(what: str, check: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits until `check` holds; ends the run when it does not."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not check():
        if time.monotonic() > deadline:
            raise SystemExit(f"FAILED: {what} within {seconds:.0f} s")
        pause.wait(0.5)
    say(f"ok    {what}")


def claim(what: str, fact: object) -> None:
    """Ends the run when the fact does not hold."""
    if not fact:
        raise SystemExit(f"FAILED: {what}")
    say(f"ok    {what}")


def say(sentence: str) -> None:
    """Prints a sentence at once."""
    print(sentence, flush=True)


def prepare() -> None:
    """Installs packages and podman-compose and makes stand-ins; keeps what exists."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit(
            "make test-containers needs root on Debian: it makes stand-ins for the base images from its packages"
        )
    missing = [name for name in _PACKAGES if subprocess.run(["dpkg", "-s", name], capture_output=True).returncode]
    if missing:
        say(f"installing {' '.join(missing)} …")
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=env)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            check=True,
            env=env,
            stdout=subprocess.DEVNULL,
        )
    HOME.mkdir(parents=True, exist_ok=True)
    if not (HOME / "venv" / "bin" / "podman-compose").exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME / "venv")], check=True)
        subprocess.run([str(HOME / "venv/bin/pip"), "install", "-q", "--no-deps", *_PODMAN_COMPOSE], check=True)


def stand_in(engine: Engine, name: str, packages: str) -> None:
    """Makes a base image under the name that the files use."""
    if name in engine.podman("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        return
    say(f"making a stand-in for {name} …")
    root = HOME / "roots" / packages.partition(",")[0]
    if not (root / "etc/debian_version").exists():
        root.parent.mkdir(exist_ok=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    if "python3" in packages:
        (root / "usr/local/bin").mkdir(exist_ok=True)
        for link in ("usr/local/bin/python", "usr/local/bin/python3"):
            (root / link).unlink(missing_ok=True)
            (root / link).symlink_to("/usr/bin/python3")
    if "redis" in packages:  # as in the official image
        (root / "data").mkdir(exist_ok=True)
        os.chown(root / "data", 999, 999)
    if "prometheus" in packages:
        (root / "prometheus").mkdir(exist_ok=True)
        os.chown(root / "prometheus", 65534, 65534)
    tar = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
    subprocess.run(
        ["podman", "import", "-q", "-", name], env=engine.env, stdin=tar.stdout, check=True, stdout=subprocess.DEVNULL
    )
    if tar.wait():
        raise SystemExit(f"could not pack {root}")


def build(engine: Engine) -> None:
    """Builds the image and checks its labels and layers."""
    say("building the image …")
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    engine.podman(
        # Without layers, since the store keeps a whole copy of the image for each.
        "build",
        "--layers=false",
        "--network",
        "host",
        "--isolation",
        "chroot",
        "--format",
        "docker",
        "-v",
        f"{bundle}:{bundle}:ro",
        "-t",
        "localhost/mailhaul:latest",
        ".",
    )
    facts = json.loads(engine.podman("inspect", "--type", "image", "localhost/mailhaul:latest"))[0]
    claim("the image runs as user 10001, never root", facts["Config"]["User"] == "10001:10001")
    claim("its entry point is in exec form", facts["Config"]["Entrypoint"] == ["mailhaul"])
    claim("it has OCI labels", "org.opencontainers.image.version" in facts["Config"]["Labels"])
    claim("it has a health check", any("healthcheck" in name.lower() for name in (*facts, *facts["Config"])))
    claim(
        "its environment holds no secret", not any("PASS" in line or "KEY" in line for line in facts["Config"]["Env"])
    )
    left = engine.podman(
        "run",
        "--rm",
        "--network",
        "none",
        "--entrypoint",
        "sh",
        "localhost/mailhaul:latest",
        "-c",
        "ls -A /opt/mailhaul/app; ls /opt/mailhaul/lib/python3.11/site-packages | grep -iE '^(pip|pytest|mypy|ruff)$'; id -u",
    ).split()
    left.remove(version := next(name for name in left if name.startswith("mailhaul-")))
    claim("it holds the three packages and no tool to build or test", left == ["producer", "shared", "worker", "10001"])
    said = engine.podman("run", "--rm", "--network", "none", "--read-only", "localhost/mailhaul:latest", "--version")
    claim(f"it says its version: {said.strip()}", version.removeprefix("mailhaul-").removesuffix(".dist-info") in said)
    claim("and wears it as its label", facts["Config"]["Labels"]["org.opencontainers.image.version"] in version)


def main() -> int:
    """Runs the test. Returns the exit code."""
    if _INSIDE not in os.environ:
        prepare()
        # Podman refuses cgroups in hybrid mode, so a mount namespace of its own hides them.
        hide = "umount /sys/fs/cgroup/unified 2>/dev/null; exec "
        command = f"{hide} {sys.executable} -m tests.deploy.containers"
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", command], cwd=ROOT, env=os.environ | {_INSIDE: "1"}
        ).returncode
    from tests.deploy.containers_story import story

    engine = Engine()
    for name, packages in STAND_INS.items():
        stand_in(engine, name, packages)
    named = {
        service["image"] for service in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    }
    for name in STAND_INS:
        claim(f"{name} is what the files name", "python" in name or any(name in image for image in named))
    build(engine)
    began = time.monotonic()
    engine.clear()
    try:
        story(engine)
    except SystemExit:
        for container in engine.podman("ps", "-a", "--format", "{{.Names}}", check=False).split():
            say(f"--- {container}\n{engine.logs(container)}")
        raise
    finally:
        engine.end()
    say(f"the stack was run for {time.monotonic() - began:.0f} s. Not run here:")
    for reason in NOT_RUN:
        say(f"  - {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
