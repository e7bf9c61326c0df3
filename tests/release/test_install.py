"""The installation from the locks on a day when the index offers newer versions of everything.

The tests also install when something is missing.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.release.checkout import copy_of_the_checkout, prepare
from tests.release.index import OLDEST_PIP, index_with_newer_versions, locked_files, without_pip_settings
from tests.release.lock import LOCKS, ROOT, read_lock

pytestmark = pytest.mark.slow

PYTHON = Path(sys.base_prefix) / "bin" / "python3"
_NO_NETWORK = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}


def _install_line(path: Path) -> list[str]:
    """Returns the arguments with which a file tells `pip install` to install a lock, without the name of the lock."""
    text = path.read_text("utf-8").replace("\\\n", " ")
    found = re.search(r"\binstall (--[^\n]*?) -r \S*requirements\.lock", text)
    assert found
    return shlex.split(found[1])


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the python of an environment with the oldest supported pip and nothing else."""
    place = tmp_path_factory.mktemp("oldest")
    subprocess.run([PYTHON, "-m", "venv", place], check=True)
    pip = locked_files(PYTHON, ROOT / "requirements.lock") / f"pip-{OLDEST_PIP}-py3-none-any.whl"
    subprocess.run([place / "bin/python", "-m", "pip", "install", "-q", "--no-index", pip], check=True)
    return place / "bin" / "python"


def _install(
    python: Path, options: list[str], lock: Path, folder: Path, target: Path
) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "pip", "install", *options, "--target", target, "-r", lock]
    return subprocess.run(command, env=index_with_newer_versions(PYTHON, lock, folder), capture_output=True, text=True)


@pytest.mark.parametrize(
    ("lock", "by"), list(zip(LOCKS, (ROOT / "mailhaul", ROOT / "Dockerfile"), strict=True)), ids=["checkout", "image"]
)
def test_the_oldest_pip_installs_what_is_locked_though_the_index_offers_newer(
    lock: Path, by: Path, oldest: Path, tmp_path: Path
) -> None:
    done = _install(oldest, _install_line(by), lock, tmp_path / "newer", tmp_path / "target")
    assert done.returncode == 0, done.stderr
    installed = {path.name.rpartition(".")[0].lower() for path in (tmp_path / "target").glob("*.dist-info")}
    locked = read_lock(lock.read_text("utf-8"))
    assert f"pydantic-{locked['pydantic'].version}" in installed
    assert not any(name.endswith("-999.0") for name in installed)


def test_an_install_line_that_resolves_is_refused_by_such_an_index(oldest: Path, tmp_path: Path) -> None:
    options = [option for option in _install_line(ROOT / "mailhaul") if option != "--no-deps"]
    done = _install(oldest, options, ROOT / "requirements.lock", tmp_path / "newer", tmp_path / "target")
    assert done.returncode != 0
    assert "must have their versions pinned" in done.stderr


def test_a_fresh_checkout_prepares_itself_and_runs(tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path / "checkout")
    environment = index_with_newer_versions(PYTHON, checkout / "requirements.lock", tmp_path / "newer")
    done = prepare(checkout, environment)
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        [checkout / "mailhaul", "--version"], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("mailhaul ")
    # An environment that an interrupted pip left behind is not used further.
    (checkout / ".venv" / ".stamp").unlink()
    shutil.rmtree(next((checkout / ".venv").glob("lib/python*/site-packages/redis")))
    assert prepare(checkout, environment).returncode == 0
    subprocess.run(
        [checkout / "mailhaul", "status"], env=environment | {"MAILHAUL_STATE_DIR": str(tmp_path / "s")}, check=False
    )
    assert next((checkout / ".venv").glob("lib/python*/site-packages/redis")).is_dir()


def test_a_lock_that_is_not_whole_is_named_as_the_cause(tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path / "checkout")
    lock = checkout / "requirements.lock"
    # `pip check` does not follow extras; a package that only an extra names is held by test_lock.py.
    lock.write_text(re.sub(r"^anyio==.*?\n(?=\S)", "", lock.read_text(), flags=re.DOTALL | re.MULTILINE))
    environment = index_with_newer_versions(PYTHON, ROOT / "requirements.lock", tmp_path / "newer")
    done = prepare(checkout, environment)
    _fails(done, checkout, "requirements.lock is not whole")
    assert "requires anyio, which is not installed" in done.stderr


def _fails(done: subprocess.CompletedProcess[str], checkout: Path, sentence: str) -> None:
    """Asserts that the last line is the cause, that no warning of pip is shown, and that nothing half-made is left."""
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mailhaul: ")
    assert sentence in last, done.stderr
    assert "WARNING" not in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_of_the_checkout(tmp_path / "checkout")


