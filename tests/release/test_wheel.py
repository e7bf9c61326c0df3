"""The wheel and the sdist: built, installed into an empty environment from the lock, and used away from the checkout."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests import mail
from tests.release.checkout import copy_of_the_checkout
from tests.release.index import locked_files, without_pip_settings
from tests.release.lock import ROOT
from tests.servers.dovecot import available
from tests.servers.process import await_ready, free_port

pytestmark = pytest.mark.slow

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
_LOCK = ROOT / "requirements.lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """An environment that holds the lock and the wheel, and a folder to work in."""

    #: The environment's folder of commands.
    commands: Path
    #: The folder in which commands run; it holds nothing of the checkout.
    home: Path

    def start(self, *arguments: str | Path, **variables: str) -> subprocess.Popen[str]:
        """Starts `mailhaul` with these arguments."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAILHAUL_", "PYTHON"))}
        environment = kept | {
            "MAILHAUL_STATE_DIR": str(self.home / "state"),
            "MAILHAUL_COORDINATOR_PORT": "0",
            **variables,
        }
        return subprocess.Popen(
            [self.commands / "mailhaul", *map(str, arguments)],
            cwd=self.home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path) -> str:
        """Runs the command to its end, which must be a good one, and returns what it printed."""
        process = self.start(*arguments)
        out, said = process.communicate(timeout=120)
        assert process.returncode == 0, out + said
        return out + said


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the sdist, made from a copy of the checkout, and the wheel, made from the sdist."""
    dist = tmp_path_factory.mktemp("dist")
    checkout = copy_of_the_checkout(tmp_path_factory.mktemp("checkout"))
    build = [Path(sys.executable).parent / "hatchling", "build"]
    subprocess.run([*build, "-t", "sdist", "-d", dist], cwd=checkout, check=True, capture_output=True)
    with tarfile.open(dist / f"mailhaul-{VERSION}.tar.gz") as sdist:
        sdist.extractall(dist, filter="data")
    subprocess.run(
        [*build, "-t", "wheel", "-d", dist], cwd=dist / f"mailhaul-{VERSION}", check=True, capture_output=True
    )
    return dist


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Yields the wheel in an environment of its own."""
    place = tmp_path_factory.mktemp("environment")
    base = Path(sys.base_prefix) / "bin" / "python3"
    subprocess.run([base, "-m", "venv", place], check=True)
    pip = [place / "bin" / "python", "-m", "pip"]
    install = [*pip, "install", "-q", "--no-index", "--no-deps"]
    files = locked_files(base, _LOCK)
    for what in (
        ["--require-hashes", "--find-links", files, "-r", _LOCK],
        [built / f"mailhaul-{VERSION}-py3-none-any.whl"],
    ):
        subprocess.run([*install, *what], check=True, env=without_pip_settings())
    subprocess.run([*pip, "check"], check=True, env=without_pip_settings(), capture_output=True)
    with tempfile.TemporaryDirectory(prefix="away-", ignore_cleanup_errors=True) as home:  # short: a socket lies in it
        yield Installed(commands=place / "bin", home=Path(home))


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(built: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "producer", "shared", "worker"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    expected = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    with zipfile.ZipFile(built / f"mailhaul-{VERSION}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert {Path(name).suffix for name in expected} >= {".py", ".lua", ".html", ".css", ".js", ".svg", ".po", ".toml"}


def test_everything_that_names_a_version_names_that_of_pyproject() -> None:
    changelog = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    image = re.search(r"^ARG VERSION=(\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    production = (ROOT / "deploy/kubernetes/overlays/production/kustomization.yaml").read_text("utf-8")
    cluster = re.search(r"newTag: ([^}\s]+)", production)
    assert [found and found[1] for found in (changelog, image, cluster)] == [VERSION] * 3


def test_the_installed_command_knows_its_version(installed: Installed) -> None:
    assert installed.run("--version") == f"mailhaul {VERSION}\n"


def test_the_installed_demo_imports_three_mailboxes(installed: Installed) -> None:
    assert "3 complete" in installed.run("demo")


@pytest.mark.skipif(not available(), reason="needs dovecot")
def test_the_installed_command_imports_between_two_servers(installed: Installed) -> None:
    from tests.servers.dovecot import Dovecot

    with Dovecot() as source, Dovecot() as destination:
        for server in (source, destination):
            server.add_user("anna", "pw-anna")
        mail.populate(source.host, source.port, "anna", "pw-anna", mail.make_mailbox(1, {"INBOX": 30, "Work": 5}, 800))
        (installed.home / "people.csv").write_text("anna,pw-anna\n")
        ends = [f"imap://127.0.0.1:{server.port}" for server in (source, destination)]
        installed.run("import", "people.csv", "--source", ends[0], "--destination", ends[1])
        seen = [mail.snapshot(server.host, server.port, "anna", "pw-anna") for server in (source, destination)]
        assert seen[0] == seen[1]
        assert sum(seen[0].values()) == 35


def test_the_installed_page_is_served_in_both_languages_with_its_files(installed: Installed) -> None:
    port = free_port()
    up = installed.start("up", "--threads", "2", MAILHAUL_WEB_PORT=str(port))
    try:
        base = f"http://127.0.0.1:{port}"
        await_ready(lambda: _answers(f"{base}/readyz"), 60, "the page")
        english = httpx2.get(f"{base}/sign-in", headers={"Accept-Language": "en"}, timeout=180).text
        russian = httpx2.get(f"{base}/sign-in", headers={"Accept-Language": "ru"}, timeout=180).text
        assert "<html" in english
        assert any("а" <= letter <= "я" for letter in russian.lower())
        for name in ("page.css", "icon-usual.svg", "htmx-4.0.1.min.js"):
            assert _answers(f"{base}/static/{name}"), name
    finally:
        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=60)
    assert up.returncode == 0


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.HTTPError:
        return False
