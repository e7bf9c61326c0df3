"""Runs the commands that docs/operations.md gives, as they stand there, each on an import of its own.

The section Recovery is followed by `tests/deploy/test_redis_production.py`, to its end.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from producer.intake.manifest_row import Row
from producer.intake.preparing import prepare_import
from shared.model import Endpoint, Options, Tls
from shared.model.lifecycle import Control
from shared.runtime.credentials import Vault
from shared.runtime.secret import Secret
from shared.store.redis.redis_store import RedisStore, connect
from tests.deploy.deployed_processes import ROOT, DeployedProcesses
from tests.resources import GivenResources
from tests.servers import preloaded

_PAGE = (ROOT / "docs" / "operations.md").read_text()
_CODE = re.compile(r"`(mailhaul [^`]+)`|(?:^    |  )(mailhaul [a-z]+(?: \[IMPORT\])?)  ", re.MULTILINE)
#: The word of the page for an import, a person or a file → what it is here.
_MEANT = {"IMPORT": "office", "[IMPORT]": "office", "NAME": "office", "LOGIN": "anna@old.example", "DIR": "out"}
#: What may be refused, since the mailboxes of the import were cancelled → a word of the refusal.
_REFUSED = {"verify": "office", "cutover": "cutover", "credentials": ""}
#: Commands that ask first.
_ASKS = ("forget", "close", "erase")


def commands() -> list[str]:
    """Returns the whole commands of the page; `mailhaul credentials` and the like alone are the name of a command."""
    found = {" ".join((one or other).split()) for one, other in _CODE.findall(_PAGE)}
    return sorted(found - {"mailhaul credentials", "mailhaul forget", "mailhaul up", "mailhaul cutover switch"})


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedProcesses]:
    with DeployedProcesses(tmp_path_factory.mktemp("runbook")) as deployed:
        (deployed.home / "new.csv").write_text("login,password\nanna@old.example,new\n")
        yield deployed


def _opened(shipped: DeployedProcesses) -> None:
    place = Endpoint(host="127.0.0.1", port=9, tls=Tls.NONE)
    row = Row(line=1, login="anna@old.example", password=Secret("a"), new_login="anna", new_password=Secret("b"))
    store = RedisStore(connect(f"{shipped.url('producer')}/1"))
    vault = Vault([(shipped.home / "secrets/producer/secret-key").read_text().strip().encode()])
    import_, mailboxes = prepare_import([row], place, place, Options(), "office")
    GivenResources(store=store, vault=vault).operations.submit(import_, mailboxes, [row], hold=True)
    store.control(import_.import_id, None, Control.CANCEL)


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_runbook_is_one(shipped: DeployedProcesses, command: str) -> None:
    _opened(shipped)
    words = [_MEANT.get(word, word) for word in shlex.split(command)[1:]]
    if words[-2:] == ["--wave", "WAVE"]:
        words[-1] = ""
    done = preloaded.run(
        "producer", *words, *(["--yes"] if words[0] in _ASKS else []), env=shipped.env("producer"), cwd=shipped.home
    )
    said = done.stdout + done.stderr
    assert not re.search(r"No such (command|option)|Usage:|Missing |unexpected extra|Traceback", said), said
    if words[0] in _REFUSED:
        assert (done.returncode in (0, 2), _REFUSED[words[0]] in said) == (True, True), said
    else:
        assert done.returncode in (0, 3), said


def test_the_page_gives_commands_and_a_wrong_one_is_found(shipped: DeployedProcesses) -> None:
    """The control."""
    assert len(commands()) > 25
    for wrong in (("pasue",), ("retry", "office", "--copy-mising")):
        done = preloaded.run("producer", *wrong, env=shipped.env("producer"), cwd=shipped.home)
        assert done.returncode == 2
        assert re.search(r"No such (command|option)", done.stdout + done.stderr)
