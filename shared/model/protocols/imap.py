"""IMAP (RFC 9051), the protocol of sources and destinations."""

from __future__ import annotations

from collections.abc import Iterable

from shared.model.protocols import MailProtocol, register


def _capabilities(lines: Iterable[bytes]) -> list[str]:
    found: list[str] = []
    for line in lines:
        text = line.strip().decode("ascii", "replace")
        if text.upper().startswith("* CAPABILITY "):
            found += text.split()[2:]
        if text.startswith("k1 "):
            break
    return found


register(
    MailProtocol(
        name="imap",
        title="IMAP",
        port=143,
        tls_port=993,
        first_bytes=b"* ",
        greeting=b"* OK",  # RFC 9051 §7.1.5
        ask_tls=b"s1 STARTTLS\r\n",  # RFC 9051 §6.2.1
        tls_granted=b"s1 OK",
        ask_capabilities=b"k1 CAPABILITY\r\n",
        read_capabilities=_capabilities,
        adapter="shared.mail.ways:open_imap",
        takes_mail=True,
        has_flags=True,
        common_numbers=True,
        one_session=False,
    )
)
