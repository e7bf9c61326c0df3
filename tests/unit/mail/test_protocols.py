"""Tests that a protocol of sources is one file that registers itself: here one that is no part of mailhaul."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from producer.cutover.copy_back import no_way_back
from producer.intake.endpoints import parse_endpoint
from producer.intake.fitting import unfit
from producer.intake.providers import catalogue
from producer.web.pages.form import End
from shared.content.maildrop import Identities, SessionIdentities
from shared.mail import MailSource
from shared.mail.auth.sasl import Proof
from shared.mail.transport.tls import Door
from shared.mail.ways import Ways
from shared.model import Account, Endpoint, Mailbox, Tls, protocols
from shared.model.errors import UsageError, WrongProtocol
from shared.model.protocols import MailProtocol, protocol_of
from shared.runtime.secret import Secret
from shared.testing.memory_mail import MemoryServer
from shared.testing.memory_sessions import MemorySource

SERVER = MemoryServer()


def open_here(ways: Ways, endpoint: Endpoint, proof: Proof, identities: Identities) -> MailSource:
    """Opens a session of the protocol, as its adapter does."""
    assert (endpoint.host, endpoint.port, ways.connect_timeout_seconds) == ("old.example", 4993, 5)
    return SERVER.source(proof.login)


@pytest.fixture(autouse=True)
def _slate() -> Iterator[None]:
    protocols.register(
        MailProtocol(
            name="slate",
            title="SLATE",
            port=4143,
            tls_port=4993,
            first_bytes=b"SLATE",
            greeting=b"SLATE READY",
            ask_tls=b"SECURE\r\n",
            tls_granted=b"YES",
            ask_capabilities=b"WHAT\r\n",
            read_capabilities=lambda lines: [],
            adapter=f"{__name__}:open_here",
            takes_mail=False,
            has_flags=False,
            common_numbers=False,
            one_session=True,
        )
    )
    yield
    del protocols._PROTOCOLS["slate"]


def test_its_urls_are_read_and_its_sessions_opened() -> None:
    end = parse_endpoint("slates://old.example", side="source")
    assert (end.protocol, end.port, end.tls) == ("slate", 4993, Tls.IMPLICIT)
    assert protocol_of(end).title == "SLATE"
    ways = Ways(connect_timeout_seconds=5, command_timeout_seconds=5)
    source = ways.source(end, Proof(login="anna", secret=Secret("x")), SessionIdentities())
    assert isinstance(source, MemorySource)


def test_what_it_cannot_do_is_refused() -> None:
    end = parse_endpoint("slate+starttls://old.example", side="source")
    with pytest.raises(UsageError, match="mail cannot be put into a SLATE server"):
        parse_endpoint("slates://new.example", side="destination")
    assert [fault.fields for fault in unfit([end], unseen=True, flagged=False)] == [("unseen",)]
    new = parse_endpoint("imaps://new.example", side="destination")
    assert catalogue().usual_limits([end], new, {})[f"source_account:{end.url}"] == 1
    mailbox = Mailbox(
        mailbox_id="m",
        import_id="i",
        row=1,
        source=Account(endpoint=end, login="anna"),
        destination=Account(endpoint=new, login="anna"),
    )
    assert "its source speaks SLATE" in no_way_back(mailbox)


def test_hints_and_the_form_name_it() -> None:
    with pytest.raises(UsageError, match="slates://, slate\\+starttls://, slate://"):
        parse_endpoint("nonsense", side="source")
    assert End(protocol="slate", tls="tls", host="old.example").url("source") == "slates://old.example"
    door = Door(side="source", host="old.example", port=993, tls="tls", timeout_seconds=5)
    with pytest.raises(WrongProtocol, match="speaks SLATE, not IMAP"):
        door.check_greeting(b"SLATE READY\r\n")
    with pytest.raises(UsageError, match="glass:// is not known"):  # the control: what nobody registered
        parse_endpoint("glass://old.example", side="source")
