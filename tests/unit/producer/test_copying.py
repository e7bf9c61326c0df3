"""Tests that the form for one more import asks for what the first one has."""

from __future__ import annotations

from dataclasses import replace

from producer.web.pages.copying import fields_of
from producer.web.pages.form import form_of
from shared.model import Endpoint, Import, Options, Tls

_OLD = Endpoint(host="imap.old.example", port=1143, tls=Tls.STARTTLS, certificate_sha256="ab" * 32)
_NEW = Endpoint(host="imap.new.example", port=993, tls=Tls.IMPLICIT)


def test_the_form_asks_for_the_same() -> None:
    options = Options(
        include=("Work*", "INBOX"),
        skip_special=("junk",),
        since=1704067200,
        larger=1000,
        unseen=True,
        deletions="follow",
        deletions_cap=7,
        verify="full",
        share_destination=True,
    )
    import_ = Import(
        import_id="i", name="office", source=_OLD, destination=_NEW, options=options, window="20:00-06:00 UTC"
    )
    form = form_of(fields_of(import_))
    end = form.ends["source"]
    assert (end.host, end.port, end.tls, end.fingerprint) == ("imap.old.example", "1143", "starttls", "ab" * 32)
    assert form.ends["destination"].host == "imap.new.example"
    assert (form.texts["include"], form.texts["since"], form.texts["larger"]) == ("Work*\nINBOX", "2024-01-01", "1000")
    assert (form.texts["deletions"], form.texts["deletions_cap"], form.texts["verify"]) == ("follow", "7", "full")
    assert form.ticks == {"skip_junk", "unseen", "share_destination"}
    assert (form.window, form.name) == ("20:00-06:00 UTC", "")
    # One with nothing chosen leaves the form as it is for anybody.
    plain = form_of(fields_of(replace(import_, options=Options())))
    assert not plain.special