def test_a_network_that_is_away_is_named(checkout: Path) -> None:
    environment = {key: value for key, value in without_pip_settings().items() if not key.lower().endswith("_proxy")}
    _fails(prepare(checkout, environment | _NO_NETWORK), checkout, "the Python package index cannot be reached")


def test_the_environment_of_before_stays_where_no_other_can_be_made(checkout: Path) -> None:
    """Tests a lock that changed on a machine without a network, and an attempt that was killed on its way."""
    environment = without_pip_settings() | _NO_NETWORK
    whole, before = checkout / ".venv" / ".stamp", checkout / ".tools" / "venv-before"
    whole.parent.mkdir()
    whole.write_text("of another lock")
    assert prepare(checkout, environment).returncode == 1
    assert whole.read_text() == "of another lock"
    before.parent.mkdir(exist_ok=True)
    whole.parent.rename(before)
    whole.parent.mkdir()
    assert prepare(checkout, environment).returncode == 1
    assert whole.read_text() == "of another lock"
    assert not before.exists()
    whole.unlink()  # the control: what never was whole goes
    assert prepare(checkout, environment).returncode == 1
    assert not whole.parent.exists()


def test_a_proxy_that_is_away_is_named_without_its_password(checkout: Path) -> None:
    url = "http://joe:canary-pw@127.0.0.1:9"
    done = prepare(checkout, without_pip_settings() | {"HTTPS_PROXY": url, "https_proxy": url, "PIP_RETRIES": "0"})
    _fails(done, checkout, "the proxy http://127.0.0.1:9 does not lead")
    assert "canary-pw" not in done.stderr


def test_an_index_with_another_file_is_named(checkout: Path, tmp_path: Path) -> None:
    lock = checkout / "requirements.lock"
    text = lock.read_text("utf-8")
    lock.write_text(re.sub(r"(redis==\S+ \\\n)((?: .*\n)+)", rf"\1    --hash=sha256:{'0' * 64}\n", text))
    environment = index_with_newer_versions(PYTHON, ROOT / "requirements.lock", tmp_path / "newer")
    _fails(prepare(checkout, environment), checkout, "the package index offers a file other than the one")


def test_an_index_without_a_file_for_this_machine_is_named(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    environment = without_pip_settings() | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "empty")}
    _fails(prepare(checkout, environment), checkout, "has no file of a locked version for this machine")


def test_a_python_without_venv_is_named(checkout: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "ensurepip.py").write_text("raise ImportError('as on Debian without python3-venv')")
    done = prepare(checkout, without_pip_settings() | {"PYTHONPATH": str(hidden)})
    _fails(done, checkout, "apt-get install python3-venv")


def test_a_machine_without_a_supported_python_is_told_which(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "env", "cat", "cksum", "dirname", "df", "awk", "id"):
        (tools / name).symlink_to(shutil.which(name) or "")
    (tools / "python3").write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.2' || exit 1\n")
    (tools / "python3").chmod(0o755)
    done = prepare(checkout, without_pip_settings() | {"PATH": str(tools)})
    _fails(done, checkout, "Python 3.11, 3.12, 3.13 or 3.14 is needed")
    assert "Python 3.9.2" in done.stderr


_needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0,
    reason="mounts a file system of its own, which takes root on Linux",
)


def _mounted(checkout: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Prepares with a mount over the checkout that no other process sees and that ends with the command."""
    return prepare(
        checkout,
        without_pip_settings() | _NO_NETWORK,
        around=("unshare", "-m", "sh", "-ec", f'{script}; exec "$@"', "sh"),
    )


@_needs_mounts
def test_a_full_disk_is_named_before_anything_is_fetched(checkout: Path, tmp_path: Path) -> None:
    script = f"cp -r {checkout} {tmp_path}/kept; mount -t tmpfs -o size=60m none {checkout}; cp -r {tmp_path}/kept/. {checkout}"
    _fails(_mounted(checkout, script), checkout, "the disk has too little room")


@_needs_mounts
def test_a_disk_that_fills_up_on_the_way_is_named(checkout: Path, tmp_path: Path) -> None:
    launcher = checkout / "mailhaul"
    launcher.write_text(launcher.read_text().replace("needed_mb=800", "needed_mb=1"))
    script = f"cp -r {checkout} {tmp_path}/kept; mount -t tmpfs -o size=30m none {checkout}; cp -r {tmp_path}/kept/. {checkout}"
    _fails(_mounted(checkout, script), checkout, "the disk is full")


@_needs_mounts
def test_a_read_only_checkout_is_named(checkout: Path) -> None:
    script = f"mount --bind {checkout} {checkout}; mount -o remount,ro,bind {checkout}"
    _fails(_mounted(checkout, script), checkout, "cannot be written to by root")
