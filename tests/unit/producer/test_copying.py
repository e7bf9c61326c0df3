"""Tests that the form for one more import asks for what the first one has."""

from __future__ import annotations

from dataclasses import replace

from producer.web.pages.copying import fields_of, left_out
from producer.web.pages.form import form_of
from shared.model import Endpoint, Import, Options, Tls
from shared.model.sign_in import SignIn, Way

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
    form = form_of(fields_of(import_, {}))
    end = form.ends["source"]
    assert (end.host, end.port, end.tls, end.fingerprint) == ("imap.old.example", "1143", "starttls", "ab" * 32)
    assert form.ends["destination"].host == "imap.new.example"
    assert (form.texts["include"], form.texts["since"], form.texts["larger"]) == ("Work*\nINBOX", "2024-01-01", "1000")
    assert (form.texts["deletions"], form.texts["deletions_cap"], form.texts["verify"]) == ("follow", "7", "full")
    assert form.ticks == {"skip_junk", "unseen", "share_destination"}
    assert (form.window, form.name) == ("20:00-06:00 UTC", "")
    # One with nothing chosen leaves the form as it is for anybody.
    plain = form_of(fields_of(replace(import_, options=Options()), {}))
    assert not plain.special


def test_what_the_form_has_is_taken_over_and_the_rest_is_named() -> None:
    options = Options(
        folder_map=(("a", "b"),),
        skip_special=("junk", "drafts", "archive"),
        since=1704067200,
        before=1704067200 + 3600,
        accounts="made-by",
        source_sign_in=SignIn(way=Way.MASTER, admin="chief", detail="{admin}/{user}"),
        destination_sign_in=SignIn(way=Way.COMMAND, detail="print-token --secret s3cret-canary"),
    )
    import_ = Import(
        import_id="i", name="office", source=replace(_OLD, ca_file="/ca.pem"), destination=_NEW, options=options
    )
    form = form_of(fields_of(import_, {"made-by": "ours"}))
    entry = form.sign_ins["source"]
    assert (entry.way, entry.admin, entry.template) == ("master", "chief", "{admin}/{user}")
    assert (form.sign_ins["destination"].way, form.accounts) == ("", "ours")
    assert left_out(import_, {"made-by": "ours"}) == [
        "--skip-special drafts,archive",
        "--folder-map",
        "--before 2024-01-01T01:00:00Z",
        "--source-ca /ca.pem",
        "--destination-auth command",
    ]
    assert left_out(import_, {})[-1] == "--accounts"
    # The control: of an import whose options all have fields nothing is named.
    assert left_out(replace(import_, source=_OLD, options=Options(since=1704067200, skip_special=("trash",))), {}) == []
