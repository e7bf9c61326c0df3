"""Tests an untrusted certificate: the import says what option to give, and the same command with it goes on."""

from __future__ import annotations

import json
import re
import shlex

from tests.acceptance.conftest import AdminEnvironment
from tests.servers.certificate import fingerprint


def test_the_same_command_with_the_advised_option_goes_on(admin_env: AdminEnvironment) -> None:
    boxes = admin_env.accounts("trusting@example.org")
    source, destination = boxes["trusting@example.org"]
    source.fill({"INBOX": 5})
    ends = [
        "--source",
        f"imaps://127.0.0.1:{admin_env.source.tls_port}",
        "--destination",
        f"imap+starttls://127.0.0.1:{admin_env.destination.port}",
    ]
    ca = admin_env.home / "ca.pem"
    ca.write_bytes(admin_env.source.certificate)
    command = ["import", str(admin_env.manifest({"trusting@example.org": source.password})), *ends, "--json"]
    first = admin_env.run(*command, "--source-ca", str(ca), code=3)
    (group,) = json.loads(first.out)["errors"]
    assert group["code"] == "destination_tls"
    assert "is self-signed" in group["sentence"]
    pin = fingerprint(admin_env.destination.certificate)
    found = re.search(r"--destination-fingerprint \w+", group["advice"])
    assert found
    assert found[0].endswith(pin)
    assert group["advice"].endswith("then run the import command again")
    assert group["advice"].count("fingerprint") == 1, "said once"
    again = admin_env.run(*command, "--source-ca", str(ca), *shlex.split(found[0]))
    assert json.loads(again.out)["import"]["copied"] == 5
    assert destination.seen() == source.seen()
